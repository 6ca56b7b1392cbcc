"""Active checks: claimed from the store when due, made by this process, their outcomes stored.

A claim expires, so that another process makes the checks of one that died.
"""

import asyncio
from typing import ClassVar, Final

from structlog.typing import FilteringBoundLogger

from flowmesh.errors import FlowmeshError
from flowmesh.registry.health import Record
from flowmesh.registry.instances import CHECK_TIMEOUT_MAX_MS
from flowmesh.registry.probes import PROBES_MAX, Probes
from flowmesh.registry.store import InstanceStore
from flowmesh.runtime import Loop

CLAIM_MS: Final = CHECK_TIMEOUT_MAX_MS + 5_000
PAUSE_MIN_MS: Final = 50


class CheckLoop(Loop):
    """Makes the checks that are due, many at a time."""

    interval_ms: ClassVar[int] = 1_000

    def __init__(self, *, store: InstanceStore, probes: Probes, log: FilteringBoundLogger) -> None:
        self._store = store
        self._probes = probes
        self._log = log
        self._next_ms = self.interval_ms
        self._running: set[asyncio.Task[None]] = set()

    async def run_once(self) -> int:
        """Begin the due checks; return their number."""
        free = PROBES_MAX - len(self._running)
        if not free:
            self._next_ms = PAUSE_MIN_MS
            return 0
        # Redis may swallow a cancellation right after a command was sent (CPython issue 86296).
        next_ms, claimed = await asyncio.shield(self._store.claim_checks(free, CLAIM_MS))
        self._next_ms = next_ms if next_ms >= 0 else self.interval_ms
        for namespace, instance_id in claimed:
            task = asyncio.create_task(self._check(namespace, instance_id), name="registry-check")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(claimed)

    def pause_ms(self) -> float:
        return max(PAUSE_MIN_MS, min(self._next_ms, self.interval_ms))

    async def close(self) -> None:
        """Cancel the running checks; their claims expire."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _check(self, namespace: str, instance_id: str) -> None:
        try:
            _, records = await self._store.read(namespace, [instance_id])
            wanted = records and not records[0].left and records[0].instance.HasField("check")
            if not wanted or not await self._checked(records[0]):
                await self._end(namespace, instance_id)
                return
            interval_ms = records[0].instance.check.interval_ms
            await self._store.set_due(namespace, instance_id, interval_ms)
            # The loop pauses until the end of the claim otherwise.
            self.wake()
        except FlowmeshError as error:
            self._log.warning("check_not_stored", instance=instance_id, reason=error.reason)

    async def _checked(self, record: Record) -> bool:
        return await self._store.checked(record, await self._probes.problem(record.instance))

    async def _end(self, namespace: str, instance_id: str) -> None:
        """End the checks of an instance, unless it was registered again meanwhile."""
        _, records = await self._store.read(namespace, [instance_id])
        again = records and not records[0].left and records[0].instance.HasField("check")
        await self._store.set_due(namespace, instance_id, 0 if again else None)
