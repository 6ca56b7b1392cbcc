"""Parameters and helpers shared by several modules of routes."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import WrongState
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.answers import ExecutionWord
from flowmesh.gateway.bodies.envelopes import EndRequest, StopRequest
from flowmesh.gateway.http.errors import error_response
from flowmesh.gateway.http.ids import checked_id, checked_text, invalid_field
from flowmesh.gateway.http.operation_docs import Body
from flowmesh.gateway.http.parameters import (
    CHANGE,
    INSTANT,
    KEY,
    OPTIONAL_ID,
    PAGE_SIZE,
    Query,
    RequestHeader,
    listed,
)
from flowmesh.gateway.http.requests import JSON, Headers, Request, Response
from flowmesh.views import EXECUTION_STATUS_WORDS, execution_status

IDEMPOTENCY_KEY = RequestHeader(
    "Idempotency-Key",
    "Alias of `requestId`: a repeated request with the same key returns the first response.",
    KEY,
)
FILTER = Query(
    "filter", 'A filter such as `status = failed AND label.team = "pay"`; see docs/search.md.'
)
ACTOR = RequestHeader("Flowmesh-Actor", "The caller, recorded with each change.")
CHANGE_ACTOR = RequestHeader(ACTOR.name, ACTOR.description, CHANGE)
PERMISSIONS = RequestHeader(
    "Flowmesh-Permissions",
    "Permissions of the caller, separated by commas. Set by a trusted proxy only, which must strip"
    " the value of the client.",
)


def _spelled(word: str) -> str:
    """Return the American spelling in lower case."""
    return word.lower().replace("cancelled", "canceled")


STATUSES = Query(
    "status",
    "Only these statuses, separated by commas.",
    listed(tuple(dict.fromkeys(EXECUTION_STATUS_WORDS.values())), _spelled),
    repeated=True,
)
STARTED = (
    Query("startedAfter", "Only executions started after this RFC 3339 time.", INSTANT),
    Query("startedBefore", "Only executions started before this RFC 3339 time.", INSTANT),
)
WORKFLOW = Query("workflow", "Only executions of this workflow.", OPTIONAL_ID)
PAGING = (
    Query("pageSize", "Maximum number of entries.", PAGE_SIZE),
    Query("pageToken", "`nextPageToken` of the previous page."),
)
DEFINITION_BODY = Body(
    None,
    media_types=(JSON, "application/yaml"),
    description="Step JSON, graph JSON, or `workflow.io/v1` resources as JSON or YAML.",
    schemas={JSON: {"type": "object"}},
    example={
        "id": "hello",
        "name": "Hello",
        "steps": [{"id": "wait", "name": "Wait", "action": "delay", "params": {"duration": 100}}],
    },
)


def json_response(value: Any, status: int = HTTPStatus.OK) -> Response:
    return Response(status, msgspec.json.encode(value))


def secret_response(value: Any, status: int = HTTPStatus.OK, headers: Headers = ()) -> Response:
    """Return a response that no proxy and no browser stores (RFC 6749, 5.1)."""
    not_stored = (b"cache-control", b"no-store")
    return Response(status, msgspec.json.encode(value), headers=(not_stored, *headers))


def request_id_of(request: Request, given: str = "") -> str:
    """Return the request id of the body or of the `Idempotency-Key` header, possibly quoted."""
    key = request.header(b"idempotency-key").strip().strip('"')
    if given:
        checked_id("requestId", given)
    if key and given and key != given:
        raise invalid_field("requestId", "differs from the Idempotency-Key header")
    return given or key


def actor_of(request: Request) -> str:
    """Return the caller named by the request."""
    return request.header(b"flowmesh-actor")


def permissions_of(request: Request) -> list[str]:
    """Return the permissions of the caller named by the request."""
    names = request.header(b"flowmesh-permissions")
    return [name.strip() for name in names.split(",") if name.strip()]


def statuses_of(request: Request) -> list[execution_pb2.ExecutionStatus.ValueType]:
    """Return the statuses of the `status` parameter; `cancelled` is accepted for `canceled`."""
    statuses: list[execution_pb2.ExecutionStatus.ValueType] = []
    for word in request.texts("status"):
        statuses += [
            status
            for status in execution_pb2.ExecutionStatus.values()
            if status and EXECUTION_STATUS_WORDS[status] == _spelled(word)
        ]
    return statuses


async def _change_status(
    request: Request,
    backends: Backends,
    call: Callable[[Any], Awaitable[Any]],
    message: Callable[..., Any],
    status: ExecutionWord,
    body: type[StopRequest] = StopRequest,
) -> Response:
    """Bring an execution to a status by one call with a reason."""
    execution_id = request.param("executionId")
    envelope = await request.envelope(body)
    options = {"compensate": envelope.compensate} if isinstance(envelope, EndRequest) else {}
    try:
        await call(
            message(
                namespace=request.namespace,
                execution_id=execution_id,
                reason=checked_text("reason", envelope.reason),
                request_id=request_id_of(request, envelope.request_id),
                actor=actor_of(request),
                **options,
            )
        )
    except WrongState as error:
        return await wrong_state(backends, request.namespace, execution_id, error)
    return json_response(
        answers.Stopped(execution_id=execution_id, status=status), HTTPStatus.ACCEPTED
    )


async def cancel(backends: Backends, request: Request) -> Response:
    call = backends.executions.CancelExecution
    return await _change_status(
        request, backends, call, pb.CancelExecutionRequest, "canceled", EndRequest
    )


async def terminate(backends: Backends, request: Request) -> Response:
    call = backends.executions.TerminateExecution
    return await _change_status(
        request, backends, call, pb.TerminateExecutionRequest, "canceled", EndRequest
    )


async def pause(backends: Backends, request: Request) -> Response:
    call = backends.executions.PauseExecution
    return await _change_status(request, backends, call, pb.PauseExecutionRequest, "paused")


async def resume(backends: Backends, request: Request) -> Response:
    call = backends.executions.ResumeExecution
    return await _change_status(request, backends, call, pb.ResumeExecutionRequest, "running")


async def wrong_state(
    backends: Backends, namespace: str, execution_id: str, error: WrongState
) -> Response:
    """Return the error of a call that the state does not allow, with the state."""
    found = await backends.executions.GetExecution(
        pb.GetExecutionRequest(namespace=namespace, execution_id=execution_id)
    )
    return error_response(
        error, executionId=execution_id, status=execution_status(found.execution.status)
    )
