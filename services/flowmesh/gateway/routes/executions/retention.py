"""Retention, deletion and erasure of ended executions, and the archive."""

from http import HTTPStatus
from typing import Annotated

from msgspec import Meta

from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import Envelope, StopRequest
from flowmesh.gateway.http.limits import INT64_MAX
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import INSTANT, OPTIONAL_ID, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    ACTOR,
    IDEMPOTENCY_KEY,
    PAGING,
    json_response,
)
from flowmesh.gateway.routes.rpc_route import rpc_route

LINES = "application/x-ndjson"


class RetentionAnswer(answers.Answer, kw_only=True):
    """A retention period; `own` is true if it is set for this namespace."""

    retention_ms: int
    own: bool


class RetentionRequest(Envelope, frozen=True, kw_only=True):
    """The retention period of the namespace."""

    retention_ms: Annotated[int, Meta(ge=0, le=INT64_MAX, description="0 restores the default.")]


class ArchivedList(answers.Answer, kw_only=True):
    """Archived executions, oldest first; `capped` is true if there are more."""

    executions: list[answers.ExecutionSummary]
    capped: bool
    next_page_token: str


async def get_retention(backends: Backends, request: Request) -> Response:
    found = await backends.retention.GetRetention(
        pb.GetRetentionRequest(namespace=request.namespace)
    )
    return json_response(RetentionAnswer(retention_ms=found.retention_ms, own=found.own))


async def set_retention(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(RetentionRequest)
    await backends.retention.SetRetention(
        pb.SetRetentionRequest(namespace=request.namespace, retention_ms=envelope.retention_ms)
    )
    return await get_retention(backends, request)


async def get_archived(backends: Backends, request: Request) -> Response:
    chunks = backends.retention.GetArchived(
        pb.GetArchivedRequest(
            namespace=request.namespace, execution_id=request.param("executionId")
        )
    )
    document = b"".join([each.chunk async for each in chunks])
    return Response(HTTPStatus.OK, document, LINES)


ROUTES = (
    Route(
        "GET",
        "/api/v1/retention",
        get_retention,
        Operation(
            tag=MANAGE,
            summary="Get the retention period of the namespace",
            answers=(
                Answer(200, "The retention period; workflows may override it.", RetentionAnswer),
            ),
        ),
    ),
    Route(
        "PUT",
        "/api/v1/retention",
        set_retention,
        Operation(
            tag=MANAGE,
            summary="Set the retention period of the namespace",
            body=Body(RetentionRequest, example={"retentionMs": 604_800_000}),
            answers=(Answer(200, "Applies from the next housekeeping.", RetentionAnswer),),
            errors=(413, 415),
        ),
    ),
    rpc_route(
        "DELETE",
        "/api/v1/executions/{executionId}",
        pb.DeleteExecutionRequest,
        stateful=True,
        tag=MANAGE,
        summary="Delete an ended execution with its history",
        answers=(Answer(204, "Deleted, also from the archive."),),
        errors=(404, 409),
    ),
    rpc_route(
        "POST",
        "/api/v1/executions/{executionId}:erase",
        pb.EraseExecutionRequest,
        stateful=True,
        tag=MANAGE,
        summary="Erase the values of an ended execution, leaving a tombstone",
        body=Body(StopRequest, required=False),
        headers=(IDEMPOTENCY_KEY, ACTOR),
        answers=(Answer(204, "The values are erased."),),
        errors=(404, 409, 413, 415, 429),
    ),
    rpc_route(
        "GET",
        "/api/v1/archive",
        pb.ListArchivedRequest,
        names={"workflow": "workflow_id"},
        tag=TEST,
        summary="List archived executions",
        query=(
            Query("workflow", "Only executions of this workflow.", OPTIONAL_ID),
            Query("startedAfter", "Only executions started after this RFC 3339 time.", INSTANT),
            Query("startedBefore", "Only executions started before this RFC 3339 time.", INSTANT),
            *PAGING,
        ),
        answers=(Answer(200, "A page, oldest first.", ArchivedList),),
        errors=(409,),
    ),
    Route(
        "GET",
        "/api/v1/archive/{executionId}",
        get_archived,
        Operation(
            tag=TEST,
            summary="Get the file of an archived execution",
            answers=(Answer(200, "JSON lines.", media_type=LINES),),
            errors=(404, 409),
        ),
    ),
)
