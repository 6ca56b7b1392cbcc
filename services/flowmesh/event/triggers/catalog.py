"""Learns from the definition service which triggers there are.

A change of a workflow is told over the bus, at once and at most once. So everything is asked for
again when this process begins, when the bus comes back, when a definition service comes or goes,
and every ten minutes.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

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
AGAIN_S: Final = 600.0
NAMES_MAX: Final = 1_000
# Changes told and not looked at; with more of them everything is asked for.
TOLD_MAX: Final = 10_000


class Catalog(Loop):
    """Keeps the triggers of this service what those of the definitions are."""

    interval_ms = 1

    def __init__(
        self,
        *,
        store: TriggerStore,
        definitions: "TriggerCatalogServiceAsyncStub",
        on_change: Callable[[], None],
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._on_change = on_change
        self._told: set[tuple[str, str]] = set()
        self._all = True
        self._wanted = asyncio.Event()
        self._wanted.set()

    async def hear(self, message: Message) -> None:
        """A change that the definition service tells of."""
        told = orjson.loads(message.data)
        self._told.update((told["namespace"], name) for name in told["names"])
        if len(self._told) > TOLD_MAX:
            self._told.clear()
            self._all = True
        self._wanted.set()

    def want_all(self) -> None:
        """Something may have been missed."""
        self._all = True
        self._wanted.set()

    async def ask_for_all(self) -> None:
        """The same when the bus is back."""
        self.want_all()

    async def run_once(self) -> int:
        """Waits for something to ask for, asks; returns how many workflows have changed."""
        try:
            async with asyncio.timeout(AGAIN_S):
                await self._wanted.wait()
        except TimeoutError:
            self._all = True
        self._wanted.clear()
        everything, self._all = self._all, False
        told, self._told = self._told, set()
        try:
            changed = await self._everything() if everything else await self._named(told)
        except BaseException:
            self._all, self._told = self._all or everything, self._told | told
            self._wanted.set()
            raise
        # Another process may have learned it first: what this one keeps in memory is as old.
        self._on_change()
        return changed

    async def _everything(self) -> int:
        known = await self._store.known_workflows()
        changed, token = 0, ""
        while True:
            request = pb.ListWorkflowTriggersRequest(page_token=token)
            page = await self._definitions.ListWorkflowTriggers(request)
            known -= {(each.namespace, each.workflow_id) for each in page.workflows}
            changed += await self._learn(page.workflows)
            token = page.next_page_token
            if not token:
                return changed + await self._named(known)

    async def _named(self, names: Iterable[tuple[str, str]]) -> int:
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
                changed += await self._learn(page.workflows)
        return changed

    async def _learn(self, workflows: Iterable[trigger_pb2.WorkflowTriggers]) -> int:
        changed = 0
        for found in workflows:
            async with self._store.change() as change:
                if not await change.learn_source(found):
                    continue
                now_us = await change.now_us()
                for trigger in found.triggers if found.live else ():
                    await change.learn_trigger(found, trigger, _next_us(trigger, now_us))
                await change.forget_others(found)
            changed += 1
        return changed


def _next_us(trigger: trigger_pb2.Trigger, now_us: int) -> int | None:
    if not trigger.HasField("cron"):
        return None
    try:
        schedule = Schedule(trigger.cron.expression, trigger.cron.time_zone)
    except ScheduleInvalid:
        # Of a zone that this machine does not know: whoever fires it says so, and tries again.
        return now_us
    return schedule.next_after(now_us)


class Neighbours(Loop):
    """Calls back when instances of a service come or go."""

    interval_ms = 500

    def __init__(self, runtime: Runtime, service: str, on_change: Callable[[], object]) -> None:
        self._runtime = runtime
        self._service = service
        self._on_change = on_change

    @property
    def name(self) -> str:
        return f"{type(self).__name__}({self._service})"

    async def run_once(self) -> None:
        """Follows the registry until that ends."""
        async for _ in self._runtime.instances(self._service):
            self._on_change()
