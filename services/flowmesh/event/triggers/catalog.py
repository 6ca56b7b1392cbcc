"""Synchronization of triggers with the definition service.

A changed workflow is announced on the bus before its change is acknowledged, and each announcement
is confirmed once its triggers are stored and used. As an announcement may be lost, all triggers are
also read at the start, after a reconnect of the bus, when a definition service starts or stops, and
every ten minutes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowmesh.api.definition.v1 import trigger_catalog_service_pb2 as pb
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.bus import Message
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.runtime import Loop, Runtime
from flowmesh.triggers import Schedule, ScheduleInvalid

if TYPE_CHECKING:
    from flowmesh.api.definition.v1.trigger_catalog_service_pb2_grpc import (
        TriggerCatalogServiceAsyncStub,
    )

DEFINITION: Final = "definition"
FULL_SYNC_S: Final = 600.0
NAMES_MAX: Final = 1_000
# Pending changed names; beyond this number all triggers are read.
CHANGED_MAX: Final = 10_000
# An event waits at most this long for changes announced before it.
SETTLE_S: Final = 2.0


class TriggerSyncLoop(Loop):
    """Keeps the triggers of this service equal to those of the definitions."""

    interval_ms = 1

    def __init__(
        self,
        *,
        store: TriggerStore,
        definitions: "TriggerCatalogServiceAsyncStub",
        refresh: Callable[[], Awaitable[None]],
        confirm: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._refresh = refresh
        self._confirm = confirm
        self._changed: set[tuple[str, str]] = set()
        self._unconfirmed: list[dict[str, Any]] = []
        self._full_sync = True
        self._pending = asyncio.Event()
        self._pending.set()
        # Announcements, of which the first read of all is one, and those that were tried.
        self._announced = 1
        self._tried = 0
        self._progress = asyncio.Condition()

    async def on_change_message(self, message: Message) -> None:
        """Handle a message about changed workflows."""
        self._announced += 1
        announcement = orjson.loads(message.data)
        self._unconfirmed.append(announcement)
        self._changed.update((announcement["namespace"], name) for name in announcement["names"])
        if len(self._changed) > CHANGED_MAX:
            self._changed.clear()
            self._full_sync = True
        self._pending.set()

    async def settled(self) -> None:
        """Wait until what is announced is stored, a try has failed, or 2 s have passed.

        So a starting service, and one whose confirmation was not awaited, use no former triggers.
        Later announcements prolong nothing.
        """
        announced = self._announced
        if self._tried >= announced:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S), self._progress:
                await self._progress.wait_for(lambda: self._tried >= announced)

    def request_full_sync(self) -> None:
        """Schedule a read of all triggers because changes may have been missed."""
        self._full_sync = True
        self._pending.set()

    async def on_reconnect(self) -> None:
        """Schedule a read of all triggers after a reconnect of the bus."""
        self.request_full_sync()

    async def run_once(self) -> int:
        """Wait for changes and read them. Return the number of changed workflows."""
        try:
            async with asyncio.timeout(FULL_SYNC_S):
                await self._pending.wait()
        except TimeoutError:
            self._full_sync = True
        self._pending.clear()
        announced = self._announced
        full_sync, self._full_sync = self._full_sync, False
        changed_names, self._changed = self._changed, set()
        unconfirmed, self._unconfirmed = self._unconfirmed, []
        try:
            changed = await self._sync_all() if full_sync else await self._sync_named(changed_names)
            # Another process may have stored the changes: refresh this process anyway.
            await self._refresh()
        except BaseException:
            self._full_sync, self._changed = (
                self._full_sync or full_sync,
                self._changed | changed_names,
            )
            self._unconfirmed = [*unconfirmed, *self._unconfirmed]
            self._pending.set()
            raise
        finally:
            async with self._progress:
                self._tried = announced
                self._progress.notify_all()
        for announcement in unconfirmed:
            await self._confirm(announcement)
        return changed

    async def _sync_all(self) -> int:
        known = await self._store.known_workflows()
        changed, token = 0, ""
        while True:
            request = pb.ListWorkflowTriggersRequest(page_token=token)
            page = await self._definitions.ListWorkflowTriggers(request)
            known -= {(each.namespace, each.workflow_id) for each in page.workflows}
            changed += await self._store_triggers(page.workflows)
            token = page.next_page_token
            if not token:
                return changed + await self._sync_named(known)

    async def _sync_named(self, names: Iterable[tuple[str, str]]) -> int:
        by_namespace: dict[str, list[str]] = {}
        for namespace, name in names:
            by_namespace.setdefault(namespace, []).append(name)
        changed = 0
        for namespace, ids in by_namespace.items():
            for start in range(0, len(ids), NAMES_MAX):
                request = pb.ListWorkflowTriggersRequest(
                    namespace=namespace, workflow_ids=ids[start : start + NAMES_MAX]
                )
                page = await self._definitions.ListWorkflowTriggers(request)
                changed += await self._store_triggers(page.workflows)
        return changed

    async def _store_triggers(self, workflows: Iterable[trigger_pb2.WorkflowTriggers]) -> int:
        changed = 0
        for found in workflows:
            async with self._store.change() as change:
                if not await change.update_source(found):
                    continue
                now_us = await change.now_us()
                for trigger in found.triggers if found.live else ():
                    await change.update_trigger(found, trigger, _next_us(trigger, now_us))
                await change.delete_removed(found)
            changed += 1
        return changed


def _next_us(trigger: trigger_pb2.Trigger, now_us: int) -> int | None:
    if not trigger.HasField("cron"):
        return None
    try:
        schedule = Schedule(trigger.cron.expression, trigger.cron.time_zone)
    except ScheduleInvalid:
        # The time zone is unknown on this machine: firing reports it and retries.
        return now_us
    return schedule.next_after(now_us)


class InstanceWatchLoop(Loop):
    """Calls back when instances of a service start or stop."""

    interval_ms = 500

    def __init__(self, runtime: Runtime, service: str, on_change: Callable[[], object]) -> None:
        self._runtime = runtime
        self._service = service
        self._on_change = on_change

    @property
    def name(self) -> str:
        return f"{type(self).__name__}({self._service})"

    async def run_once(self) -> None:
        """Follow the registry until its stream ends."""
        async for _ in self._runtime.instances(self._service):
            self._on_change()
