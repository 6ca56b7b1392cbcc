"""The reader of one slot: from changes of a table to committed firings.

Firings and the position of the slot are stored in one transaction; only then does the database of
the user forget the changes. After a crash they are read again, and those up to the position are
left out. So each change fires once.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final

import asyncpg
from structlog.typing import FilteringBoundLogger

from flowmesh.changes import Position, SlotReader, connect
from flowmesh.errors import FlowmeshError, NotFound, WrongState
from flowmesh.event.changes.compiled import Batch, CompiledChanges
from flowmesh.event.changes.metrics import ChangeMetrics
from flowmesh.event.changes.store import ChangeStore, ChangeTrigger, Slot
from flowmesh.failpoints import failpoint
from flowmesh.outbox import UserDatabase
from flowmesh.runtime import Clock
from flowmesh.sandbox import Sandbox

ACTIVE_S: Final = 0.05
IDLE_S: Final = 1.0
RENEW_S: Final = 3.0
CHECK_S: Final = 5.0
RETRY_S: Final = 3.0
# The lag of a paused trigger is looked at as often.
PAUSED_S: Final = 10.0
# Firings that wait for their start; beyond them reading pauses, and the slot keeps the changes.
WAITING_MAX: Final = 20_000
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
# Other tasks of the process run after so many changes.
YIELD_EVERY: Final = 50
_DRIVER: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class SlotFollower:
    """Follows the slot of one trigger until it is canceled."""

    def __init__(
        self,
        *,
        slot: str,
        trigger: ChangeTrigger,
        database: Callable[[str, str], UserDatabase],
        store: ChangeStore,
        metrics: ChangeMetrics,
        on_firing: Callable[[], None],
        clock: Clock,
        log: FilteringBoundLogger,
        sandbox: Sandbox,
    ) -> None:
        self._slot = slot
        self._trigger = trigger
        self._database = database
        self._store = store
        self._metrics = metrics
        self._on_firing = on_firing
        self._clock = clock
        self._log = log.bind(workflow=trigger.workflow, slot=slot)
        self._compiled = CompiledChanges(trigger, sandbox)
        self._problem = ""
        self._position: Position = (0, 0)
        self._advanced = 0.0

    async def follow(self) -> None:
        """Read the slot; a problem is shown at the trigger, and tried again."""
        while True:
            try:
                pause_s = await self._follow()
            except FlowmeshError as error:
                pause_s = RETRY_S
                await self._failed(error)
            except _DRIVER as error:
                pause_s = RETRY_S
                await self._failed(_unreachable(error))
            except Exception as error:  # noqa: BLE001 a broken trigger must not end silently
                pause_s = RETRY_S
                self._log.error("change_trigger_failed", exc_info=error)
                await self._failed(_unreachable(error))
            await asyncio.sleep(pause_s)

    async def _follow(self) -> float:
        """Read until the slot is another process's; return the pause before the next try."""
        slot = await self._store.lease(self._slot)
        if slot is None:
            return RENEW_S
        change = self._trigger.message.change
        database = self._database(change.database, self._trigger.namespace)
        connection = await connect(database.url)
        try:
            reader = SlotReader(connection, self._trigger.source(self._slot))
            if slot.phase == "lost":
                await reader.drop()
                return PAUSED_S
            if self._trigger.paused:
                await self._guard(reader, slot)
                return PAUSED_S
            await self._prepare(reader, slot)
            await self._read(reader, slot)
        finally:
            connection.terminate()
        return RENEW_S

    async def _prepare(self, reader: SlotReader, slot: Slot) -> None:
        if slot.phase == "creating":
            await reader.prepare()
            await self._store.begin(self._slot)
            return
        state = await reader.state()
        if state is None:
            raise WrongState("SLOT_LOST", "the slot was dropped in the database")
        if state.lost:
            text = "the database removed log that the slot needs (max_slot_wal_keep_size)"
            raise WrongState("SLOT_LOST", text)

    async def _read(self, reader: SlotReader, slot: Slot) -> None:
        """Read until another process has the slot. Looks often while there are changes."""
        self._position = slot.position
        clock = asyncio.get_running_loop().time
        renewed, checked, pause_s = clock(), 0.0, ACTIVE_S
        while True:
            if clock() - renewed > RENEW_S:
                if await self._store.lease(self._slot) is None:
                    return
                renewed = clock()
            if clock() - checked > CHECK_S:
                await self._check(reader)
                checked = clock()
            taken = await self._take(reader)
            if taken < 0:
                return
            pause_s = ACTIVE_S if taken else min(2 * pause_s, IDLE_S)
            await asyncio.sleep(pause_s)

    async def _take(self, reader: SlotReader) -> int:
        """Store the firings of the next changes; return their number, -1 if others read too."""
        firings, size = await self._store.waiting(self._trigger)
        if firings >= WAITING_MAX or size >= WAITING_BYTES_MAX:
            return 0
        room, taken, seen = WAITING_MAX - firings, 0, 0
        at_us = self._clock.now_us()
        batch = Batch(self._position)
        async with reader.peek() as reading, aclosing(reading.changes()) as changes:
            async for change in changes:
                seen += 1
                if seen % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
                if change.position <= self._position:
                    continue
                await batch.add(self._compiled, change, at_us + seen)
                if batch.full:
                    if not await self._commit(batch, at_us):
                        return -1
                    taken += len(batch.firings)
                    size += batch.size
                    batch = Batch(self._position)
                    if taken >= room or size >= WAITING_BYTES_MAX:
                        break
        if not await self._commit(batch, at_us):
            return -1
        await self._advance(reader, reading.done_lsn, seen)
        return seen

    async def _advance(self, reader: SlotReader, lsn: int, seen: int) -> None:
        """Consume what is stored; without changes only now and then, as it costs a sync."""
        now = asyncio.get_running_loop().time()
        if not lsn or (not seen and now - self._advanced < CHECK_S):
            return
        failpoint("event.changes_stored")
        await reader.advance(lsn)
        failpoint("event.changes_advanced")
        self._advanced = now

    async def _commit(self, batch: Batch, at_us: int) -> bool:
        if not batch.empty:
            refused = batch.refusals(self._trigger, at_us)
            if not await self._store.store(
                self._slot, self._position, batch.position, batch.firings, refused
            ):
                return False
            self._metrics.changed(len(batch.firings), batch.refused)
            self._on_firing()
        self._position = max(self._position, batch.position)
        return True

    async def _check(self, reader: SlotReader) -> None:
        """Measure the lag; show a problem that does not end the reading."""
        problem = ""
        try:
            await reader.publish_table(create=False)
        except (NotFound, WrongState) as error:
            if error.reason == "SLOT_LOST":
                raise
            problem = f"{error.reason}: {error.message}"
        await self._measure(reader)
        await self._report(problem)

    async def _guard(self, reader: SlotReader, slot: Slot) -> None:
        """Drop the slot of a paused trigger if the database keeps too much log for it."""
        lag_bytes = await self._measure(reader)
        await self._report("")
        most = self._trigger.message.change.retain_bytes_max
        if lag_bytes <= most or slot.phase != "reading":
            return
        await reader.drop()
        text = (
            f"the trigger was paused while the database logged {lag_bytes:,} bytes; at most"
            f" {most:,} are kept (retainBytesMax), so the slot was dropped"
        )
        raise WrongState("SLOT_LOST", text)

    async def _measure(self, reader: SlotReader) -> int:
        state = await reader.state()
        if state is None:
            return 0
        await self._store.measure(
            self._slot, lag_bytes=state.lag_bytes, keep_bytes_max=state.keep_bytes_max
        )
        self._metrics.lag(self._trigger, state.lag_bytes)
        return state.lag_bytes

    async def _failed(self, error: FlowmeshError) -> None:
        problem = f"{error.reason}: {error.message}"
        if error.reason == "SLOT_LOST":
            paused = self._trigger.paused
            problem += (
                "; changes are missing: start what they should have started, then"
                f" {'' if paused else 'pause and '}resume the trigger to read from then on"
            )
            await self._store.lose(self._slot, problem, renewed=paused)
            self._metrics.lost()
        await self._report(problem)

    async def _report(self, problem: str) -> None:
        if problem and problem != self._problem:
            self._log.warning("change_trigger_waits", problem=problem)
        if problem != self._problem or not self._problem:
            await self._store.report(self._slot, problem)
        self._problem = problem


class SlotRemover:
    """Drops slots whose trigger is gone, in their databases and then here."""

    def __init__(self, *, store: ChangeStore, database: Callable[[str], UserDatabase]) -> None:
        self._store = store
        self._database = database

    async def remove(self, slot: Slot) -> None:
        """Drop a slot; while the database cannot be reached, its row stays. Raises the error."""
        if await self._store.lease(slot.name) is None:
            return
        connection: Any = await connect(self._database(slot.database).url)
        try:
            await SlotReader(connection, slot.source).drop()
        finally:
            connection.terminate()
        await self._store.delete(slot.name)


def _unreachable(error: BaseException) -> FlowmeshError:
    text = str(error).partition("\n")[0][:300] or type(error).__name__
    return WrongState("CHANGES_REFUSED", f"the database cannot be read: {text}")
