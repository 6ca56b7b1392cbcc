"""Bulks: one action on all executions that match a filter."""

from http import HTTPStatus
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from flowmesh.api.execution.v1 import bulk_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.answers import Instant, Json
from flowmesh.gateway.bodies.envelopes import Envelope, RequestId
from flowmesh.gateway.bodies.payloads import payload_of
from flowmesh.gateway.http.operation_docs import EXECUTE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    ACTOR,
    IDEMPOTENCY_KEY,
    actor_of,
    json_response,
    request_id_of,
)
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import Source, reader

BulkWord = Literal["running", "completed", "canceled"]
_ACTIONS = "cancel, terminate, pause, resume, signal, retry or rerun."


class BulkRequest(Envelope, frozen=True, kw_only=True):
    """A start of a bulk, or with `preview` a count of its executions."""

    filter: str
    action: Annotated[str, Meta(description=_ACTIONS)] = ""
    reason: Annotated[str, Meta(description="The reason, stored in each history.")] = ""
    signal: Annotated[str, Meta(description="The name of the signal.")] = ""
    payload: Annotated[Json, Meta(description="The payload of the signal.")] = None
    from_failed: Annotated[bool, Meta(description="Rerun only from the failed nodes.")] = False
    newest_version: Annotated[bool, Meta(description="Rerun with the newest version.")] = False
    rate_per_second: Annotated[
        int, Meta(ge=0, le=1_000, description="Executions per second; 0 means 100.")
    ] = 0
    preview: Annotated[
        bool, Meta(description="Return the matching executions without an action.")
    ] = False
    request_id: RequestId = ""


class BulkFailureValue(answers.Answer, kw_only=True):
    """An execution on which the action failed."""

    execution_id: str
    reason: str
    message: str


class BulkAnswer(answers.Answer, kw_only=True):
    """Progress of a bulk. `skipped` counts executions whose state does not allow the action."""

    bulk_id: str
    action: Annotated[str, Source("action.name")]
    filter: str
    status: BulkWord
    matched: int
    applied: int
    skipped: int
    failed: int
    failures: list[BulkFailureValue]
    created_at: Instant | UnsetType = UNSET
    ended_at: Instant | UnsetType = UNSET
    rate_per_second: int
    reason: Annotated[str, Source("action.reason")]
    actor: str


class BulkList(answers.Answer, kw_only=True):
    """Bulks, newest first, at most 100."""

    bulks: list[BulkAnswer]


class PreviewAnswer(answers.Answer, kw_only=True):
    """The number of matching executions, and the first of them."""

    count: int
    execution_ids: list[str]


async def start_bulk(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(BulkRequest)
    namespace = request.namespace
    if envelope.preview:
        found = await backends.bulks.PreviewBulk(
            pb.PreviewBulkRequest(namespace=namespace, filter=envelope.filter)
        )
        return json_response(
            PreviewAnswer(count=found.count, execution_ids=list(found.execution_ids))
        )
    action = pb.BulkAction(
        name=envelope.action,
        reason=envelope.reason,
        signal=envelope.signal,
        from_failed=envelope.from_failed,
        newest_version=envelope.newest_version,
    )
    if envelope.action == "signal":
        action.payload.CopyFrom(await payload_of(backends, namespace, "payload", envelope.payload))
    response = await backends.bulks.StartBulk(
        pb.StartBulkRequest(
            namespace=namespace,
            filter=envelope.filter,
            action=action,
            rate_per_second=envelope.rate_per_second,
            request_id=request_id_of(request, envelope.request_id),
            actor=actor_of(request),
        )
    )
    return json_response(_bulk(response.bulk), HTTPStatus.ACCEPTED)


_bulk = reader(BulkAnswer, pb.Bulk)

ROUTES = (
    Route(
        "POST",
        "/api/v1/bulk",
        start_bulk,
        Operation(
            tag=EXECUTE,
            summary="Start a bulk: one action on all executions that match a filter",
            body=Body(BulkRequest),
            headers=(IDEMPOTENCY_KEY, ACTOR),
            answers=(
                Answer(202, "The bulk is started; it survives crashes.", BulkAnswer),
                Answer(200, "The matching executions, for `preview`.", PreviewAnswer),
            ),
            errors=(409, 413, 415, 429),
        ),
    ),
    rpc_route(
        "GET",
        "/api/v1/bulk",
        pb.ListBulksRequest,
        tag=TEST,
        summary="List bulks, newest first",
        answers=(Answer(200, "At most 100 bulks.", BulkList),),
    ),
    rpc_route(
        "GET",
        "/api/v1/bulk/{bulkId}",
        pb.GetBulkRequest,
        part="bulk",
        tag=TEST,
        summary="Get the progress of a bulk",
        answers=(Answer(200, "The progress as last counted.", BulkAnswer),),
        errors=(404,),
    ),
    rpc_route(
        "POST",
        "/api/v1/bulk/{bulkId}:cancel",
        pb.CancelBulkRequest,
        part="bulk",
        tag=EXECUTE,
        summary="Cancel a bulk; completed actions are not undone",
        answers=(Answer(202, "The bulk is canceled.", BulkAnswer),),
        errors=(404, 409),
    ),
)
