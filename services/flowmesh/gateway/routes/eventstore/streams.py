"""Routes about streams of events."""

from http import HTTPStatus

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import (
    EXECUTE,
    MANAGE,
    TEST,
    Answer,
    Body,
    Operation,
    Route,
)
from flowmesh.gateway.http.parameters import FLAG, OPTIONAL_ID, Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, json_response
from flowmesh.gateway.routes.eventstore import answers
from flowmesh.gateway.routes.eventstore import requests as bodies
from flowmesh.gateway.routes.rpc_route import rpc_route

PAGE_MAX = 1_000


async def append_events(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.AppendEventsRequest)
    response = await backends.event_store.AppendEvents(
        envelope.message(request.namespace, request.param("stream"))
    )
    return json_response(
        answers.AppendedValue(
            first_version=response.first_version,
            last_version=response.last_version,
            position=response.position,
            duplicate=response.duplicate,
        ),
        HTTPStatus.OK if response.duplicate else HTTPStatus.CREATED,
    )


STREAMS = "/api/v1/streams"
STREAM = f"{STREAMS}/{{stream}}"
COUNT = Query("count", "Maximum number of events.", whole(PAGE_MAX))

ROUTES = (
    rpc_route(
        "GET",
        STREAMS,
        pb.ListStreamsRequest,
        tag=MANAGE,
        summary="List streams of events",
        query=(
            Query("category", "Only streams of this category.", OPTIONAL_ID),
            *PAGING,
        ),
        answers=(Answer(200, "Sorted by name.", answers.StreamList),),
    ),
    Route(
        "POST",
        f"{STREAM}/events",
        append_events,
        Operation(
            tag=EXECUTE,
            summary="Append events to a stream",
            body=Body(
                bodies.AppendEventsRequest,
                example={"events": [{"type": "OrderPlaced", "data": {"amount": 10}}]},
            ),
            answers=(
                Answer(201, "All events are stored.", answers.AppendedValue),
                Answer(200, "All events were stored before.", answers.AppendedValue),
            ),
            errors=(409, 413, 415),
        ),
    ),
    rpc_route(
        "GET",
        STREAM,
        pb.GetStreamRequest,
        part="info",
        tag=MANAGE,
        summary="Get a stream of events",
        answers=(Answer(200, "The stream.", answers.StreamValue),),
        errors=(404, 409),
    ),
    rpc_route(
        "GET",
        f"{STREAM}/events",
        pb.ReadStreamRequest,
        names={"version": "from_version", "count": "max"},
        tag=TEST,
        summary="Read a stream of events, or a virtual one such as execution/ID",
        query=(
            Query("version", "First version; 0 is the first event, or the last.", whole()),
            Query("backwards", "Begin with the last event.", FLAG),
            COUNT,
        ),
        answers=(Answer(200, "Sorted by version.", answers.StoredEventList),),
        errors=(404, 409),
    ),
    rpc_route(
        "GET",
        "/api/v1/stored-events",
        pb.ReadEventsRequest,
        name="read_all_streams",
        names={
            "stream": "filter.stream",
            "category": "filter.category",
            "type": "filter.types",
            "count": "max",
        },
        tag=TEST,
        summary="Read the events of all streams by position",
        query=(
            Query("after", "Position after which the page begins.", whole()),
            Query("stream", "Only events of this stream.", OPTIONAL_ID),
            Query("category", "Only events of streams of this category.", OPTIONAL_ID),
            Query("type", "Only events of these types.", repeated=True),
            COUNT,
        ),
        answers=(Answer(200, "Sorted by position.", answers.PositionedEventList),),
        errors=(409,),
    ),
    rpc_route(
        "GET",
        f"{STREAM}:load",
        pb.LoadStreamRequest,
        names={"count": "max"},
        tag=TEST,
        summary="Get the snapshot of a stream, and the events after it",
        query=(COUNT,),
        answers=(Answer(200, "Snapshot and events.", answers.LoadedStream),),
        errors=(404, 409),
    ),
    rpc_route(
        "PUT",
        f"{STREAM}/snapshot",
        pb.PutSnapshotRequest,
        into="snapshot",
        tag=EXECUTE,
        summary="Store a snapshot of a stream",
        body=Body(bodies.SnapshotRequest, example={"version": 1, "state": {"amount": 10}}),
        answers=(Answer(200, "It is stored, or a later one is.", answers.StoredValue),),
        errors=(404, 409, 413, 415),
    ),
    rpc_route(
        "PUT",
        f"{STREAM}/retention",
        pb.SetStreamRetentionRequest,
        into="retention",
        given={"stored": True},
        tag=MANAGE,
        summary="Set the bounds of a stream; events beyond them are deleted",
        body=Body(bodies.StreamRetentionRequest, required=False, example={"maxEvents": 1000}),
        answers=(Answer(200, "They are set.", answers.StoredValue),),
        errors=(404, 409, 413, 415),
    ),
    rpc_route(
        "DELETE",
        STREAM,
        pb.DeleteStreamRequest,
        tag=MANAGE,
        summary="Delete the events of a stream; its name is not used again",
        query=(Query("version", "Version that the stream must have.", whole()),),
        answers=(Answer(200, "They are deleted.", answers.DeletedEvents),),
        errors=(404, 409),
    ),
)
