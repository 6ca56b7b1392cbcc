"""Load of each kind of task in the last minute, from samples of existing counters."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import Stats
from flowmesh.orchestrator.limits.ready_queues import Key

SAMPLE_MS = 5_000
SAMPLES = 13
BUSY_SHARE = 0.8
"""Share of time that slots should be busy; at 1 the shortest burst would fill the queue."""

WAIT_S = 30
"""Time to work off a queue of the recommended size."""


@dataclass(frozen=True, slots=True)
class _Sample:
    at_ms: float
    ended: Mapping[Key, tuple[int, float]]
    waiting: Mapping[Key, int]


class Loads:
    """Samples of the last minute. `sample` is called often; it takes a sample when one is due."""

    def __init__(self, *, dispatcher: Dispatcher, stats: Stats) -> None:
        self._dispatcher = dispatcher
        self._stats = stats
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)
        self._due_ms = 0.0

    def sample(self, now_ms: float) -> None:
        if now_ms < self._due_ms:
            return
        # Due at multiples of the interval: slightly late samples still span a minute.
        self._due_ms = (now_ms // SAMPLE_MS + 1) * SAMPLE_MS
        waiting = Counter(self._dispatcher.ready.counts)
        waiting.update(task.key for task in self._dispatcher.limiter.waiting())
        waiting.update(task.key for _, task in self._dispatcher.limiter.stopped())
        self._samples.append(_Sample(now_ms, self._stats.ended(), waiting))

    def put(self, key: Key, stats: pb.QueueStats) -> None:
        """Set the arrivals per second and the duration of a task in ms; 0 if unknown."""
        if len(self._samples) < 2:
            return
        first, last = self._samples[0], self._samples[-1]
        count, total_ms = last.ended.get(key, (0, 0.0))
        count_before, total_ms_before = first.ended.get(key, (0, 0.0))
        ended = max(0, count - count_before)
        more = last.waiting.get(key, 0) - first.waiting.get(key, 0)
        stats.arrivals_per_second = max(0, ended + more) * 1_000 / (last.at_ms - first.at_ms)
        if ended:
            stats.service_ms = max(0.0, total_ms - total_ms_before) / ended


def recommend(stats: pb.QueueStats) -> None:
    """Set recommended slots and queue size, by Little's law: arrivals times duration."""
    arrivals = stats.arrivals_per_second
    if arrivals and stats.service_ms:
        stats.recommended_slots = ceil(arrivals * stats.service_ms / 1_000 / BUSY_SHARE)
        stats.recommended_size = ceil(arrivals * WAIT_S)
