"""The clock of a process, passed in so that tests own time."""

import time


class Clock:
    """Wall time for what is stored, monotonic time for what is measured."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1_000

    def monotonic_ms(self) -> float:
        """Milliseconds since some fixed moment; never goes back."""
        return time.monotonic() * 1_000

    def cpu_ms(self) -> float:
        """Milliseconds that this thread has been at work since some fixed moment."""
        return time.thread_time() * 1_000
