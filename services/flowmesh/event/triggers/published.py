"""Events that may fire triggers: published by clients, or lifecycle events of executions."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import DecodeError
from structlog.typing import FilteringBoundLogger

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.errors import Invalid, TooLarge, Violation
from flowmesh.event.misfits import Misfit, TriggerMisfit
from flowmesh.event.notifications.compiled import CompiledSubscription, SubscriptionCache
from flowmesh.event.triggers.store import Firing, Row, TriggerStore
from flowmesh.expressions import RenderError
from flowmesh.failpoints import failpoint
from flowmesh.jsontext import check_json
from flowmesh.sandbox import Sandbox
from flowmesh.sandbox.turns import Turns
from flowmesh.standards.extensions import check_extensions, json_of
from flowmesh.triggers import Filter, Inputs, wants
from flowmesh.views import cloud_event_value, exact_value, instant

Json = Any
# Prefix of the types of lifecycle events; clients must not publish these types.
LIFECYCLE: Final = "flowmesh."
ATTRIBUTE_CHARACTERS_MAX: Final = 1_024
ID_CHARACTERS_MAX: Final = 256
# Source and id in UTF-8 together, which identify an event.
NAMES_BYTES_MAX: Final = 2_400
DATA_BYTES_MAX: Final = 256 * 1024
COMPILED_MAX: Final = 1_000
# Publications at a time, which each hold a connection; and those of namespaces without one.
PUBLISHING_MAX: Final = 6
PUBLISHING_SPARE: Final = 2


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


class Publisher:
    """Publishes events of clients."""

    def __init__(
        self,
        *,
        store: TriggerStore,
        trigger_cache: TriggerCache,
        settled: Callable[[], Awaitable[None]],
        new_id: Callable[[], str],
        on_firing: Callable[[], None],
        on_published: Callable[[], None],
        subscriptions: SubscriptionCache,
        on_notifications: Callable[[Sequence[CompiledSubscription]], Awaitable[None]],
    ) -> None:
        self._store = store
        self._trigger_cache = trigger_cache
        self._settled = settled
        self._new_id = new_id
        self._on_firing = on_firing
        self._on_published = on_published
        self._subscriptions = subscriptions
        self._on_notifications = on_notifications
        self._turns = Turns(PUBLISHING_MAX, PUBLISHING_SPARE)

    async def publish(self, namespace: str, given: pb.Event) -> pb.PublishEventResponse:
        """Validate and commit an event of a client with its firings."""
        event = pb.Event()
        event.CopyFrom(given)
        event.id = event.id or self._new_id()
        event.source = event.source or "/"
        check_event(event)
        return await self.commit(namespace, event)

    async def commit(self, namespace: str, event: pb.Event) -> pb.PublishEventResponse:
        """Commit a valid event with its firings, of all triggers announced before it."""
        await self._settled()
        async with self._turns.turn(namespace), self._store.change() as change:
            now_us = await change.now_us()
            event.time_us = event.time_us or now_us
            if not await change.add_published(namespace, event, now_us):
                return pb.PublishEventResponse(event_id=event.id, created=False)
            rows = await change.event_triggers(namespace)
            fired = await self._fired(namespace, event, now_us, rows)
            if fired.firings:
                await change.add_firings(fired.firings, lease_ms=0)
            subscribed = await change.subscriptions(namespace)
            found = await self._subscriptions.notifications(subscribed, event_value(event))
            await change.add_notifications(list(found.notifications.values()))
            await change.note_misfits(fired.misfits, found.misfits)
        failpoint("event.published")
        self._on_published()
        if found.notifications:
            await self._on_notifications(list(found.notifications))
        if fired.firings:
            self._on_firing()
        return pb.PublishEventResponse(event_id=event.id, created=True, triggers=len(fired.firings))

    async def _fired(self, namespace: str, event: pb.Event, at_us: int, rows: list[Row]) -> Fired:
        found = Fired()
        if rows:
            value, cause = event_value(event), cause_of(event)
            for row in rows:
                try:
                    trigger = self._trigger_cache.compiled(namespace, row)
                except Exception as error:  # noqa: BLE001 a broken trigger must not delay others
                    misfit = Misfit.of_definition(error)
                    found.misfits.append(
                        TriggerMisfit(namespace, row["workflow"], row["id"], misfit)
                    )
                    continue
                await trigger.fire(found, cause, at_us, value)
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
    return cloud_event_value(lifecycle, read=exact_value)


def check_time(event: pb.Event) -> None:
    """Raise EVENT_INVALID for a time out of the range of calendars."""
    if event.time_us < 0 or event.time_us > 2**53:
        raise _invalid("time", "must be microseconds since the epoch, at most 2^53")


def check_event(event: pb.Event) -> None:
    """Raise EVENT_INVALID for an invalid attribute."""
    for name, most in (
        ("id", ID_CHARACTERS_MAX),
        ("source", ATTRIBUTE_CHARACTERS_MAX),
        ("type", ATTRIBUTE_CHARACTERS_MAX),
        ("subject", ATTRIBUTE_CHARACTERS_MAX),
    ):
        value: str = getattr(event, name)
        if len(value) > most or not value.isprintable():
            raise _invalid(name, f"must have at most {most} characters, all printable")
    if len(event.source.encode()) + len(event.id.encode()) > NAMES_BYTES_MAX:
        raise _invalid("source", f"must have at most {NAMES_BYTES_MAX:,} bytes with the id")
    if not event.type:
        raise _invalid("type", "is missing; name the kind of event, such as order.paid")
    if event.type.startswith(LIFECYCLE):
        raise _invalid("type", f"must not begin with {LIFECYCLE}, which executions use")
    check_time(event)
    check_extensions(event.extensions)
    extensions_bytes = sum(len(name) + each.ByteSize() for name, each in event.extensions.items())
    size = len(event.data.data) + extensions_bytes
    if size > DATA_BYTES_MAX or event.data.HasField("reference"):
        message = (
            f"the data of an event must be inline and have, with the extensions, at most "
            f"{DATA_BYTES_MAX // 1024} KiB"
        )
        raise TooLarge("PAYLOAD_TOO_LARGE", message)
    check_json(event.data.data, "data")


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


def _invalid(field: str, what: str) -> Invalid:
    violation = Violation(field, what, "EVENT_INVALID")
    return Invalid("EVENT_INVALID", f"{field}: {what}", violations=(violation,))
