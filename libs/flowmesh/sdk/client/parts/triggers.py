"""Calls about triggers (cron, events, webhooks, queues, changes) and the events that fire them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.api.event.v1 import trigger_service_pb2_grpc as rpc
from flowmesh.sdk import limits
from flowmesh.sdk.client.connection import Connection
from flowmesh.sdk.executions import moment
from flowmesh.sdk.payloads import Json, decode_bytes, encode
from flowmesh.standards.extensions import extensions_of


@dataclass(frozen=True, slots=True)
class ChangeSlot:
    """The replication slot of a change trigger, as of `checked_at`.

    `phase` is creating, reading or lost. `lag_bytes` is the log that the database keeps for it;
    `keep_bytes_max` is the limit of the database on that, or None without one.
    """

    name: str
    phase: str
    lag_bytes: int
    keep_bytes_max: int | None
    position: str
    problem: str
    checked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger with its counters. `about` is a readable summary of its schedule or filter.

    `fired` counts the firings. Of these, `refused` started no execution and `joined` found the
    execution already started.
    """

    workflow_id: str
    id: str
    kind: str
    version: int
    about: str
    paused: bool
    next_at: datetime | None
    last_at: datetime | None
    last_execution_id: str
    last_error: str
    fired: int
    missed: int
    refused: int
    joined: int
    slot: ChangeSlot | None = None


@dataclass(frozen=True, slots=True)
class Fired:
    """A started execution; `created` is False if it existed already."""

    execution_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class Published:
    """A stored event; `triggers` is the number of triggers that fire for it."""

    id: str
    created: bool
    triggers: int


@dataclass(frozen=True, slots=True)
class Cause:
    """An event or moment that fires a trigger, with the request id of the start."""

    name: str
    at: datetime | None
    request_id: str
    input: Json
    error: str


@dataclass(frozen=True, slots=True)
class Hook:
    """A node that waits for an HTTP call, and the path of its URL."""

    node: str
    url: str


class TriggerCalls:
    """Triggers of the client's namespace, events, and nodes that wait for HTTP calls."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.TriggerServiceStub(connection.caller.channel)

    async def list(
        self, workflow_id: str = "", *, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Trigger]:
        """Iterate over all triggers, or those of one workflow."""
        request = pb.ListTriggersRequest(
            namespace=self._connection.namespace, workflow_id=workflow_id, page_size=page_size
        )
        async for state in self._connection.pages(self._stub.ListTriggers, request, "triggers"):
            yield _trigger(state)

    def __call__(
        self, workflow_id: str = "", *, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Trigger]:
        """Same as `list`."""
        return self.list(workflow_id, page_size=page_size)

    async def pause(self, workflow_id: str, trigger_id: str) -> Trigger:
        """Pause a trigger until it is resumed; new versions of the workflow do not resume it."""
        request = pb.PauseTriggerRequest(
            namespace=self._connection.namespace, workflow_id=workflow_id, trigger_id=trigger_id
        )
        response = await self._connection.caller.call(self._stub.PauseTrigger, request)
        return _trigger(response.trigger)

    async def resume(self, workflow_id: str, trigger_id: str) -> Trigger:
        """Resume a paused trigger."""
        request = pb.ResumeTriggerRequest(
            namespace=self._connection.namespace, workflow_id=workflow_id, trigger_id=trigger_id
        )
        response = await self._connection.caller.call(self._stub.ResumeTrigger, request)
        return _trigger(response.trigger)

    async def fire(
        self, workflow_id: str, trigger_id: str, input: Json = None, *, request_id: str = ""
    ) -> Fired:
        """Start an execution as if the trigger fired now, with `input` in place of its own."""
        request = pb.FireTriggerRequest(
            namespace=self._connection.namespace,
            workflow_id=workflow_id,
            trigger_id=trigger_id,
            input=None if input is None else await self._connection.payloads.pack(input),
            request_id=request_id or self._connection.new_id(),
            actor=self._connection.actor,
        )
        response = await self._connection.caller.call(self._stub.FireTrigger, request)
        return Fired(response.execution_id, response.created)

    async def publish(
        self,
        type: str,
        data: Json = None,
        *,
        source: str = "",
        id: str = "",
        subject: str = "",
        time: datetime | None = None,
        extensions: Mapping[str, str | int | bool] | None = None,
    ) -> Published:
        """Publish an event; repeating it with the same source and id has no effect."""
        event = pb.Event(
            id=id or self._connection.new_id(),
            source=source,
            type=type,
            subject=subject,
            time_us=_micros(time) if time else 0,
            data=payload_pb2.Payload(data=encode(data)),
            extensions=extensions_of(extensions or {}),
        )
        request = pb.PublishEventRequest(namespace=self._connection.namespace, event=event)
        response = await self._connection.caller.call(self._stub.PublishEvent, request)
        return Published(response.event_id, response.created, response.triggers)

    async def causes(
        self,
        workflow_id: str,
        trigger_id: str,
        since: datetime,
        until: datetime,
        *,
        page_size: int = limits.PAGE_SIZE,
    ) -> AsyncIterator[Cause]:
        """Iterate over the causes that fire a trigger from `since` until before `until`."""
        request = self._causes(workflow_id, trigger_id, since, until)
        request.page_size = page_size
        async for item in self._connection.pages(self._stub.ListCauses, request, "causes"):
            yield Cause(
                item.name,
                moment(item.at_us),
                item.request_id,
                decode_bytes(item.input.data),
                item.error,
            )

    async def count_causes(
        self, workflow_id: str, trigger_id: str, since: datetime, until: datetime
    ) -> int:
        """Return the number of causes from `since` until before `until`."""
        request = self._causes(workflow_id, trigger_id, since, until)
        request.count_only = True
        response = await self._connection.caller.call(self._stub.ListCauses, request)
        return int(response.count)

    async def hooks(self, execution_id: str) -> tuple[Hook, ...]:
        """Return the nodes of an execution that wait for an HTTP call."""
        request = pb.ListHooksRequest(
            namespace=self._connection.namespace, execution_id=execution_id
        )
        response = await self._connection.caller.call(self._stub.ListHooks, request)
        return tuple(Hook(each.node, f"/api/v1/hooks/t/{each.token}") for each in response.hooks)

    def _causes(
        self, workflow_id: str, trigger_id: str, since: datetime, until: datetime
    ) -> pb.ListCausesRequest:
        return pb.ListCausesRequest(
            namespace=self._connection.namespace,
            workflow_id=workflow_id,
            trigger_id=trigger_id,
            from_us=_micros(since),
            to_us=_micros(until),
        )


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def _trigger(state: pb.TriggerState) -> Trigger:
    trigger = state.trigger
    return Trigger(
        workflow_id=state.workflow_id,
        id=trigger.id,
        kind=trigger.WhichOneof("kind") or "",
        version=state.version,
        about=_about(state.namespace, trigger),
        paused=state.paused,
        next_at=moment(state.next_at_us),
        last_at=moment(state.last_at_us),
        last_execution_id=state.last_execution_id,
        last_error=state.last_error,
        fired=state.fired,
        missed=state.missed,
        refused=state.refused,
        joined=state.joined,
        slot=_slot(state.change_slot) if state.HasField("change_slot") else None,
    )


def _slot(slot: pb.ChangeSlot) -> ChangeSlot:
    return ChangeSlot(
        name=slot.name,
        phase=pb.ChangeSlotPhase.Name(slot.phase).removeprefix("CHANGE_SLOT_PHASE_").lower(),
        lag_bytes=slot.lag_bytes,
        keep_bytes_max=slot.keep_bytes_max if slot.keep_bytes_max > 0 else None,
        position=slot.position,
        problem=slot.problem,
        checked_at=moment(slot.checked_at_us),
    )


def _about(namespace: str, trigger: trigger_pb2.Trigger) -> str:
    if trigger.HasField("cron"):
        return f"{trigger.cron.expression} {trigger.cron.time_zone}".rstrip()
    if trigger.HasField("event"):
        event = trigger.event
        return " ".join(part for part in (event.type, event.source, event.filter) if part)
    if trigger.HasField("queue"):
        return f"{trigger.queue.queue} {trigger.queue.filter}".rstrip()
    if trigger.HasField("change"):
        change = trigger.change
        return f"{change.database} {change.table} {change.filter}".rstrip()
    return f"/api/v1/hooks/{namespace}/{trigger.webhook.hook}"
