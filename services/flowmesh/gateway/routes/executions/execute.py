"""Starts of workflows, with and without waiting for the result."""

from http import HTTPStatus

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import Timeout
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import ExecuteRequest, StartRequest, version_choice
from flowmesh.gateway.bodies.payloads import payload_of, resolve_references
from flowmesh.gateway.bodies.views import run_answer
from flowmesh.gateway.http.errors import error_response
from flowmesh.gateway.http.limits import CALL_SLACK_S
from flowmesh.gateway.http.operation_docs import EXECUTE, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import RequestHeader
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.http.streams import while_connected
from flowmesh.gateway.routes.common import (
    ACTOR,
    IDEMPOTENCY_KEY,
    PERMISSIONS,
    actor_of,
    json_response,
    permissions_of,
    request_id_of,
)

_RESPOND_ASYNC = "respond-async"


async def execute(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(ExecuteRequest)
    start = await _start_of(backends, request, envelope)
    start.wait_ms = envelope.timeout_ms
    response = await while_connected(
        request,
        backends.executions.StartExecution(
            start, timeout=envelope.timeout_ms / 1_000 + CALL_SLACK_S
        ),
    )
    if not response.HasField("execution"):
        return _still_running(request, response.execution_id, envelope.timeout_ms)
    execution = await resolve_references(backends, response.execution)
    done = execution.status == execution_pb2.EXECUTION_STATUS_COMPLETED
    status = HTTPStatus.OK if done else HTTPStatus.UNPROCESSABLE_ENTITY
    return json_response(run_answer(execution), status)


async def start(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(StartRequest)
    response = await backends.executions.StartExecution(
        await _start_of(backends, request, envelope)
    )
    return json_response(answers.Started(execution_id=response.execution_id), HTTPStatus.ACCEPTED)


async def _start_of(
    backends: Backends, request: Request, envelope: StartRequest
) -> pb.StartExecutionRequest:
    namespace = request.namespace
    return pb.StartExecutionRequest(
        namespace=namespace,
        workflow_id=request.param("name"),
        **version_choice(envelope.version),
        actor=actor_of(request),
        request_id=request_id_of(request, envelope.request_id),
        input=await payload_of(backends, namespace, "input", envelope.input),
        labels=envelope.labels,
        permissions=permissions_of(request),
    )


def _still_running(request: Request, execution_id: str, waited_ms: int) -> Response:
    preferences = [part.strip() for part in request.header(b"prefer").lower().split(",")]
    if _RESPOND_ASYNC in preferences:
        answer = json_response(answers.Started(execution_id=execution_id), HTTPStatus.ACCEPTED)
        applied = ((b"preference-applied", _RESPOND_ASYNC.encode()),)
        return Response(answer.status, answer.body, headers=applied)
    error = Timeout(
        "SYNC_TIMEOUT",
        f"Still running after {waited_ms} ms; read {execution_id} later, or send Prefer: "
        f"{_RESPOND_ASYNC} to get 202 instead.",
    )
    return error_response(error, executionId=execution_id)


_EXECUTE = Operation(
    tag=EXECUTE,
    summary="Run a workflow and return its outputs",
    description="Invalid input is rejected before anything is stored.",
    body=Body(ExecuteRequest, required=False, example={"input": {"orderId": "order-123"}}),
    headers=(
        IDEMPOTENCY_KEY,
        ACTOR,
        PERMISSIONS,
        RequestHeader(
            "Prefer", "`respond-async`: return 202 instead of 504 after the waiting time."
        ),
    ),
    answers=(
        Answer(200, "The execution completed.", answers.RunAnswer),
        Answer(202, "Still running, with `Prefer: respond-async`.", answers.Started),
        Answer(422, "The execution failed or was canceled.", answers.RunAnswer),
        Answer(504, "Still running after the waiting time.", answers.StillRunningAnswer),
    ),
    errors=(404, 409, 413, 415, 429),
)
_START = Operation(
    tag=EXECUTE,
    summary="Start a workflow",
    body=Body(StartRequest, required=False, example={"input": {"orderId": "order-123"}}),
    headers=(IDEMPOTENCY_KEY, ACTOR, PERMISSIONS),
    answers=(Answer(202, "The execution is stored and runs.", answers.Started),),
    errors=(404, 409, 413, 415, 429),
)
ROUTES = (
    Route("POST", "/api/v1/workflows/{name}/execute", execute, _EXECUTE),
    Route("POST", "/workflows/{name}/execute", execute, _EXECUTE, "executeAlias"),
    Route("POST", "/api/v1/workflows/{name}/start", start, _START),
)
