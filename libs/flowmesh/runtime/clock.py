"""The clock of a process, passed in so that tests control time."""

import os
import time
from typing import Final

SCHEDULED: Final = "/proc/thread-self/schedstat"
"""Nanoseconds of a thread on a core and in wait for one; see the kernel's sched-stats."""


class Clock:
    """Wall time for stored values, monotonic time for durations."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1_000

    def monotonic_ms(self) -> float:
        """Milliseconds since a fixed time; never decreases."""
        return time.monotonic() * 1_000

    def busy_ms(self) -> float:
        """Milliseconds in which this thread ran; on Linux, also those it waited for a core."""
        try:
            file = os.open(SCHEDULED, os.O_RDONLY)
        except OSError:
            return time.thread_time() * 1_000
        try:
            ran_ns, waited_ns = os.read(file, 64).split()[:2]
        finally:
            os.close(file)
        return (int(ran_ns) + int(waited_ns)) / 1e6
