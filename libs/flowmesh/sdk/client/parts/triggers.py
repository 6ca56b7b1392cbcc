"""Calls about triggers (cron, events, webhooks, queues, changes) and the events that fire them."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.api.event.v1 import trigger_service_pb2_grpc as rpc
from flowmesh.contract.json_value import Json
from flowmesh.records import Source, value_from, values_from
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.payloads import encode
from flowmesh.standards.extensions import extensions_of


def _limit_of(bytes_max: int) -> int | None:
    return bytes_max if bytes_max > 0 else None


def _kind_of(trigger: trigger_pb2.Trigger) -> str:
    return trigger.WhichOneof("kind") or ""


def _about(state: pb.TriggerState) -> str:
    trigger = state.trigger
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
    return f"/api/v1/hooks/{state.namespace}/{trigger.webhook.hook}"


@dataclass(frozen=True, slots=True)
class ChangeSlot:
    """The replication slot of a change trigger, as of `checked_at`.

    `phase` is creating, reading or lost. `lag_bytes` is the log that the database keeps for it;
    `keep_bytes_max` is the limit of the database on that, or None without one.
    """

    name: str
    phase: str
    lag_bytes: int
    keep_bytes_max: Annotated[int | None, Source(read=_limit_of)]
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
    id: Annotated[str, Source("trigger.")]
    kind: Annotated[str, Source("trigger", read=_kind_of)]
    version: int
    about: Annotated[str, Source(".", read=_about)]
    paused: bool
    next_at: datetime | None
    last_at: datetime | None
    last_execution_id: str
    last_error: str
    fired: int
    missed: int
    refused: int
    joined: int
    slot: Annotated[ChangeSlot | None, Source("change_slot")] = None


@dataclass(frozen=True, slots=True)
class Fired:
    """A started execution; `created` is False if it existed already."""

    execution_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class Published:
    """A stored event; `triggers` is the number of triggers that fire for it."""

    id: Annotated[str, Source("event_id")]
    created: bool
    triggers: int


@dataclass(frozen=True, slots=True)
class Cause:
    """An event or moment that fires a trigger, with the request id of the start."""

    name: str
    at: datetime | None
    request_id: str
    input: Annotated[Json, Source("input.data")]
    error: str


@dataclass(frozen=True, slots=True)
class Hook:
    """A node that waits for an HTTP call, and the path of its URL."""

    node: str
    url: Annotated[str, Source("token", read="/api/v1/hooks/t/{}".format)]


class TriggerCalls:
    """Triggers of the client's namespace, events, and nodes that wait for HTTP calls."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.TriggerServiceStub(connection.caller.channel)

    async def list(
        self, workflow_id: str = "", *, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Trigger]:
        """Iterate over all triggers, or those of one workflow."""
        request = pb.ListTriggersRequest(workflow_id=workflow_id, page_size=page_size)
        async for state in self._connection.pages(self._stub.ListTriggers, request, "triggers"):
            yield value_from(Trigger, state)

    def __call__(
        self, workflow_id: str = "", *, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Trigger]:
        """Same as `list`."""
        return self.list(workflow_id, page_size=page_size)

    async def pause(self, workflow_id: str, trigger_id: str) -> Trigger:
        """Pause a trigger until it is resumed; new versions of the workflow do not resume it."""
        request = pb.PauseTriggerRequest(workflow_id=workflow_id, trigger_id=trigger_id)
        response = await self._connection.call(self._stub.PauseTrigger, request)
        return value_from(Trigger, response.trigger)

    async def resume(self, workflow_id: str, trigger_id: str) -> Trigger:
        """Resume a paused trigger."""
        request = pb.ResumeTriggerRequest(workflow_id=workflow_id, trigger_id=trigger_id)
        response = await self._connection.call(self._stub.ResumeTrigger, request)
        return value_from(Trigger, response.trigger)

    async def fire(
        self, workflow_id: str, trigger_id: str, input: Json = None, *, request_id: str = ""
    ) -> Fired:
        """Start an execution as if the trigger fired now, with `input` in place of its own."""
        request = pb.FireTriggerRequest(
            workflow_id=workflow_id,
            trigger_id=trigger_id,
            input=None if input is None else await self._connection.payloads.pack(input),
        )
        response = await self._connection.change(self._stub.FireTrigger, request, request_id)
        return value_from(Fired, response)

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
        request = pb.PublishEventRequest(event=event)
        response = await self._connection.call(self._stub.PublishEvent, request)
        return value_from(Published, response)

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
            yield value_from(Cause, item)

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
        request = pb.ListHooksRequest(execution_id=execution_id)
        response = await self._connection.call(self._stub.ListHooks, request)
        return values_from(Hook, response.hooks)

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
