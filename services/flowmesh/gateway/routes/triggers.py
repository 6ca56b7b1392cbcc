"""Triggers, webhooks, and causes of past firings."""

from http import HTTPStatus
from typing import Annotated, Any

from msgspec import UNSET, Meta

from flowmesh.api.definition.v1 import definition_service_pb2, trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import trigger_answers as answers
from flowmesh.gateway.bodies.envelopes import Envelope, RequestId
from flowmesh.gateway.bodies.payloads import payload_of
from flowmesh.gateway.http.limits import WEBHOOK_BYTES_MAX
from flowmesh.gateway.http.operation_docs import (
    EXECUTE,
    MANAGE,
    TEST,
    Answer,
    Body,
    Operation,
    Route,
)
from flowmesh.gateway.http.parameters import FLAG, INSTANT, OPTIONAL_ID, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    ACTOR,
    IDEMPOTENCY_KEY,
    PAGING,
    actor_of,
    json_response,
    request_id_of,
)
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import reader
from flowmesh.tasktypes.builtin.control import RECEIVE
from flowmesh.views import instant, raw_json

_PROVIDERS = {
    number: name.removeprefix("WEBHOOK_PROVIDER_TYPE_").lower().replace("unspecified", "none")
    for name, number in trigger_pb2.WebhookProviderType.items()
}


_OPERATIONS = {
    number: name.removeprefix("CHANGE_OPERATION_")
    for name, number in trigger_pb2.ChangeOperation.items()
}


class FireRequest(Envelope, frozen=True, kw_only=True):
    """A manual firing of a trigger."""

    input: Annotated[
        Any, Meta(description="The input (default: the one that the trigger makes).")
    ] = UNSET
    request_id: RequestId = ""


async def list_triggers(backends: Backends, request: Request) -> Response:
    return await _list(backends, request, request.text("workflow"))


async def list_workflow_triggers(backends: Backends, request: Request) -> Response:
    name = request.param("name")
    # Raise NotFound for a missing workflow, unlike for one without triggers.
    await backends.definitions.GetWorkflow(
        definition_service_pb2.GetWorkflowRequest(namespace=request.namespace, workflow_id=name)
    )
    return await _list(backends, request, name)


async def _list(backends: Backends, request: Request, workflow: str) -> Response:
    response = await backends.triggers.ListTriggers(
        pb.ListTriggersRequest(
            namespace=request.namespace,
            workflow_id=workflow,
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        answers.TriggerList(
            triggers=[trigger_value(each) for each in response.triggers],
            next_page_token=response.next_page_token,
        )
    )


async def pause_trigger(backends: Backends, request: Request) -> Response:
    return await _switch(backends.triggers.PauseTrigger, pb.PauseTriggerRequest, request)


async def resume_trigger(backends: Backends, request: Request) -> Response:
    return await _switch(backends.triggers.ResumeTrigger, pb.ResumeTriggerRequest, request)


async def _switch(call: Any, message: Any, request: Request) -> Response:
    response = await call(
        message(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            trigger_id=request.param("trigger"),
        )
    )
    return json_response(trigger_value(response.trigger))


async def fire_trigger(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(FireRequest)
    given = None
    if envelope.input is not UNSET:
        given = await payload_of(backends, request.namespace, "input", envelope.input)
    response = await backends.triggers.FireTrigger(
        pb.FireTriggerRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            trigger_id=request.param("trigger"),
            input=given,
            request_id=request_id_of(request, envelope.request_id),
            actor=actor_of(request),
        )
    )
    fired = answers.FiredValue(execution_id=response.execution_id, created=response.created)
    return json_response(fired, HTTPStatus.ACCEPTED)


_cause = reader(answers.CauseValue, pb.Cause)


async def list_causes(backends: Backends, request: Request) -> Response:
    response = await backends.triggers.ListCauses(
        pb.ListCausesRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            trigger_id=request.param("trigger"),
            from_us=request.instant_us("from"),
            to_us=request.instant_us("to") or backends.clock.now_us(),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
            count_only=request.flag("countOnly"),
        )
    )
    return json_response(
        answers.CauseList(
            causes=[_cause(each) for each in response.causes],
            count=response.count if request.flag("countOnly") else UNSET,
            next_page_token=response.next_page_token,
        )
    )


async def receive_webhook(backends: Backends, request: Request) -> Response:
    return await _received(
        backends, request, namespace=request.param("namespace"), hook=request.param("hook")
    )


async def resume_by_webhook(backends: Backends, request: Request) -> Response:
    return await _received(backends, request, token=request.param("token"))


async def _received(backends: Backends, request: Request, **place: str) -> Response:
    body = await request.body(WEBHOOK_BYTES_MAX, "PAYLOAD_TOO_LARGE")
    response = await backends.triggers.ReceiveWebhook(
        pb.ReceiveWebhookRequest(
            **place,
            headers=[pb.Header(name=name, value=value) for name, value in request.headers()],
            body=body,
        )
    )
    if response.challenge:
        return json_response({"challenge": response.challenge})
    received = answers.ReceivedValue(
        execution_id=response.execution_id,
        created=response.created,
        task_id=response.node or UNSET,
    )
    return json_response(received, HTTPStatus.ACCEPTED if response.created else HTTPStatus.OK)


async def waiting_urls(backends: Backends, execution: execution_pb2.Execution) -> dict[str, str]:
    """Return the URLs of the nodes that wait for a call, without an RPC if none does."""
    running = execution_pb2.NODE_STATUS_RUNNING
    receivers = [node for node in execution.nodes if node.task_type == RECEIVE.name]
    if not any(node.status == running for node in receivers):
        return {}
    hooks = await backends.triggers.ListHooks(
        pb.ListHooksRequest(namespace=execution.namespace, execution_id=execution.execution_id)
    )
    return {each.node: answers.hook_url(each.token) for each in hooks.hooks}


def trigger_value(state: pb.TriggerState) -> answers.TriggerValue:
    trigger = state.trigger
    kind: Any = trigger.WhichOneof("kind")
    value = answers.TriggerValue(
        workflow=state.workflow_id,
        id=trigger.id,
        kind=kind,
        version=state.version,
        paused=state.paused,
        next_at=instant(state.next_at_us) if state.next_at_us else UNSET,
        last_at=instant(state.last_at_us) if state.last_at_us else UNSET,
        last_execution_id=state.last_execution_id or UNSET,
        last_error=state.last_error or UNSET,
        fired=state.fired,
        missed=state.missed,
        refused=state.refused,
        joined=state.joined,
        input=raw_json(trigger.input_template) if trigger.input_template else UNSET,
    )
    if kind == "cron":
        value.expression = trigger.cron.expression
        value.timezone = trigger.cron.time_zone or "UTC"
    elif kind == "event":
        value.type = trigger.event.type or UNSET
        value.source = trigger.event.source or UNSET
        value.filter = trigger.event.filter or UNSET
    elif kind == "queue":
        value.queue = trigger.queue.queue
        value.filter = trigger.queue.filter or UNSET
    elif kind == "change":
        value.database, value.table = trigger.change.database, trigger.change.table
        value.filter = trigger.change.filter or UNSET
        operations: list[Any] = [_OPERATIONS[each] for each in trigger.change.operations]
        value.operations = operations or UNSET
        if state.HasField("change_slot"):
            value.slot = _slot_value(state.change_slot)
    else:
        value.provider = _PROVIDERS[trigger.webhook.receiver.provider]
        value.url = f"/api/v1/hooks/{state.namespace}/{trigger.webhook.hook}"
    return value


def _slot_value(slot: pb.ChangeSlot) -> answers.ChangeSlotValue:
    phase: Any = pb.ChangeSlotPhase.Name(slot.phase).removeprefix("CHANGE_SLOT_PHASE_")
    return answers.ChangeSlotValue(
        name=slot.name,
        phase=phase,
        lag_bytes=slot.lag_bytes,
        keep_bytes_max=slot.keep_bytes_max if slot.keep_bytes_max > 0 else UNSET,
        position=slot.position or UNSET,
        problem=slot.problem or UNSET,
        checked_at=instant(slot.checked_at_us) if slot.checked_at_us else UNSET,
    )


_TRIGGERS = "/api/v1/workflows/{name}/triggers"
_TRIGGER = f"{_TRIGGERS}/{{trigger}}"
_CALL = Body(None, description="JSON, signed by the provider.")
_CALLED = (
    Answer(202, "The call was applied.", answers.ReceivedValue),
    Answer(200, "A repeated call; the outcome of the first one.", answers.ReceivedValue),
)
_CALL_ERRORS = (401, 404, 409, 413, 415)


def _changing(summary: str) -> Operation:
    return Operation(
        tag=MANAGE,
        summary=summary,
        answers=(Answer(200, "The changed trigger.", answers.TriggerValue),),
        errors=(404, 409),
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/triggers",
        list_triggers,
        Operation(
            tag=MANAGE,
            summary="List triggers: schedules, events, webhooks",
            query=(Query("workflow", "Only triggers of this workflow.", OPTIONAL_ID), *PAGING),
            answers=(Answer(200, "Sorted by workflow and id.", answers.TriggerList),),
        ),
    ),
    Route(
        "GET",
        _TRIGGERS,
        list_workflow_triggers,
        Operation(
            tag=MANAGE,
            summary="List the triggers of a workflow",
            query=PAGING,
            answers=(Answer(200, "Sorted by id.", answers.TriggerList),),
        ),
    ),
    Route("POST", f"{_TRIGGER}:pause", pause_trigger, _changing("Pause a trigger")),
    Route("POST", f"{_TRIGGER}:resume", resume_trigger, _changing("Resume a trigger")),
    Route(
        "POST",
        f"{_TRIGGER}:fire",
        fire_trigger,
        Operation(
            tag=EXECUTE,
            summary="Fire a trigger manually",
            body=Body(FireRequest, required=False),
            headers=(IDEMPOTENCY_KEY, ACTOR),
            answers=(Answer(202, "The execution is started.", answers.FiredValue),),
            errors=(404, 409, 413, 415),
        ),
    ),
    Route(
        "GET",
        f"{_TRIGGER}/causes",
        list_causes,
        Operation(
            tag=TEST,
            summary="List the firings that a trigger would have had in a time range",
            query=(
                Query("from", "Start of the range in RFC 3339, inclusive.", INSTANT),
                Query("to", "End of the range in RFC 3339, exclusive (default: now).", INSTANT),
                Query("countOnly", "Return only the number.", FLAG),
                *PAGING,
            ),
            answers=(Answer(200, "Sorted by time.", answers.CauseList),),
            errors=(404, 409),
        ),
    ),
    Route(
        "POST",
        "/api/v1/hooks/{namespace}/{hook}",
        receive_webhook,
        Operation(
            tag=EXECUTE,
            summary="Call the webhook of a trigger",
            body=_CALL,
            answers=_CALLED,
            errors=_CALL_ERRORS,
        ),
        public=True,
    ),
    Route(
        "POST",
        "/api/v1/hooks/t/{token}",
        resume_by_webhook,
        Operation(
            tag=EXECUTE,
            summary="Call the webhook of a waiting task",
            body=_CALL,
            answers=_CALLED,
            errors=_CALL_ERRORS,
        ),
        public=True,
    ),
    rpc_route(
        "GET",
        "/api/v1/executions/{executionId}/hooks",
        pb.ListHooksRequest,
        tag=TEST,
        summary="List the webhook URLs of waiting tasks",
        answers=(Answer(200, "URLs of the tasks that wait now.", answers.HookList),),
        errors=(404,),
    ),
)
