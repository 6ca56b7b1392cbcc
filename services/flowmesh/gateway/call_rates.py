"""Rates of calls: a token bucket for each caller and namespace."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

MINUTE_MS = 60_000
# Callers whose buckets are kept; of more, the one without a call for the longest time is dropped.
CALLERS_KEPT = 10_000


class CallRate:
    """Limits calls per minute; a caller may make those of a minute at once."""

    def __init__(self, per_minute: int, monotonic_ms: Callable[[], float]) -> None:
        """`per_minute` is for each caller; 0 is no limit."""
        self.per_minute = per_minute
        self._monotonic_ms = monotonic_ms
        # Calls left, and the time of that count.
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take_ms(self, caller: Hashable) -> float:
        """Count a call; return 0, or the milliseconds until the caller may make one."""
        if not self.per_minute:
            return 0
        per_ms, now = self.per_minute / MINUTE_MS, self._monotonic_ms()
        left, at = self._buckets.get(caller, (float(self.per_minute), now))
        left = min(float(self.per_minute), left + (now - at) * per_ms)
        wait_ms = 0.0 if left >= 1 else (1 - left) / per_ms
        self._buckets[caller] = (left if wait_ms else left - 1, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > CALLERS_KEPT:
            self._buckets.popitem(last=False)
        return wait_ms
