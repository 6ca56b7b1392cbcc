"""Canonical executions: list, state, history, control, signals."""

from http import HTTPStatus
from typing import cast

from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import retention_service_pb2 as retention_pb
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.errors import WrongState
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import (
    EndRequest,
    KeyedSignalRequest,
    SignalRequest,
    StopRequest,
)
from flowmesh.gateway.bodies.payloads import payload_of, resolve_references
from flowmesh.gateway.bodies.progress import StateAnswer, state_answer
from flowmesh.gateway.bodies.results import VIEWS, Results, View, results
from flowmesh.gateway.bodies.views import execution_answer
from flowmesh.gateway.http.ids import checked_id, invalid_field
from flowmesh.gateway.http.limits import HISTORY_PAGE_SIZE_MAX
from flowmesh.gateway.http.operation_docs import EXECUTE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import (
    EVENT,
    FLAG,
    MOMENT,
    OPTIONAL_ID,
    Query,
    one_of,
    whole,
)
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    FILTER,
    IDEMPOTENCY_KEY,
    PAGING,
    STARTED,
    STATUSES,
    WORKFLOW,
    cancel,
    json_response,
    pause,
    request_id_of,
    resume,
    statuses_of,
    terminate,
    wrong_state,
)
from flowmesh.gateway.routes.executions.analyses import analysed
from flowmesh.gateway.routes.executions.events import VIEW, reader_of
from flowmesh.gateway.routes.executions.insights import state_at
from flowmesh.gateway.routes.triggers import waiting_urls
from flowmesh.insight.states import StateAt
from flowmesh.records import reader
from flowmesh.views import event_view

NOT_OF_ARCHIVE = ("filter", "orderBy", "status", "include")
"""Parameters of lists that the index of the archive cannot answer."""

PAGE_SIZE = 100
_executions = reader(answers.ExecutionList, pb.ListExecutionsResponse)
_signaled = reader(answers.KeyedSignaled, pb.SignalByKeyResponse)


async def list_executions(backends: Backends, request: Request) -> Response:
    if request.flag("archived"):
        return await _list_archived(backends, request)
    response = await backends.executions.ListExecutions(
        pb.ListExecutionsRequest(
            namespace=request.namespace,
            workflow_id=request.text("workflow"),
            statuses=statuses_of(request),
            started_after_us=request.instant_us("startedAfter"),
            started_before_us=request.instant_us("startedBefore"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
            filter=request.text("filter"),
            order_by=request.text("orderBy"),
            with_search=request.text("include") == "search",
        )
    )
    return json_response(_executions(response))


async def _list_archived(backends: Backends, request: Request) -> Response:
    for name in NOT_OF_ARCHIVE:
        if request.texts(name):
            known = "workflow, startedAfter and startedBefore are"
            raise invalid_field(name, f"is not for archived executions; {known}")
    found = await backends.retention.ListArchived(
        retention_pb.ListArchivedRequest(
            namespace=request.namespace,
            workflow_id=request.text("workflow"),
            started_after_us=request.instant_us("startedAfter"),
            started_before_us=request.instant_us("startedBefore"),
            page_size=request.whole("pageSize") or PAGE_SIZE,
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        _executions(
            pb.ListExecutionsResponse(
                executions=found.executions, next_page_token=found.next_page_token
            )
        )
    )


async def get_execution(backends: Backends, request: Request) -> Response:
    response = await backends.executions.GetExecution(
        pb.GetExecutionRequest(
            namespace=request.namespace, execution_id=request.param("executionId")
        )
    )
    execution = await resolve_references(backends, response.execution)
    return json_response(execution_answer(execution, await waiting_urls(backends, execution)))


async def get_results(backends: Backends, request: Request) -> Response:
    view = cast("View", request.text("view") or VIEWS[0])
    response = await backends.executions.GetExecution(
        pb.GetExecutionRequest(
            namespace=request.namespace, execution_id=request.param("executionId")
        )
    )
    execution = await resolve_references(backends, response.execution)
    if execution.HasField("erasure"):
        message = f"the values of {execution.execution_id} were erased on request"
        raise WrongState("PAYLOAD_ERASED", message)
    return json_response(results(execution, view))


async def get_history(backends: Backends, request: Request) -> Response:
    namespace, execution_id = request.namespace, request.param("executionId")
    response = await backends.histories.ListHistoryEvents(
        history_service_pb2.ListHistoryEventsRequest(
            namespace=namespace,
            execution_id=execution_id,
            after=request.whole("after"),
            page_size=request.whole("pageSize"),
        )
    )
    workflow_id = await _workflow_of(backends, namespace, execution_id)
    read = reader_of(request)
    events = [
        event_view(
            event_service_pb2.LifecycleEvent(
                execution_id=execution_id, workflow_id=workflow_id, event=event
            ),
            read=read,
        )
        for event in response.events
    ]
    return json_response(
        {"events": events, "nextAfter": response.next_after, "ended": response.ended}
    )


async def get_state(backends: Backends, request: Request) -> Response:
    if at := request.text("at"):
        return await state_at(backends, request, at)
    found = await backends.executions.GetExecution(
        pb.GetExecutionRequest(
            namespace=request.namespace, execution_id=request.param("executionId")
        )
    )
    graph = await analysed(backends, request.namespace, found.execution)
    return json_response(state_answer(found.execution, graph))


async def signal(backends: Backends, request: Request) -> Response:
    namespace, execution_id = request.namespace, request.param("executionId")
    envelope = await request.envelope(SignalRequest)
    message = pb.SignalExecutionRequest(
        namespace=namespace,
        execution_id=execution_id,
        name=checked_id("name", envelope.name),
        payload=await payload_of(backends, namespace, "payload", envelope.payload),
        request_id=request_id_of(request, envelope.request_id),
    )
    try:
        response = await backends.executions.SignalExecution(message)
    except WrongState as error:
        return await wrong_state(backends, namespace, execution_id, error)
    return json_response(
        answers.Signaled(execution_id=execution_id, sequence=response.sequence),
        HTTPStatus.ACCEPTED,
    )


async def signal_by_key(backends: Backends, request: Request) -> Response:
    namespace = request.namespace
    envelope = await request.envelope(KeyedSignalRequest)
    response = await backends.executions.SignalByKey(
        pb.SignalByKeyRequest(
            namespace=namespace,
            name=checked_id("name", envelope.name),
            key=envelope.key,
            payload=await payload_of(backends, namespace, "payload", envelope.payload),
            request_id=request_id_of(request, envelope.request_id),
            ttl_ms=envelope.ttl_ms,
        )
    )
    return json_response(_signaled(response), HTTPStatus.ACCEPTED)


async def _workflow_of(backends: Backends, namespace: str, execution_id: str) -> str:
    response = await backends.executions.GetExecution(
        pb.GetExecutionRequest(namespace=namespace, execution_id=execution_id)
    )
    return response.execution.workflow_id


_STOP = (404, 409, 413, 415, 429)
ROUTES = (
    Route(
        "GET",
        "/api/v1/executions",
        list_executions,
        Operation(
            tag=TEST,
            summary="List executions, newest first",
            query=(
                FILTER,
                Query(
                    "orderBy",
                    "started, ended, label.<name>, attr.<name> or input.<path>, then asc or desc.",
                ),
                WORKFLOW,
                Query("workflowId", "Alias of `workflow`.", OPTIONAL_ID, same_as="workflow"),
                STATUSES,
                *STARTED,
                Query("include", "Adds labels, search attributes and `needs`.", one_of("search")),
                Query("archived", "Those of the archive instead, oldest first.", FLAG),
                *PAGING,
            ),
            answers=(
                Answer(200, "Executions without tasks, input and output.", answers.ExecutionList),
            ),
            errors=(409,),
        ),
    ),
    Route(
        "GET",
        "/api/v1/executions/{executionId}",
        get_execution,
        Operation(
            tag=TEST,
            summary="Get the state of an execution",
            answers=(Answer(200, "The committed state.", answers.ExecutionAnswer),),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        "/api/v1/executions/{executionId}/results",
        get_results,
        Operation(
            tag=TEST,
            summary="Get the outputs of an execution in a view of definitions",
            query=(Query("view", "The view (default: tasks).", one_of(*VIEWS, default=VIEWS[0])),),
            answers=(Answer(200, "The committed state.", Results),),
            errors=(404, 409),
        ),
    ),
    Route(
        "GET",
        "/api/v1/executions/{executionId}/history",
        get_history,
        Operation(
            tag=TEST,
            summary="List the events of an execution by sequence",
            query=(
                Query("after", "Sequence of the last known event.", EVENT),
                Query("pageSize", "Maximum number of entries.", whole(HISTORY_PAGE_SIZE_MAX)),
                VIEW,
            ),
            answers=(Answer(200, "A page of events.", answers.History),),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        "/api/v1/executions/{executionId}/state",
        get_state,
        Operation(
            tag=TEST,
            summary="Get the progress of an execution, or its state at a time",
            query=(Query("at", "A sequence of the history, or an RFC 3339 time.", MOMENT),),
            answers=(
                Answer(
                    200,
                    "Tasks, paths and the graph; with `at` the state at that time.",
                    StateAnswer,
                    other=StateAt,
                ),
            ),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        "/api/v1/executions/{executionId}:cancel",
        cancel,
        Operation(
            tag=EXECUTE,
            summary="Cancel an execution",
            body=Body(EndRequest, required=False),
            headers=(IDEMPOTENCY_KEY,),
            answers=(Answer(202, "The execution is canceled.", answers.Stopped),),
            errors=_STOP,
        ),
        "cancelExecution",
    ),
    Route(
        "POST",
        "/api/v1/executions/{executionId}:terminate",
        terminate,
        Operation(
            tag=EXECUTE,
            summary="Terminate an execution, by default without compensation",
            body=Body(EndRequest, required=False),
            headers=(IDEMPOTENCY_KEY,),
            answers=(Answer(202, "The execution is terminated.", answers.Stopped),),
            errors=_STOP,
        ),
    ),
    Route(
        "POST",
        "/api/v1/executions/{executionId}:pause",
        pause,
        Operation(
            tag=EXECUTE,
            summary="Pause an execution; no new task starts",
            body=Body(StopRequest, required=False),
            headers=(IDEMPOTENCY_KEY,),
            answers=(Answer(202, "The execution is paused.", answers.Stopped),),
            errors=_STOP,
        ),
    ),
    Route(
        "POST",
        "/api/v1/executions/{executionId}:resume",
        resume,
        Operation(
            tag=EXECUTE,
            summary="Resume a paused execution",
            body=Body(StopRequest, required=False),
            headers=(IDEMPOTENCY_KEY,),
            answers=(Answer(202, "The execution continues.", answers.Stopped),),
            errors=_STOP,
        ),
    ),
    Route(
        "POST",
        "/api/v1/executions/{executionId}:signal",
        signal,
        Operation(
            tag=EXECUTE,
            summary="Send a signal to an execution",
            body=Body(SignalRequest),
            headers=(IDEMPOTENCY_KEY,),
            answers=(Answer(202, "The signal is stored.", answers.Signaled),),
            errors=_STOP,
        ),
    ),
    Route(
        "POST",
        "/api/v1/signals",
        signal_by_key,
        Operation(
            tag=EXECUTE,
            summary="Send a signal to all executions that wait for it with a key",
            body=Body(KeyedSignalRequest),
            headers=(IDEMPOTENCY_KEY,),
            answers=(Answer(202, "The signal is delivered or kept.", answers.KeyedSignaled),),
            errors=_STOP,
        ),
    ),
)
