"""The clock of an application: that of the machine, or one that tests move by hand."""

import time


class Clock:
    """Seconds since 1970. With a start, time stands still until it is moved."""

    def __init__(self, start_s: float | None = None) -> None:
        self._at = start_s

    def now(self) -> float:
        return time.time() if self._at is None else self._at

    def now_us(self) -> int:
        return time.time_ns() // 1_000 if self._at is None else round(self._at * 1e6)

    def move_to(self, at_s: float) -> None:
        """Set a clock that stands still; it never goes back."""
        self._at = max(at_s, self.now())
