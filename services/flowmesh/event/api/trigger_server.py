"""TriggerService over gRPC: messages to arguments and back."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowmesh.access import acting_as
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.api.event.v1 import trigger_service_pb2_grpc as rpc
from flowmesh.api.execution.v1 import execution_service_pb2
from flowmesh.errors import Invalid, NotFound, Violation, WrongState
from flowmesh.event.changes.store import ChangeStore
from flowmesh.event.publishing import Publisher
from flowmesh.event.triggers.causes import Causes, Place
from flowmesh.event.triggers.firing import cron_scope
from flowmesh.event.triggers.store import Row, TriggerStore
from flowmesh.event.triggers.webhooks import Hooks
from flowmesh.expressions import RenderError
from flowmesh.expressions.secrets import is_secret_reference
from flowmesh.rpc import last_of_token, list_key, namespace_of, page_token, valid_id
from flowmesh.triggers import Inputs

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
MASK: Final = "***"


class TriggerServer(rpc.TriggerServiceServicer):
    """Lists and changes triggers, and accepts events and webhook calls."""

    def __init__(
        self,
        *,
        store: TriggerStore,
        publisher: Publisher,
        hooks: Hooks,
        causes: Causes,
        changes: ChangeStore,
        settled: Callable[[], Awaitable[None]],
        on_change: Callable[[], None],
        executions: "ExecutionServiceAsyncStub",
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._hooks = hooks
        self._causes = causes
        self._changes = changes
        self._settled = settled
        self._on_change = on_change
        self._executions = executions

    async def ListTriggers(
        self, request: pb.ListTriggersRequest, context: Any
    ) -> pb.ListTriggersResponse:
        size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
        name = list_key(request)
        after = orjson.loads(last_of_token(request.page_token, name) or '["", ""]')
        await self._settled()
        page, more = await self._store.triggers(
            namespace_of(request),
            workflow=request.workflow_id,
            after=tuple(after),
            count=size,
        )
        last = [page[-1]["workflow"], page[-1]["id"]] if more else None
        return pb.ListTriggersResponse(
            triggers=await self._states(page), next_page_token=_token(name, last)
        )

    async def PauseTrigger(
        self, request: pb.PauseTriggerRequest, context: Any
    ) -> pb.PauseTriggerResponse:
        return pb.PauseTriggerResponse(trigger=await self._set_paused(request, paused=True))

    async def ResumeTrigger(
        self, request: pb.ResumeTriggerRequest, context: Any
    ) -> pb.ResumeTriggerResponse:
        return pb.ResumeTriggerResponse(trigger=await self._set_paused(request, paused=False))

    async def FireTrigger(
        self, request: pb.FireTriggerRequest, context: Any
    ) -> pb.FireTriggerResponse:
        row = await self._row(request)
        start = execution_service_pb2.StartExecutionRequest(
            namespace=row["namespace"],
            workflow_id=row["workflow"],
            input=request.input,
            request_id=request.request_id or f"fire_{uuid.uuid4().hex}",
            actor=request.actor or f"trigger:{row['id']}",
        )
        if not request.HasField("input") and row["kind"] == "cron":
            trigger = trigger_pb2.Trigger.FromString(row["body"])
            scope = {"trigger": cron_scope(row, await self._store.now_us())}
            try:
                start.input.data = Inputs(trigger).of(scope)
            except RenderError as error:
                what = f"the trigger has no valid input: {error}; pass an input"
                violation = Violation("input", what, "INPUT_INVALID")
                text = f"input: {what}"
                raise Invalid("INPUT_INVALID", text, violations=(violation,)) from error
        response = await self._executions.StartExecution(start)
        return pb.FireTriggerResponse(execution_id=response.execution_id, created=response.created)

    async def ListCauses(
        self, request: pb.ListCausesRequest, context: Any
    ) -> pb.ListCausesResponse:
        row = await self._row(request)
        if request.count_only:
            count = await self._causes.count(row, request.from_us, request.to_us)
            return pb.ListCausesResponse(count=count)
        size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
        name = list_key(request)
        place = orjson.loads(last_of_token(request.page_token, name) or "null")
        found, place = await self._causes.page(row, request.from_us, request.to_us, place, size)
        return pb.ListCausesResponse(causes=found, next_page_token=_token(name, place))

    async def PublishEvent(
        self, request: pb.PublishEventRequest, context: Any
    ) -> pb.PublishEventResponse:
        return await self._publisher.publish(namespace_of(request), request.event)

    async def ReceiveWebhook(
        self, request: pb.ReceiveWebhookRequest, context: Any
    ) -> pb.ReceiveWebhookResponse:
        headers: dict[str, str] = {}
        for header in request.headers:
            headers.setdefault(header.name, header.value)
        # The URL and the signature are the credential of a call.
        with acting_as(None):
            if request.token:
                return await self._hooks.resume(request.token, headers, request.body)
            namespace = namespace_of(request)
            return await self._hooks.start(namespace, request.hook, headers, request.body)

    async def ListHooks(self, request: pb.ListHooksRequest, context: Any) -> pb.ListHooksResponse:
        execution_id = valid_id(request.execution_id, "execution_id")
        found = await self._hooks.of_execution(namespace_of(request), execution_id)
        return pb.ListHooksResponse(hooks=found)

    async def _row(self, request: Any) -> Row:
        workflow = valid_id(request.workflow_id, "workflow_id")
        trigger = valid_id(request.trigger_id, "trigger_id")
        await self._settled()
        row = await self._store.trigger(namespace_of(request), workflow, trigger)
        if row is None:
            message = f"workflow {workflow!r} has no trigger {trigger!r}"
            raise NotFound("TRIGGER_NOT_FOUND", message)
        return row

    async def _set_paused(self, request: Any, *, paused: bool) -> pb.TriggerState:
        row = await self._row(request)
        changed = await self._store.set_paused(
            row["namespace"], row["workflow"], row["id"], paused=paused
        )
        if changed is None:
            reason = "TRIGGER_PAUSED" if paused else "TRIGGER_NOT_PAUSED"
            what = "is already paused" if paused else "is not paused"
            raise WrongState(reason, f"trigger {row['id']} of {row['workflow']} {what}")
        self._on_change()
        (state,) = await self._states([changed])
        return state

    async def _states(self, rows: Sequence[Row]) -> list[pb.TriggerState]:
        """Return the states of triggers of one namespace."""
        states = [state_of(row) for row in rows]
        of_tables = {row["workflow"] for row in rows if row["kind"] == "change"}
        if of_tables:
            slots = await self._changes.states(rows[0]["namespace"], sorted(of_tables))
            for state in states:
                slot = slots.get((state.workflow_id, state.trigger.id))
                if slot is not None:
                    state.change_slot.CopyFrom(slot)
        return states


def _token(list_name: str, place: Place | None) -> str:
    return page_token(list_name, orjson.dumps(place).decode()) if place else ""


def state_of(row: Row) -> pb.TriggerState:
    """Return the state of a trigger with its secret masked."""
    trigger = trigger_pb2.Trigger.FromString(row["body"])
    secret = trigger.webhook.receiver.secret
    if secret and not is_secret_reference(secret):
        trigger.webhook.receiver.secret = MASK
    return pb.TriggerState(
        namespace=row["namespace"],
        workflow_id=row["workflow"],
        version=row["version"],
        trigger=trigger,
        paused=row["paused"],
        next_at_us=0 if row["paused"] else row["next_us"] or 0,
        last_at_us=row["last_us"],
        last_execution_id=row["last_execution"],
        last_error=row["last_error"],
        fired=row["fired"],
        missed=row["missed"],
        refused=row["refused"],
        joined=row["joined"],
    )
