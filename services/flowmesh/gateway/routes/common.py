"""What several areas of routes share."""

from collections.abc import Callable
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
from flowmesh.gateway.http.operation_docs import Body, Endpoint
from flowmesh.gateway.http.parameters import CHANGE, KEY, PAGE_SIZE, Query, RequestHeader, listed
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.views import EXECUTION_STATUS_WORDS, execution_status

IDEMPOTENCY_KEY = RequestHeader(
    "Idempotency-Key",
    "The same as `requestId`: again with the same key answers as the first time.",
    KEY,
)
FILTER = Query("filter", 'Such as `status = failed AND label.team = "pay"`; see docs/search.md.')
ACTOR = RequestHeader("Flowmesh-Actor", "Who asks; kept with what is changed.")
CHANGE_ACTOR = RequestHeader(ACTOR.name, ACTOR.description, CHANGE)
PERMISSIONS = RequestHeader(
    "Flowmesh-Permissions",
    "What who asks is permitted, separated by commas. For trusted callers: whoever lets others"
    " through sets it, and lets none through that they set themselves.",
)


def _spelled(word: str) -> str:
    return word.lower().replace("cancelled", "canceled")


STATUSES = Query(
    "status",
    "Only these states; several by commas.",
    listed(tuple(dict.fromkeys(EXECUTION_STATUS_WORDS.values())), _spelled),
    repeated=True,
)
PAGING = (
    Query("pageSize", "How many at most.", PAGE_SIZE),
    Query("pageToken", "`nextPageToken` of the page before."),
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


def request_id_of(request: Request, given: str = "") -> str:
    """The request id of the body or of the `Idempotency-Key` header, which may be quoted."""
    key = request.header(b"idempotency-key").strip().strip('"')
    if given:
        checked_id("requestId", given)
    if key and given and key != given:
        raise invalid_field("requestId", "differs from the Idempotency-Key header")
    return given or key


def actor_of(request: Request) -> str:
    """Who says that they ask."""
    return request.header(b"flowmesh-actor")


def permissions_of(request: Request) -> list[str]:
    """What who asks is said to be permitted."""
    names = request.header(b"flowmesh-permissions")
    return [name.strip() for name in names.split(",") if name.strip()]


def statuses_of(request: Request) -> list[execution_pb2.ExecutionStatus.ValueType]:
    """States named by the `status` parameter, in the words that answers use, or `cancelled`."""
    statuses: list[execution_pb2.ExecutionStatus.ValueType] = []
    for word in request.texts("status"):
        statuses += [
            status
            for status in execution_pb2.ExecutionStatus.values()
            if status and EXECUTION_STATUS_WORDS[status] == _spelled(word)
        ]
    return statuses


def steering(
    rpc: str,
    message: Callable[..., Any],
    status: ExecutionWord,
    body: type[StopRequest] = StopRequest,
) -> Endpoint:
    """A route that brings an execution to a status by one call with a reason."""

    async def steer(backends: Backends, request: Request) -> Response:
        execution_id = request.param("executionId")
        envelope = await request.envelope(body)
        undoes = {"compensate": envelope.compensate} if isinstance(envelope, EndRequest) else {}
        call = message(
            namespace=request.namespace,
            execution_id=execution_id,
            reason=checked_text("reason", envelope.reason),
            request_id=request_id_of(request, envelope.request_id),
            actor=actor_of(request),
            **undoes,
        )
        try:
            await getattr(backends.executions, rpc)(call)
        except WrongState as error:
            return await wrong_state(backends, request.namespace, execution_id, error)
        return json_response(
            answers.Stopped(execution_id=execution_id, status=status), HTTPStatus.ACCEPTED
        )

    # By which the description of the API knows it.
    steer.__name__ = rpc.removesuffix("Execution").lower()
    return steer


async def wrong_state(
    backends: Backends, namespace: str, execution_id: str, error: WrongState
) -> Response:
    """The refusal of a call that does not fit the state, with that state."""
    found = await backends.executions.GetExecution(
        pb.GetExecutionRequest(namespace=namespace, execution_id=execution_id)
    )
    return error_response(
        error, executionId=execution_id, status=execution_status(found.execution.status)
    )


cancel = steering("CancelExecution", pb.CancelExecutionRequest, "canceled", EndRequest)
terminate = steering("TerminateExecution", pb.TerminateExecutionRequest, "canceled", EndRequest)
pause = steering("PauseExecution", pb.PauseExecutionRequest, "paused")
resume = steering("ResumeExecution", pb.ResumeExecutionRequest, "running")
