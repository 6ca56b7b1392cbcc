"""The client's calls about triggers: what starts executions from outside, and what it starts."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
class Trigger:
    """A trigger and how it goes. `about` is what it fires for, as people read it.

    Of what it has `fired` for, `refused` started nothing, `joined` an execution that was there.
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


@dataclass(frozen=True, slots=True)
class Fired:
    """What was started; `created` is false where it was there already."""

    execution_id: str
    created: bool


@dataclass(frozen=True, slots=True)
class Published:
    """An event that is kept; `triggers` fire for it."""

    id: str
    created: bool
    triggers: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Something a trigger fires for, and the request id of what it starts."""

    name: str
    at: datetime | None
    request_id: str
    input: Json
    error: str


@dataclass(frozen=True, slots=True)
class Hook:
    """A node that waits for a call, and the path of the URL that it waits at."""

    node: str
    url: str


class TriggerCalls(Connection):
    """Triggers, events, and nodes that wait for calls."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trigger_service = rpc.TriggerServiceStub(self.caller.channel)

    async def triggers(
        self, workflow_id: str = "", *, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[Trigger]:
        """All triggers, or those of one workflow."""
        request = pb.ListTriggersRequest(
            namespace=self.namespace, workflow_id=workflow_id, page_size=page_size
        )
        async for state in self.pages(self.trigger_service.ListTriggers, request, "triggers"):
            yield _trigger(state)

    async def pause_trigger(self, workflow_id: str, trigger_id: str) -> Trigger:
        """It starts nothing until it is resumed, whatever version the workflow gets."""
        request = pb.PauseTriggerRequest(
            namespace=self.namespace, workflow_id=workflow_id, trigger_id=trigger_id
        )
        response = await self.caller.call(self.trigger_service.PauseTrigger, request)
        return _trigger(response.trigger)

    async def resume_trigger(self, workflow_id: str, trigger_id: str) -> Trigger:
        request = pb.ResumeTriggerRequest(
            namespace=self.namespace, workflow_id=workflow_id, trigger_id=trigger_id
        )
        response = await self.caller.call(self.trigger_service.ResumeTrigger, request)
        return _trigger(response.trigger)

    async def fire_trigger(
        self, workflow_id: str, trigger_id: str, input: Json = None, *, request_id: str = ""
    ) -> Fired:
        """Starts an execution as if the trigger had fired now, with this input if there is one."""
        request = pb.FireTriggerRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            trigger_id=trigger_id,
            input=None if input is None else await self.payloads.pack(input),
            request_id=request_id or self.new_id(),
            actor=self.actor,
        )
        response = await self.caller.call(self.trigger_service.FireTrigger, request)
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
        """Publishes an event; again with the same source and id changes nothing."""
        event = pb.Event(
            id=id or self.new_id(),
            source=source,
            type=type,
            subject=subject,
            time_us=_micros(time) if time else 0,
            data=payload_pb2.Payload(data=encode(data)),
            extensions=extensions_of(extensions or {}),
        )
        request = pb.PublishEventRequest(namespace=self.namespace, event=event)
        response = await self.caller.call(self.trigger_service.PublishEvent, request)
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
        """What a trigger fires for in a stretch of time, from `since` and before `until`."""
        request = self._causes(workflow_id, trigger_id, since, until)
        request.page_size = page_size
        async for item in self.pages(self.trigger_service.ListCauses, request, "causes"):
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
        request = self._causes(workflow_id, trigger_id, since, until)
        request.count_only = True
        response = await self.caller.call(self.trigger_service.ListCauses, request)
        return int(response.count)

    async def hooks(self, execution_id: str) -> tuple[Hook, ...]:
        """Nodes of an execution that wait for a call."""
        request = pb.ListHooksRequest(namespace=self.namespace, execution_id=execution_id)
        response = await self.caller.call(self.trigger_service.ListHooks, request)
        return tuple(Hook(each.node, f"/api/v1/hooks/t/{each.token}") for each in response.hooks)

    def _causes(
        self, workflow_id: str, trigger_id: str, since: datetime, until: datetime
    ) -> pb.ListCausesRequest:
        return pb.ListCausesRequest(
            namespace=self.namespace,
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
    )


def _about(namespace: str, trigger: trigger_pb2.Trigger) -> str:
    if trigger.HasField("cron"):
        return f"{trigger.cron.expression} {trigger.cron.time_zone}".rstrip()
    if trigger.HasField("event"):
        event = trigger.event
        return " ".join(part for part in (event.type, event.source, event.filter) if part)
    return f"/api/v1/hooks/{namespace}/{trigger.webhook.hook}"
