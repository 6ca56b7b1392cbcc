"""Numbers of what ended: how often, for how long, and how much of it failed."""

from bisect import bisect_left
from typing import Final

# Seconds; from a local call to a long poll.
LATENCY_BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0),
)


class Ended:
    """Durations of one name; the last bucket is that of all longer times."""

    __slots__ = ("buckets", "completed", "ended_ms", "failed", "seconds")

    def __init__(self) -> None:
        self.completed = self.failed = 0
        self.seconds = self.ended_ms = 0.0
        self.buckets = [0] * (len(LATENCY_BUCKETS) + 1)

    def add(self, seconds: float, now_ms: float, *, failed: bool) -> None:
        if failed:
            self.failed += 1
        else:
            self.completed += 1
        self.seconds += seconds
        self.ended_ms = now_ms
        self.buckets[bisect_left(LATENCY_BUCKETS, seconds)] += 1
