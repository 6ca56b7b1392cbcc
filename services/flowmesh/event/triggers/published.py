"""Events that may fire triggers: published by clients, or lifecycle events of executions."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError
from structlog.typing import FilteringBoundLogger

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.contract.json_value import Json
from flowmesh.event.misfits import Misfit, TriggerMisfit
from flowmesh.event.triggers.store import Firing, Row, TriggerStore
from flowmesh.expressions import RenderError
from flowmesh.sandbox import Sandbox
from flowmesh.standards.extensions import json_of
from flowmesh.triggers import Filter, Inputs, wants
from flowmesh.views import cloud_event_value, exact_value, instant
from flowmesh.views.masking import masked_message

# Prefix of the types of lifecycle events; clients must not publish these types.
LIFECYCLE: Final = "flowmesh."
COMPILED_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class CompiledTrigger:
    """An event trigger, compiled."""

    namespace: str
    workflow: str
    id: str
    trigger: trigger_pb2.EventTrigger
    filter: Filter
    inputs: Inputs

    async def firing(self, cause: str, at_us: int, event: Json) -> Firing | None:
        """Return the firing, or None without a match. Raises Misfit."""
        if not wants(self.trigger, event):
            return None
        await asyncio.sleep(0)  # yield to other tasks between filters
        try:
            if not await self.filter.holds(event):
                return None
        except RenderError as error:
            raise Misfit.of_filter(error) from error
        scope = {"event": event, "trigger": {"id": self.id, "workflow": self.workflow}}
        try:
            given = self.inputs.of(scope)
        except RenderError as error:
            raise Misfit.of_input(error) from error
        return Firing(self.namespace, self.workflow, self.id, cause, at_us, given)

    async def fire(self, found: "Fired", cause: str, at_us: int, event: Json) -> None:
        """Add the firing or the misfit of an event."""
        try:
            firing = await self.firing(cause, at_us, event)
        except Misfit as misfit:
            found.misfits.append(TriggerMisfit(self.namespace, self.workflow, self.id, misfit))
            return
        if firing is not None:
            found.firings.append(firing)


@dataclass(slots=True)
class Fired:
    """The firings of events, and the triggers that they do not fit."""

    firings: list[Firing] = field(default_factory=list)
    misfits: list[TriggerMisfit] = field(default_factory=list)


class TriggerCache:
    """Compiles each trigger once while it is in use."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._compiled: dict[tuple[str, str, bytes], CompiledTrigger] = {}

    def compiled(self, namespace: str, row: Row) -> CompiledTrigger:
        key = (namespace, row["workflow"], row["body"])
        found = self._compiled.get(key)
        if found is None:
            if len(self._compiled) >= COMPILED_MAX:
                self._compiled.clear()
            trigger = trigger_pb2.Trigger.FromString(row["body"])
            found = self._compiled[key] = CompiledTrigger(
                namespace,
                row["workflow"],
                trigger.id,
                trigger.event,
                Filter(trigger.event.filter, "event", namespace, self._sandbox),
                Inputs(trigger),
            )
        return found


class LifecycleTriggers:
    """Triggers that match lifecycle events of executions.

    Without such triggers, rows are not even parsed.
    """

    def __init__(
        self,
        *,
        store: TriggerStore,
        trigger_cache: TriggerCache,
        on_firing: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._trigger_cache = trigger_cache
        self._on_firing = on_firing
        self._log = log
        self._by_namespace: dict[str, list[CompiledTrigger]] = {}

    async def load(self) -> None:
        """Load the triggers, including paused ones: pauses are checked when they fire."""
        found: dict[str, list[CompiledTrigger]] = {}
        for row in await self._store.all_event_triggers():
            await asyncio.sleep(0)  # yield to other tasks between triggers
            try:
                trigger = self._trigger_cache.compiled(row["namespace"], row)
            except Exception as error:  # noqa: BLE001 a broken trigger must not delay others
                self._log.error(
                    "trigger_not_read",
                    namespace=row["namespace"],
                    workflow=row["workflow"],
                    trigger=row["id"],
                    exc_info=error,
                )
                continue
            if trigger.trigger.type.startswith(LIFECYCLE):
                found.setdefault(row["namespace"], []).append(trigger)
        self._by_namespace = found

    def matching(
        self, rows: Iterable[history_service_pb2.EventRow]
    ) -> list[history_service_pb2.EventRow]:
        """Return copies of the rows that a trigger may match, so that the commit can be freed."""
        if not self._by_namespace:
            return []
        found = []
        for row in rows:
            if self._triggers_for(row):
                found.append(history_service_pb2.EventRow())
                found[-1].CopyFrom(row)
        return found

    def _triggers_for(self, row: history_service_pb2.EventRow) -> list[CompiledTrigger]:
        """Return the triggers for a row. An execution never fires triggers of its own workflow."""
        return [
            trigger
            for trigger in self._by_namespace.get(row.namespace, ())
            if trigger.workflow != row.workflow_id
        ]

    async def store(self, rows: Iterable[history_service_pb2.EventRow]) -> None:
        """Store the firings for the rows."""
        found = Fired()
        for row in rows:
            await _fire(found, row, self._triggers_for(row))
        if found.firings:
            await self._store.add_unpaused(found.firings)
            self._on_firing()
        await self._store.note_misfits(found.misfits)


async def _fire(
    found: Fired, row: history_service_pb2.EventRow, triggers: list[CompiledTrigger]
) -> None:
    try:
        events = history_event_pb2.HistoryEvents.FromString(row.events).events
    except DecodeError:
        return
    for event in events:
        lifecycle = event_service_pb2.LifecycleEvent(
            namespace=row.namespace,
            execution_id=row.execution_id,
            workflow_id=row.workflow_id,
            event=event,
        )
        value = lifecycle_value(lifecycle)
        for trigger in triggers:
            await trigger.fire(found, value["id"], event.at_us, value)


def lifecycle_value(lifecycle: event_service_pb2.LifecycleEvent) -> dict[str, Json]:
    """Return the value of `event` for an event of an execution."""
    return cloud_event_value(masked_message(lifecycle), read=exact_value)


def event_value(event: pb.Event) -> dict[str, Json]:
    """Return the value of `event` in filters and templates."""
    return {
        **{name: json_of(value) for name, value in event.extensions.items()},
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": instant(event.time_us),
        "data": exact_value(event.data),
    }


def cause_of(event: pb.Event) -> str:
    return f"{event.source} {event.id}"
