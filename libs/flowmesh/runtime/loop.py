"""One contract for everything that runs in the background."""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import structlog

from flowmesh.telemetry.metrics import Metrics

JITTER = 0.1
BACKOFF_MAX_MS = 30_000


class Loop(ABC):
    """Runs `run_once` again and again. Subclasses say how often and what.

    A failed run is logged and delays the next ones, at most to 30 s; the first good run ends
    that. `wake` runs it at once. Tests call `run_once` and look at what came back.
    """

    interval_ms: ClassVar[int] = 1_000

    @abstractmethod
    async def run_once(self) -> object:
        """One round; what it returns is for tests and logs."""

    @property
    def name(self) -> str:
        """What logs and metrics call this loop."""
        return type(self).__name__

    def wake(self) -> None:
        """Makes the next round start now."""
        wake = getattr(self, "_wake", None)
        if wake is not None:
            wake.set()

    async def run(self, metrics: Metrics) -> None:
        """Rounds until cancelled."""
        self._wake = asyncio.Event()
        log = structlog.get_logger("flowmesh.loop").bind(loop=self.name)
        rounds = metrics.counter("flowmesh_loop_rounds_total", "Rounds run.", ("loop", "outcome"))
        seconds = metrics.histogram("flowmesh_loop_seconds", "Time of a round.", ("loop",))
        good, bad = rounds.labels(self.name, "ok"), rounds.labels(self.name, "failed")
        took = seconds.labels(self.name)
        failures = 0
        while True:
            started = time.perf_counter()
            try:
                await self.run_once()
            except Exception as error:  # noqa: BLE001 a loop outlives its rounds
                failures += 1
                bad.inc()
                self._report(log, error, failures)
            else:
                failures = 0
                good.inc()
            took.observe(time.perf_counter() - started)
            await self._rest(failures)

    def _report(self, log: Any, error: Exception, failures: int) -> None:
        """The first failures in full, then one line for each power of two."""
        if failures <= 2:
            log.warning("loop_failed", failures=failures, exc_info=error)
        elif failures & (failures - 1) == 0:
            log.warning("loop_failed", failures=failures, problem=type(error).__name__)

    async def _rest(self, failures: int) -> None:
        self._wake.clear()
        delay_ms = min(self.interval_ms * 2 ** min(failures, 16), BACKOFF_MAX_MS)
        delay_ms = max(delay_ms, self.interval_ms) if failures else self.interval_ms
        # Spread: many processes must not beat in time.
        spread = 1 + JITTER * (2 * random.random() - 1)
        try:
            async with asyncio.timeout(delay_ms * spread / 1_000):
                await self._wake.wait()
        except TimeoutError:
            return
