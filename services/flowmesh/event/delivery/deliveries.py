"""The loop that runs due deliveries, limited in total and per receiver."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Final

from structlog.typing import FilteringBoundLogger

from flowmesh.event.delivery.sender import LEASE_MS, Deliverer
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.store import DeliveryStore, Due
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Clock, Loop

RUNNING_MAX: Final = 32
# Deliveries claimed per host at a time; a host with more than these is skipped: 8 at most.
PER_HOST: Final = 4
DRAIN_S: Final = 2.0


class DeliveryLoop(Loop):
    """Claims and runs due deliveries; wakes for new rows, ended attempts and due times."""

    interval_ms = 1

    def __init__(
        self,
        *,
        store: DeliveryStore,
        deliverer: Deliverer,
        clock: Clock,
        metrics: EventMetrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._deliverer = deliverer
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._running: dict[asyncio.Task[None], Due] = {}
        self._notified = asyncio.Event()
        self._draining = asyncio.Event()

    def notify(self) -> None:
        """Wake the loop: there may be new deliveries."""
        self._notified.set()

    async def run_once(self) -> int:
        """Start due deliveries, or wait until one may be due. Return the number started."""
        self._notified.clear()
        hosts = Counter(due.host for due in self._running.values())
        busy = [host for host, count in hosts.items() if count > PER_HOST]
        free = RUNNING_MAX - len(self._running)
        if free <= 0 or self._draining.is_set():
            await self._notified.wait()
            return 0
        claimed = await self._store.claim(
            busy_hosts=busy, free=free, per_host=PER_HOST, lease_ms=LEASE_MS
        )
        if self._draining.is_set():
            # Draining began during the claim: the HTTP client is about to close.
            await self._give_back(claimed)
            return 0
        for due in claimed:
            task = asyncio.create_task(self._deliver(due), name=f"deliver-{due.id}")
            self._running[task] = due
            task.add_done_callback(self._ended)
        if not claimed:
            await self._until_due(busy)
        return len(claimed)

    async def drain(self) -> None:
        """Give running attempts a grace period, then return the others to the queue."""
        self._draining.set()
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_S)
        left = dict(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._give_back(left.values())

    async def _give_back(self, dues: Iterable[Due]) -> None:
        for due in dues:
            await self._store.postpone(
                due.ordinal, attempts=due.attempts, last_error="interrupted", delay_ms=0
            )

    async def _until_due(self, busy: list[str]) -> None:
        wait_ms = await self._store.next_due_ms(busy_hosts=busy)
        try:
            async with asyncio.timeout(None if wait_ms is None else wait_ms / 1_000):
                await self._notified.wait()
        except TimeoutError:
            return

    async def _deliver(self, due: Due) -> None:
        failpoint("event.claimed")
        began_ms = self._clock.monotonic_ms()
        outcome = await self._deliverer.attempt(due)
        failpoint("event.posted")
        self._metrics.attempts.labels(outcome.label).inc()
        self._metrics.delivery_seconds.observe((self._clock.monotonic_ms() - began_ms) / 1_000)
        if outcome.status == "pending":
            await self._store.postpone(
                due.ordinal,
                attempts=outcome.attempts,
                last_error=outcome.last_error,
                delay_ms=outcome.delay_ms,
            )
        else:
            await self._store.end(
                due.ordinal,
                status=outcome.status,
                attempts=outcome.attempts,
                last_error=outcome.last_error,
            )

    def _ended(self, task: asyncio.Task[None]) -> None:
        due = self._running.pop(task)
        self._notified.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # It is claimed again when its lease expires, with the same id.
            self._log.error("delivery_failed", delivery=due.id, exc_info=error)
