"""The clock of a process, passed in so that tests control time."""

import time


class Clock:
    """Wall time for stored values, monotonic time for durations."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1_000

    def monotonic_ms(self) -> float:
        """Milliseconds since a fixed time; never decreases."""
        return time.monotonic() * 1_000

    def cpu_ms(self) -> float:
        """CPU time of this thread in milliseconds."""
        return time.thread_time() * 1_000
