"""Ended attempts by task type and by worker, as kept signals.

Users choose these names, so a namespace has a bounded number of them: further ones count as
`other`, and a name without an attempt for an hour makes room.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from flowmesh.telemetry.metrics import LATENCY_BUCKETS, Metrics

OTHER: Final = "other"
NAMES_MAX: Final = 100
"""Names of one namespace."""

NAMES_OF_ALL_MAX: Final = 1_000
IDLE_MS: Final = 3_600_000
_BOUNDS: Final = (*(str(each) for each in LATENCY_BUCKETS), "+Inf")


class _Attempts:
    """The attempts of one name."""

    __slots__ = ("buckets", "completed", "ended_ms", "failed", "seconds")

    def __init__(self) -> None:
        self.completed = self.failed = 0
        self.seconds = self.ended_ms = 0.0
        self.buckets = [0] * len(_BOUNDS)

    def add(self, seconds: float, now_ms: float, *, failed: bool) -> None:
        if failed:
            self.failed += 1
        else:
            self.completed += 1
        self.seconds += seconds
        self.ended_ms = now_ms
        self.buckets[bisect_left(LATENCY_BUCKETS, seconds)] += 1

    def cumulative(self) -> list[tuple[str, float]]:
        total, found = 0, []
        for bound, count in zip(_BOUNDS, self.buckets, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class NamedAttempts(Collector):
    """`flowmesh_<subject>_attempts_total` and `flowmesh_<subject>_attempt_seconds`.

    Plain numbers until they are collected, because each attempt of each task is counted.
    """

    def __init__(self, subject: str, label: str, of: str) -> None:
        """`of` is the noun of the help texts, such as `task type`."""
        self._subject, self._labels, self._of = subject, ("namespace", label), of
        self._namespaces: dict[str, dict[str, _Attempts]] = {}
        self._count = 0
        self._now_ms = 0.0

    def ended(
        self, namespace: str, name: str, seconds: float, now_ms: float, *, failed: bool
    ) -> None:
        """Count an attempt that took so many seconds."""
        self._now_ms = now_ms
        names = self._namespaces.get(namespace)
        found = names.get(name) if names is not None else None
        if found is None:
            found = self._added(namespace, name)
        found.add(seconds, now_ms, failed=failed)

    def _added(self, namespace: str, name: str) -> _Attempts:
        if self._count >= NAMES_OF_ALL_MAX:
            namespace = name = OTHER
        elif len(self._namespaces.get(namespace, ())) >= NAMES_MAX:
            name = OTHER
        names = self._namespaces.setdefault(namespace, {})
        self._count += name not in names
        return names.setdefault(name, _Attempts())

    def collect(self) -> Iterable[Metric]:
        """Yield both families, without the names that were idle."""
        self._drop_idle()
        counter = CounterMetricFamily(
            f"flowmesh_{self._subject}_attempts",
            f"Ended attempts by {self._of} and outcome.",
            labels=(*self._labels, "outcome"),
        )
        histogram = HistogramMetricFamily(
            f"flowmesh_{self._subject}_attempt_seconds",
            f"Time of an attempt at a worker by {self._of}.",
            labels=self._labels,
        )
        for labels, each in self._all():
            counter.add_metric((*labels, "completed"), each.completed)
            counter.add_metric((*labels, "failed"), each.failed)
            histogram.add_metric(labels, each.cumulative(), each.seconds)
        yield counter
        yield histogram

    def _all(self) -> Iterator[tuple[tuple[str, str], _Attempts]]:
        for namespace, names in self._namespaces.items():
            for name, each in names.items():
                yield (namespace, name), each

    def _drop_idle(self) -> None:
        before_ms = self._now_ms - IDLE_MS
        for namespace, names in list(self._namespaces.items()):
            for name in [name for name, each in names.items() if each.ended_ms < before_ms]:
                del names[name]
            if not names:
                del self._namespaces[namespace]
        self._count = sum(len(names) for names in self._namespaces.values())


class AttemptMetrics:
    """The attempts of a process by task type and by worker; exported only on request."""

    def __init__(self, metrics: Metrics, *, exported: bool) -> None:
        self._types = NamedAttempts("task_type", "task_type", "task type")
        self._workers = NamedAttempts("worker", "worker", "worker")
        for each in (self._types, self._workers):
            metrics.add_named(each, exported=exported)

    def ended(
        self, key: tuple[str, str, str, str], worker: str, ms: float, now_ms: float, *, failed: bool
    ) -> None:
        """Count an attempt of a kind of task that ended at a worker."""
        namespace, _, task_type, _ = key
        for names, name in ((self._types, task_type), (self._workers, worker)):
            names.ended(namespace, name, ms / 1_000, now_ms, failed=failed)
