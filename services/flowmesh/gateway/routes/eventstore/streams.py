"""Routes about streams of events."""

from http import HTTPStatus

from msgspec import UNSET

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
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
from flowmesh.jsontext import dump_json

PAGE_MAX = 1_000


async def list_streams(backends: Backends, request: Request) -> Response:
    response = await backends.event_store.ListStreams(
        pb.ListStreamsRequest(
            namespace=request.namespace,
            category=request.text("category"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        answers.StreamList(
            streams=[answers.stream_value(each) for each in response.streams],
            next_page_token=response.next_page_token,
        )
    )


async def get_stream(backends: Backends, request: Request) -> Response:
    response = await backends.event_store.GetStream(
        pb.GetStreamRequest(namespace=request.namespace, stream=request.param("stream"))
    )
    return json_response(answers.stream_value(response.info))


async def delete_stream(backends: Backends, request: Request) -> Response:
    wanted = pb.DeleteStreamRequest(namespace=request.namespace, stream=request.param("stream"))
    if request.text("version"):
        wanted.version = request.whole("version")
    response = await backends.event_store.DeleteStream(wanted)
    return json_response(answers.DeletedEvents(deleted=response.deleted_events))


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


async def read_stream(backends: Backends, request: Request) -> Response:
    response = await backends.event_store.ReadStream(
        pb.ReadStreamRequest(
            namespace=request.namespace,
            stream=request.param("stream"),
            from_version=request.whole("version"),
            backwards=request.flag("backwards"),
            max=request.whole("count"),
        )
    )
    return json_response(
        answers.StoredEventList(
            events=[answers.event_value(each) for each in response.events],
            next_version=response.next_version,
        )
    )


async def read_all_streams(backends: Backends, request: Request) -> Response:
    response = await backends.event_store.ReadEvents(
        pb.ReadEventsRequest(
            namespace=request.namespace,
            filter=stored_event_pb2.EventFilter(
                stream=request.text("stream"),
                category=request.text("category"),
                types=request.texts("type"),
            ),
            after=request.whole("after"),
            max=request.whole("count"),
        )
    )
    return json_response(
        answers.PositionedEventList(
            events=[answers.event_value(each) for each in response.events],
            next_after=response.next_after,
            end=response.end,
        )
    )


async def load_stream(backends: Backends, request: Request) -> Response:
    response = await backends.event_store.LoadStream(
        pb.LoadStreamRequest(
            namespace=request.namespace,
            stream=request.param("stream"),
            max=request.whole("count"),
        )
    )
    found = response.HasField("snapshot")
    return json_response(
        answers.LoadedStream(
            snapshot=answers.snapshot_value(response.snapshot) if found else UNSET,
            events=[answers.event_value(each) for each in response.events],
            next_version=response.next_version,
        )
    )


async def put_snapshot(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.SnapshotRequest)
    snapshot = stored_event_pb2.Snapshot(version=envelope.version, state=dump_json(envelope.state))
    response = await backends.event_store.PutSnapshot(
        pb.PutSnapshotRequest(
            namespace=request.namespace, stream=request.param("stream"), snapshot=snapshot
        )
    )
    return json_response(answers.StoredValue(stored=response.stored))


async def set_stream_retention(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.StreamRetentionRequest)
    await backends.event_store.SetStreamRetention(
        pb.SetStreamRetentionRequest(
            namespace=request.namespace,
            stream=request.param("stream"),
            retention=stored_event_pb2.StreamRetention(
                max_events=envelope.max_events, max_age_ms=envelope.max_age_ms
            ),
        )
    )
    return json_response(answers.StoredValue(stored=True))


STREAMS = "/api/v1/streams"
STREAM = f"{STREAMS}/{{stream}}"
COUNT = Query("count", "Maximum number of events.", whole(PAGE_MAX))

ROUTES = (
    Route(
        "GET",
        STREAMS,
        list_streams,
        Operation(
            tag=MANAGE,
            summary="List streams of events",
            query=(
                Query("category", "Only streams of this category.", OPTIONAL_ID),
                *PAGING,
            ),
            answers=(Answer(200, "Sorted by name.", answers.StreamList),),
        ),
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
    Route(
        "GET",
        STREAM,
        get_stream,
        Operation(
            tag=MANAGE,
            summary="Get a stream of events",
            answers=(Answer(200, "The stream.", answers.StreamValue),),
            errors=(404, 409),
        ),
    ),
    Route(
        "GET",
        f"{STREAM}/events",
        read_stream,
        Operation(
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
    ),
    Route(
        "GET",
        "/api/v1/stored-events",
        read_all_streams,
        Operation(
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
    ),
    Route(
        "GET",
        f"{STREAM}:load",
        load_stream,
        Operation(
            tag=TEST,
            summary="Get the snapshot of a stream, and the events after it",
            query=(COUNT,),
            answers=(Answer(200, "Snapshot and events.", answers.LoadedStream),),
            errors=(404, 409),
        ),
    ),
    Route(
        "PUT",
        f"{STREAM}/snapshot",
        put_snapshot,
        Operation(
            tag=EXECUTE,
            summary="Store a snapshot of a stream",
            body=Body(bodies.SnapshotRequest, example={"version": 1, "state": {"amount": 10}}),
            answers=(Answer(200, "It is stored, or a later one is.", answers.StoredValue),),
            errors=(404, 409, 413, 415),
        ),
    ),
    Route(
        "PUT",
        f"{STREAM}/retention",
        set_stream_retention,
        Operation(
            tag=MANAGE,
            summary="Set the bounds of a stream; events beyond them are deleted",
            body=Body(bodies.StreamRetentionRequest, required=False, example={"maxEvents": 1000}),
            answers=(Answer(200, "They are set.", answers.StoredValue),),
            errors=(404, 409, 413, 415),
        ),
    ),
    Route(
        "DELETE",
        STREAM,
        delete_stream,
        Operation(
            tag=MANAGE,
            summary="Delete the events of a stream; its name is not used again",
            query=(Query("version", "Version that the stream must have.", whole()),),
            answers=(Answer(200, "They are deleted.", answers.DeletedEvents),),
            errors=(404, 409),
        ),
    ),
)
