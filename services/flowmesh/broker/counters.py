"""Counters of queues: for metrics, and for the diagnosis of one instance."""

from collections import Counter as Frequencies
from dataclasses import dataclass, field
from typing import Final

from flowmesh.broker.limits import LABELS_MAX
from flowmesh.broker.store import StoredQueue
from flowmesh.telemetry import Metrics

OTHER: Final = "other"
ERRORS_MAX: Final = 100


@dataclass(slots=True)
class QueueCounters:
    """Numbers of one queue since the start of this instance."""

    published: int = 0
    delivered: int = 0
    acknowledged: int = 0
    failed: int = 0
    expired: int = 0
    dead_lettered: int = 0
    dropped: int = 0
    rejected_full: int = 0
    errors: Frequencies[str] = field(default_factory=Frequencies)


class BrokerMetrics:
    """The metrics of the broker. Further queues than 1,000 share the label `other`."""

    def __init__(self, metrics: Metrics) -> None:
        labels = ("namespace", "queue")
        counter = metrics.counter
        self._published = counter("messages_published", "Messages stored in queues.", labels)
        self._consumed = counter("messages_consumed", "Messages acknowledged.", labels)
        self._failed = counter("messages_failed", "Failed deliveries of messages.", labels)
        self._ended = counter(
            "flowmesh_broker_messages_ended_total",
            "Messages that left a queue without an acknowledgment, by cause.",
            (*labels, "cause"),
        )
        self.unroutable = counter(
            "flowmesh_broker_unroutable_total", "Messages that led to no queue."
        )
        self.sizes = metrics.gauge("queue_sizes", "Messages in queues.", labels)
        self.consumers = metrics.gauge(
            "flowmesh_broker_consumers", "Open streams of consumers.", labels
        )
        self._queues: dict[str, QueueCounters] = {}
        self._labels: dict[str, tuple[str, str]] = {}

    def labels(self, queue: StoredQueue) -> tuple[str, str]:
        found = self._labels.get(queue.id)
        if found is None:
            found = (queue.namespace, queue.name)
            if len(self._labels) >= LABELS_MAX:
                return (OTHER, OTHER)
            self._labels[queue.id] = found
        return found

    def forget(self, known: set[str]) -> None:
        """Drop the counters of queues that no longer exist."""
        for id in self._queues.keys() - known:
            del self._queues[id]
        for id in self._labels.keys() - known:
            del self._labels[id]

    def of(self, queue: StoredQueue) -> QueueCounters:
        return self._queues.setdefault(queue.id, QueueCounters())

    def published(self, queue: StoredQueue) -> None:
        self.of(queue).published += 1
        self._published.labels(*self.labels(queue)).inc()

    def acknowledged(self, queue: StoredQueue) -> None:
        self.of(queue).acknowledged += 1
        self._consumed.labels(*self.labels(queue)).inc()

    def failed(self, queue: StoredQueue, error: str) -> None:
        counters = self.of(queue)
        counters.failed += 1
        if error and (error in counters.errors or len(counters.errors) < ERRORS_MAX):
            counters.errors[error] += 1
        self._failed.labels(*self.labels(queue)).inc()

    def ended(self, queue: StoredQueue, cause: str, *, dead_lettered: bool) -> None:
        counters = self.of(queue)
        counters.expired += cause == "expired"
        if dead_lettered:
            counters.dead_lettered += 1
        else:
            counters.dropped += 1
        self._ended.labels(*self.labels(queue), cause).inc()
