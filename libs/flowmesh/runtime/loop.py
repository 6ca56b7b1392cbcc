"""The contract of background tasks: a loop of rounds with backoff, jitter and metrics.

These tasks of the services have a `run` of their own, because no interval drives them:

- `Committer`: a batch begins when the inbox holds a command.
- `Publisher`: a commit queues events, which are published in order.
- `Peer`: it lives as long as its stream to another orchestrator.
- `OrchestratorStream`: it reattaches to an orchestrator until it is retired.
- `Watcher`: it follows the changes of an API server, and begins again with a list after a gap.
- `Controller`: its workers wait for keys of a queue.
"""

import asyncio
import random
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import structlog

from flowmesh.contract.retries import backoff
from flowmesh.telemetry.metrics import Metrics

JITTER = 0.1
BACKOFF_MAX_MS = 30_000


class Loop(ABC):
    """Repeats `run_once` with a pause of `interval_ms` after each round.

    A failed round is logged and doubles the pause, up to 30 s; the next good round ends that.
    `wake` ends a pause; during a round it requests another one. A subclass without `jitter` pauses
    exactly. Tests call `run_once` and check its result.
    """

    interval_ms: ClassVar[int] = 1_000
    jitter: ClassVar[float] = JITTER

    @abstractmethod
    async def run_once(self) -> object:
        """Run one round; the result is for tests and logs."""

    @property
    def name(self) -> str:
        """The name of this loop in logs and metrics."""
        return type(self).__name__

    def pause_ms(self) -> float:
        """Return the pause after a good round, in ms, before jitter."""
        return self.interval_ms

    def wake(self) -> None:
        """Start the next round now, or after the current one."""
        wake = getattr(self, "_wake", None)
        if wake is not None:
            wake.set()

    async def run(self, metrics: Metrics) -> None:
        """Run rounds until canceled."""
        self._wake = asyncio.Event()
        log = structlog.get_logger("flowmesh.loop").bind(loop=self.name)
        rounds = metrics.counter("flowmesh_loop_rounds_total", "Rounds run.", ("loop", "outcome"))
        seconds = metrics.histogram("flowmesh_loop_seconds", "Time of a round.", ("loop",))
        good, bad = rounds.labels(self.name, "ok"), rounds.labels(self.name, "failed")
        took = seconds.labels(self.name)
        failures = 0
        while True:
            # Before the round: a wake during it starts another one.
            self._wake.clear()
            started = time.perf_counter()
            try:
                await self.run_once()
            except Exception as error:  # noqa: BLE001 a failed round does not end the loop
                failures += 1
                bad.inc()
                self._report(log, error, failures)
            else:
                failures = 0
                good.inc()
            took.observe(time.perf_counter() - started)
            await self._rest(failures)

    def _report(self, log: Any, error: Exception, failures: int) -> None:
        """Log the first two failures in full, then one line at each power of two."""
        if failures <= 2:
            log.warning("loop_failed", failures=failures, exc_info=error)
        elif failures & (failures - 1) == 0:
            log.warning("loop_failed", failures=failures, problem=type(error).__name__)

    async def _rest(self, failures: int) -> None:
        delay_ms = self.pause_ms()
        if failures:
            delay_ms = backoff(2 * self.interval_ms, failures, most=BACKOFF_MAX_MS)
            delay_ms = max(delay_ms, self.interval_ms)
        if self.jitter:
            # Processes that started together must not run their rounds at the same time.
            delay_ms *= 1 + self.jitter * (2 * random.random() - 1)
        try:
            async with asyncio.timeout(delay_ms / 1_000):
                await self._wake.wait()
        except TimeoutError:
            return
