"""The followers of change triggers, one for each; idle without such triggers."""

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

import asyncpg
from structlog.typing import FilteringBoundLogger

from flowmesh.errors import FlowmeshError, Forbidden, NotFound
from flowmesh.event.changes.following import SlotFollower, SlotRemover
from flowmesh.event.changes.metrics import ChangeMetrics
from flowmesh.event.changes.store import ChangeStore, ChangeTrigger, Slot
from flowmesh.outbox import UserDatabase
from flowmesh.runtime import Clock, Loop
from flowmesh.sandbox import Sandbox

IDLE_MS: Final = 600_000
_PLAIN: Final = re.compile(r"[^a-z0-9]+")
_NAME_MAX: Final = 20
Key = tuple[str, ...]


class ChangeTriggerLoop(Loop):
    """Starts and stops followers as triggers change, and drops slots that no trigger has."""

    interval_ms = 5_000

    def __init__(
        self,
        *,
        store: ChangeStore,
        databases: Mapping[str, UserDatabase],
        metrics: ChangeMetrics,
        on_firing: Callable[[], None],
        clock: Clock,
        log: FilteringBoundLogger,
        sandbox: Sandbox,
    ) -> None:
        self._store = store
        self._databases = databases
        self._metrics = metrics
        self._on_firing = on_firing
        self._clock = clock
        self._log = log
        self._sandbox = sandbox
        self._remover = SlotRemover(store=store, database=self._named)
        self._running: dict[str, tuple[ChangeTrigger, asyncio.Task[None]]] = {}
        self._leftovers = 0

    def pause_ms(self) -> float:
        return self.interval_ms if self._running or self._leftovers else IDLE_MS

    async def run_once(self) -> int:
        """Follow the triggers as they are now. Return the number of followers."""
        triggers = {trigger.key: trigger for trigger in await self._store.triggers()}
        slots = {slot.key: slot for slot in await self._store.slots()}
        for key in triggers.keys() - slots.keys():
            await self._store.add(_slot_name(triggers[key]), key)
        if triggers.keys() - slots.keys():
            slots = {slot.key: slot for slot in await self._store.slots()}
        leaving = [slot for key, slot in slots.items() if _leaves(slot, triggers.get(key))]
        names = {slots[key].name: triggers[key] for key in triggers.keys() & slots.keys()}
        for slot in leaving:
            names.pop(slot.name, None)
        self._stop_others(names)
        await self._renew(triggers, slots)
        for name, trigger in names.items():
            if name not in self._running:
                task = asyncio.create_task(self._follower(name, trigger).follow(), name=name)
                self._running[name] = (trigger, task)
        for slot in leaving:
            await self._remove(slot)
        self._leftovers = len(leaving)
        self._metrics.forget({slot.key[:3] for slot in slots.values()})
        return len(self._running)

    async def drain(self) -> None:
        """Stop reading, and give the slots to others."""
        self._stop_others({})
        await self._store.release()

    def _stop_others(self, names: Mapping[str, ChangeTrigger]) -> None:
        for name, (trigger, task) in list(self._running.items()):
            if names.get(name) != trigger or task.done():
                task.cancel()
                del self._running[name]

    async def _renew(
        self, triggers: Mapping[Key, ChangeTrigger], slots: Mapping[Key, Slot]
    ) -> None:
        """Note lost slots whose trigger is paused."""
        for key in triggers.keys() & slots.keys():
            slot = slots[key]
            if slot.phase == "lost" and triggers[key].paused and not slot.renewed:
                await self._store.renew(slot.name)

    async def _remove(self, slot: Slot) -> None:
        try:
            await self._remover.remove(slot)
        except (FlowmeshError, asyncpg.PostgresError, OSError, TimeoutError) as error:
            self._log.warning(
                "change_slot_not_dropped",
                slot=slot.name,
                database=slot.database,
                problem=str(error),
            )

    def _follower(self, name: str, trigger: ChangeTrigger) -> SlotFollower:
        return SlotFollower(
            slot=name,
            trigger=trigger,
            database=self._permitted,
            store=self._store,
            metrics=self._metrics,
            on_firing=self._on_firing,
            clock=self._clock,
            log=self._log,
            sandbox=self._sandbox,
        )

    def _named(self, name: str) -> UserDatabase:
        database = self._databases.get(name)
        if database is None or not database.changes:
            text = f"FLOWMESH_DATABASES of the event service has no [{name}] with changes = true"
            raise NotFound("DATABASE_NOT_FOUND", text)
        return database

    def _permitted(self, name: str, namespace: str) -> UserDatabase:
        """Return the database of a trigger, if its namespace may read it."""
        database = self._named(name)
        if namespace not in database.namespaces:
            raise Forbidden("FORBIDDEN", f"database {name} may not be used by {namespace}")
        return database


def _leaves(slot: Slot, trigger: ChangeTrigger | None) -> bool:
    """Return whether a slot is dropped: its trigger is gone, or begins anew without it."""
    return trigger is None or (slot.phase == "lost" and slot.renewed and not trigger.paused)


def _slot_name(trigger: ChangeTrigger) -> str:
    """Return a name that is free, and readable in `pg_replication_slots`."""
    parts = (trigger.workflow, trigger.message.id)
    words = [_PLAIN.sub("_", part.lower()).strip("_")[:_NAME_MAX] for part in parts]
    return "_".join(("flowmesh", *filter(None, words), secrets.token_hex(4)))
