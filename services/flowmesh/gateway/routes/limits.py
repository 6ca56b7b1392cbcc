"""Limits, emergency stops, queues, workers, dead letters and circuit breakers."""

from typing import Annotated, Any

from msgspec import UNSET, Meta

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.worker.v1 import dispatch_service_pb2 as worker_pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import limit_answers as answers
from flowmesh.gateway.bodies.envelopes import Envelope, Id, OptionalId
from flowmesh.gateway.bodies.views import failure_value, instant_or_unset
from flowmesh.gateway.http.ids import checked_id, checked_text, invalid_field
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import Query, one_of, whole
from flowmesh.gateway.http.requests import Head, Request, Response
from flowmesh.gateway.routes.common import ACTOR, PAGING, actor_of, json_response

KINDS = ("namespace", "workflow", "task_type", "node", "upstream", "queue")
CHANGES_MAX = 1_000
DEAD_LETTERS_MAX = 200
_Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class LimitRequest(Envelope, frozen=True, kw_only=True):
    """A limit. It replaces an earlier one and the numbers of a definition."""

    kind: Annotated[
        str, Meta(description="The kind of the limit.", extra_json_schema={"enum": list(KINDS)})
    ]
    subject: Annotated[
        str,
        Meta(description="The subject: a workflow, a task type, workflow/node, a host or a queue."),
    ] = ""
    concurrency: Annotated[_Count, Meta(description="Concurrent tasks; 0 means no limit.")] = 0
    rate: Annotated[
        float, Meta(ge=0, le=1_000_000, description="Tasks started per second; 0 means no limit.")
    ] = 0.0
    burst: Annotated[_Count, Meta(description="Tasks started at once after an idle period.")] = 0
    weight: Annotated[int, Meta(ge=0, le=1_000, description="The share of a namespace.")] = 0
    max_size: Annotated[
        int, Meta(ge=0, le=50_000, description="Maximum number of waiting tasks of a queue.")
    ] = 0
    retries: Annotated[
        float,
        Meta(ge=0, le=100, description="Retries per started task, for a workflow or an upstream."),
    ] = 0.0
    reason: str = ""


class DispatchRequest(Envelope, frozen=True, kw_only=True):
    """A stop or start of dispatch for a workflow, or for the namespace without one."""

    workflow: OptionalId = ""
    reason: str = ""


class LettersRequest(Envelope, frozen=True, kw_only=True):
    """Failed executions with all their dead letters."""

    execution_ids: Annotated[
        tuple[Id, ...],
        Meta(min_length=1, max_length=DEAD_LETTERS_MAX, description="Ids of failed executions."),
    ]
    reason: str = ""


def _kind(word: str) -> Any:
    if word not in KINDS:
        raise invalid_field("kind", f"must be one of {', '.join(KINDS)}")
    return pb.LimitKind.Value(f"LIMIT_KIND_{word.upper()}")


def _word(kind: pb.LimitKind.ValueType) -> str:
    return pb.LimitKind.Name(kind).removeprefix("LIMIT_KIND_").lower()


async def set_limit(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(LimitRequest)
    response = await backends.limits.SetLimit(
        pb.SetLimitRequest(
            limit=pb.Limit(
                namespace=request.namespace,
                kind=_kind(envelope.kind),
                subject=envelope.subject,
                concurrency=envelope.concurrency,
                rate_per_second=envelope.rate,
                burst=envelope.burst,
                weight=envelope.weight,
                max_size=envelope.max_size,
                retries=envelope.retries,
            ),
            actor=actor_of(request),
            reason=envelope.reason,
        )
    )
    return json_response(answers.LimitAnswer(unreachable=list(response.unreachable)))


async def delete_limit(backends: Backends, request: Request) -> Response:
    response = await backends.limits.DeleteLimit(
        pb.DeleteLimitRequest(
            namespace=request.namespace,
            kind=_kind(request.text("kind")),
            subject=request.text("subject"),
            actor=actor_of(request),
            reason=request.text("reason"),
        )
    )
    unreachable = list(response.unreachable)
    return json_response(answers.LimitDeleted(deleted=response.deleted, unreachable=unreachable))


async def list_limits(backends: Backends, request: Head) -> Response:
    found = await backends.limits.ListLimits(pb.ListLimitsRequest(namespace=request.namespace))
    return json_response(
        answers.LimitList(
            limits=[_limit(each) for each in found.limits],
            uses=[
                answers.LimitUseValue(
                    kind=_word(each.kind),
                    subject=each.subject,
                    key=each.key,
                    in_use=each.in_use,
                    waiting=each.waiting,
                    concurrency=each.concurrency,
                    rate=each.rate_per_second,
                )
                for each in found.uses
            ],
            stops=[
                answers.StopValue(
                    workflow=each.workflow_id or UNSET,
                    reason=each.reason,
                    actor=each.actor,
                    stopped_at=instant_or_unset(each.stopped_at_us),
                    waiting=each.waiting,
                )
                for each in found.stops
            ],
            unreachable=list(found.unreachable),
        )
    )


def _limit(message: pb.Limit) -> answers.LimitValue:
    return answers.LimitValue(
        kind=_word(message.kind),
        subject=message.subject,
        concurrency=message.concurrency,
        rate=message.rate_per_second,
        burst=message.burst,
        weight=message.weight,
        max_size=message.max_size,
        retries=message.retries,
        actor=message.actor,
        reason=message.reason,
        updated_at=instant_or_unset(message.updated_at_us),
    )


async def list_limit_changes(backends: Backends, request: Request) -> Response:
    found = await backends.limits.ListLimitChanges(
        pb.ListLimitChangesRequest(
            namespace=request.namespace,
            page_size=request.whole("pageSize"),
            before_id=request.whole("before"),
        )
    )
    changes = [
        answers.LimitChangeValue(
            number=each.id,
            at=instant_or_unset(each.at_us),
            action=each.action,
            subject=each.subject,
            actor=each.actor,
            reason=each.reason,
        )
        for each in found.changes
    ]
    return json_response(answers.LimitChangeList(changes=changes))


async def stop_dispatch(backends: Backends, request: Request) -> Response:
    return await _switch(backends.limits.StopDispatch, pb.StopDispatchRequest, request)


async def start_dispatch(backends: Backends, request: Request) -> Response:
    return await _switch(backends.limits.StartDispatch, pb.StartDispatchRequest, request)


async def _switch(call: Any, message: Any, request: Request) -> Response:
    envelope = await request.envelope(DispatchRequest)
    response = await call(
        message(
            namespace=request.namespace,
            workflow_id=checked_id("workflow", envelope.workflow) if envelope.workflow else "",
            reason=envelope.reason,
            actor=actor_of(request),
        )
    )
    return json_response(answers.LimitAnswer(unreachable=list(response.unreachable)))


async def list_queues(backends: Backends, request: Head) -> Response:
    found = await backends.limits.ListQueues(pb.ListQueuesRequest(namespace=request.namespace))
    queues = [
        answers.QueueValue(
            queue=each.queue,
            task_type=each.task_type,
            requires=each.requires or UNSET,
            ready=each.ready,
            waiting_for_limits=each.waiting_for_limits,
            stopped=each.stopped,
            running=each.running,
            oldest_ms=each.oldest_ms,
            failed=each.failed,
            free_slots=each.credit,
            worker_sets=each.worker_sets,
            overflowed=each.overflowed,
            max_size=each.max_size,
            arrivals_per_second=each.arrivals_per_second,
            service_ms=each.service_ms,
            recommended_slots=each.recommended_slots,
            recommended_size=each.recommended_size,
        )
        for each in found.queues
    ]
    return json_response(answers.QueueList(queues=queues, unreachable=list(found.unreachable)))


async def list_workers(backends: Backends, request: Head) -> Response:
    found = await backends.limits.ListWorkers(pb.ListWorkersRequest(namespace=request.namespace))
    workers = [
        answers.WorkerValue(
            worker_id=each.worker_id,
            worker_service=each.worker_service_id,
            builtin=each.builtin,
            queues=list(each.queues),
            task_types=sorted(each.task_types),
            labels=dict(each.labels),
            slots=each.slots,
            running=each.running,
            attached_at=instant_or_unset(each.attached_at_us),
            version=each.version,
        )
        for each in found.workers
    ]
    return json_response(answers.WorkerList(workers=workers, unreachable=list(found.unreachable)))


async def list_dead_letters(backends: Backends, request: Request) -> Response:
    found = await backends.limits.ListDeadLetters(
        pb.ListDeadLettersRequest(
            namespace=request.namespace,
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    letters = [
        answers.DeadLetterValue(
            execution_id=each.execution_id,
            workflow=each.workflow_id,
            task=each.node,
            queue=each.queue,
            task_type=each.task_type,
            attempts=each.attempts,
            error=failure_value(each.failure),
            failed_at=instant_or_unset(each.failed_at_us),
        )
        for each in found.letters
    ]
    return json_response(
        answers.DeadLetterList(letters=letters, next_page_token=found.next_page_token)
    )


async def discard_dead_letters(backends: Backends, request: Request) -> Response:
    return await _discard(backends, request, restore=False)


async def restore_dead_letters(backends: Backends, request: Request) -> Response:
    return await _discard(backends, request, restore=True)


async def _discard(backends: Backends, request: Request, *, restore: bool) -> Response:
    envelope = await request.envelope(LettersRequest)
    response = await backends.limits.DiscardDeadLetters(
        pb.DiscardDeadLettersRequest(
            namespace=request.namespace,
            execution_ids=[checked_id("executionIds", each) for each in envelope.execution_ids],
            restore=restore,
            actor=actor_of(request),
            reason=checked_text("reason", envelope.reason),
        )
    )
    return json_response(answers.LettersChanged(changed=response.changed))


async def list_breakers(backends: Backends, _request: Request) -> Response:
    found = await backends.limits.ListBreakers(pb.ListBreakersRequest())
    breakers = [
        answers.BreakerValue(
            upstream=each.breaker.upstream,
            state=worker_pb.BreakerState.Name(each.breaker.state)
            .removeprefix("BREAKER_STATE_")
            .lower(),
            retry_after_ms=each.breaker.retry_after_ms,
            calls=each.breaker.calls,
            failures=each.breaker.failures,
            worker_service=each.worker_service_id,
        )
        for each in found.breakers
    ]
    return json_response(answers.BreakerList(breakers=breakers))


def _route(method: str, path: str, endpoint: Any, **details: Any) -> Route:
    return Route(method, path, endpoint, Operation(**details))


ROUTES = (
    _route(
        "GET",
        "/api/v1/limits",
        list_limits,
        tag=TEST,
        summary="List limits, their usage, and stops",
        answers=(Answer(200, "Combined from all orchestrators.", answers.LimitList),),
    ),
    _route(
        "PUT",
        "/api/v1/limits",
        set_limit,
        tag=MANAGE,
        summary="Set a limit",
        headers=(ACTOR,),
        body=Body(
            LimitRequest, example={"kind": "workflow", "subject": "hello", "concurrency": 10}
        ),
        answers=(Answer(200, "The limit applies.", answers.LimitAnswer),),
    ),
    _route(
        "DELETE",
        "/api/v1/limits",
        delete_limit,
        tag=MANAGE,
        summary="Delete a limit; the one of the definition applies again",
        headers=(ACTOR,),
        query=(
            Query("kind", "The kind of the limit.", one_of(*KINDS), required=True),
            Query("subject", "The subject of the limit."),
            Query("reason", "The reason, stored with the change."),
        ),
        answers=(Answer(200, "The limit is deleted.", answers.LimitDeleted),),
    ),
    _route(
        "GET",
        "/api/v1/limits/changes",
        list_limit_changes,
        tag=TEST,
        summary="List changes of limits and of dispatch",
        query=(
            Query("pageSize", "Maximum number of entries.", whole(CHANGES_MAX)),
            Query("before", "Only changes with a lower number.", whole(2**62)),
        ),
        answers=(Answer(200, "Newest first.", answers.LimitChangeList),),
    ),
    _route(
        "POST",
        "/api/v1/dispatch/stop",
        stop_dispatch,
        tag=MANAGE,
        summary="Stop dispatching tasks of a workflow or of the namespace",
        headers=(ACTOR,),
        body=Body(DispatchRequest, required=False),
        answers=(Answer(200, "Dispatch is stopped.", answers.LimitAnswer),),
        errors=(409,),
    ),
    _route(
        "POST",
        "/api/v1/dispatch/start",
        start_dispatch,
        tag=MANAGE,
        summary="Resume dispatching tasks",
        headers=(ACTOR,),
        body=Body(DispatchRequest, required=False),
        answers=(Answer(200, "Dispatch continues.", answers.LimitAnswer),),
        errors=(409,),
    ),
    _route(
        "GET",
        "/api/v1/queues",
        list_queues,
        tag=TEST,
        summary="List queues with their load, and why tasks wait",
        answers=(Answer(200, "Combined from all orchestrators.", answers.QueueList),),
    ),
    _route(
        "GET",
        "/api/v1/workers",
        list_workers,
        tag=TEST,
        summary="List attached workers with their slots and tasks",
        answers=(Answer(200, "Combined from all orchestrators.", answers.WorkerList),),
    ),
    _route(
        "GET",
        "/api/v1/dead-letters",
        list_dead_letters,
        tag=TEST,
        summary="List dead letters: failed tasks that failed their executions",
        query=PAGING,
        answers=(Answer(200, "Tasks of a page of failed executions.", answers.DeadLetterList),),
    ),
    _route(
        "POST",
        "/api/v1/dead-letters:discard",
        discard_dead_letters,
        tag=MANAGE,
        summary="Take dead letters off the list; their executions stay as they are",
        headers=(ACTOR,),
        body=Body(LettersRequest),
        answers=(Answer(200, "The number of changed executions.", answers.LettersChanged),),
    ),
    _route(
        "POST",
        "/api/v1/dead-letters:restore",
        restore_dead_letters,
        tag=MANAGE,
        summary="Put discarded dead letters back on the list",
        headers=(ACTOR,),
        body=Body(LettersRequest),
        answers=(Answer(200, "The number of changed executions.", answers.LettersChanged),),
    ),
    _route(
        "GET",
        "/api/v1/breakers",
        list_breakers,
        tag=TEST,
        summary="List circuit breakers that are not closed",
        answers=(Answer(200, "Combined from all worker services.", answers.BreakerList),),
    ),
)
