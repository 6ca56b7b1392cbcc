"""Routes about queues of messages."""

from collections.abc import AsyncGenerator, AsyncIterator
from http import HTTPStatus

from flowmesh.api.broker.v1 import broker_service_pb2 as pb
from flowmesh.api.broker.v1 import message_service_pb2
from flowmesh.errors import FlowmeshError
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.instants import us_of
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import FLAG, Query, whole
from flowmesh.gateway.http.requests import Request, Response, StreamResponse
from flowmesh.gateway.http.streams import (
    EVENT_STREAM,
    STREAM_HEADERS,
    Cancellable,
    each_or_beat,
    error_event,
    event_text,
    heartbeat,
    stream_head,
)
from flowmesh.gateway.routes.common import PAGING, json_response
from flowmesh.gateway.routes.messages import answers
from flowmesh.gateway.routes.messages import requests as bodies
from flowmesh.gateway.routes.rpc_route import rpc_route

BROWSE_MAX = 500


async def watch_message_queues(backends: Backends, request: Request) -> StreamResponse:
    call = backends.broker.WatchQueues(
        pb.WatchQueuesRequest(namespace=request.namespace, queues=request.texts("queue"))
    )
    responses = aiter(call)
    try:
        # An unknown queue is reported with its status.
        first = await anext(responses)
    except BaseException:
        call.cancel()
        raise
    chunks = _watched(request, call, first, responses)
    return StreamResponse(chunks, EVENT_STREAM, headers=STREAM_HEADERS)


async def _watched(
    request: Request,
    call: Cancellable,
    first: pb.WatchQueuesResponse,
    responses: AsyncIterator[pb.WatchQueuesResponse],
) -> AsyncGenerator[bytes, None]:
    yield stream_head() + _changes(first)
    try:
        async for response in each_or_beat(request, responses):
            yield heartbeat() if response is None else _changes(response)
    except FlowmeshError as error:
        yield error_event(error)
    finally:
        call.cancel()


def _changes(response: pb.WatchQueuesResponse) -> bytes:
    changed = [event_text("Queue", answers.queue_value(each)) for each in response.queues]
    removed = [
        event_text("QueueRemoved", answers.QueueRemoved(queue=each)) for each in response.removed
    ]
    return b"".join((*changed, *removed))


async def browse_messages(backends: Backends, request: Request) -> Response:
    response = await backends.messages.Browse(
        message_service_pb2.BrowseRequest(
            namespace=request.namespace,
            queue=request.param("queue"),
            sequence=request.whole("sequence"),
            max=request.whole("count"),
        )
    )
    found = [answers.message_value(each.message, each.sequence) for each in response.messages]
    return json_response(answers.MessageList(messages=found, next_sequence=response.next_sequence))


async def seek_message_group(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.SeekGroupRequest)
    given = envelope.position
    position = message_service_pb2.Position(earliest=True)
    if given.latest:
        position.latest = True
    elif given.at:
        position.at_us = us_of("position.at", given.at)
    elif given.sequence:
        position.sequence = given.sequence
    await backends.messages.SeekGroup(
        message_service_pb2.SeekGroupRequest(
            namespace=request.namespace,
            queue=request.param("queue"),
            group=envelope.group,
            position=position,
        )
    )
    return json_response(answers.DeclaredValue(created=True))


def declared(created: bool) -> Response:
    status = HTTPStatus.CREATED if created else HTTPStatus.OK
    return json_response(answers.DeclaredValue(created=created), status)


DECLARED = (
    Answer(201, "It was created.", answers.DeclaredValue),
    Answer(200, "It exists with these arguments.", answers.DeclaredValue),
)
QUEUES = "/api/v1/message-queues"
QUEUE = f"{QUEUES}/{{queue}}"
_COUNT = Answer(200, "The number of messages.", answers.CountValue)

ROUTES = (
    rpc_route(
        "GET",
        QUEUES,
        pb.ListQueuesRequest,
        name="list_message_queues",
        tag=MANAGE,
        summary="List queues of messages with their depths",
        query=PAGING,
        answers=(Answer(200, "Sorted by name.", answers.QueueDetailsList),),
    ),
    rpc_route(
        "PUT",
        QUEUE,
        pb.DeclareQueueRequest,
        name="declare_message_queue",
        names={"queue": "queue.queue"},
        into="queue",
        tag=MANAGE,
        summary="Declare a queue of messages, or a stream",
        body=Body(bodies.QueueRequest, required=False, example={"maxSize": 1000}),
        answers=DECLARED,
        errors=(409, 413, 415),
    ),
    rpc_route(
        "GET",
        QUEUE,
        pb.GetQueueRequest,
        name="get_message_queue",
        part="state",
        tag=MANAGE,
        summary="Get a queue of messages and its content",
        answers=(Answer(200, "The queue.", answers.QueueDetails),),
        errors=(404,),
    ),
    rpc_route(
        "DELETE",
        QUEUE,
        pb.DeleteQueueRequest,
        name="delete_message_queue",
        given={"removed": True},
        tag=MANAGE,
        summary="Delete a queue with its messages and bindings",
        query=(Query("ifEmpty", "Refuse if it holds messages.", FLAG),),
        answers=(Answer(200, "It is deleted.", answers.RemovedValue),),
        errors=(404, 409),
    ),
    Route(
        "GET",
        f"{QUEUES}:watch",
        watch_message_queues,
        Operation(
            tag=TEST,
            summary="Stream the states of queues of messages",
            description=(
                "An event `Queue` per queue, then one for each change, at most once a second;"
                " `QueueRemoved` after a deletion."
            ),
            query=(Query("queue", "Only these queues.", repeated=True),),
            answers=(
                Answer(
                    200,
                    "`event:` and `data:`; comments as heartbeats every 15 s.",
                    answers.QueueDetails,
                    EVENT_STREAM,
                ),
            ),
            errors=(404, 429),
        ),
    ),
    Route(
        "GET",
        f"{QUEUE}/messages",
        browse_messages,
        Operation(
            tag=TEST,
            summary="Browse the messages of a queue without locking them",
            query=(
                Query("sequence", "First position; 0 is the oldest message.", whole()),
                Query("count", "Maximum number of messages.", whole(BROWSE_MAX)),
            ),
            answers=(Answer(200, "Sorted by position.", answers.MessageList),),
            errors=(404,),
        ),
    ),
    rpc_route(
        "POST",
        f"{QUEUE}:redrive",
        message_service_pb2.RedriveRequest,
        name="redrive_messages",
        tag=MANAGE,
        summary="Move dead letters back to their queues, or to another",
        body=Body(bodies.RedriveMessagesRequest, required=False),
        answers=(Answer(200, "The number of moved messages.", answers.RedrivenValue),),
        errors=(404, 413, 415),
    ),
    rpc_route(
        "POST",
        f"{QUEUE}:discard",
        message_service_pb2.DiscardRequest,
        name="discard_messages",
        names={"count": "discarded"},
        tag=MANAGE,
        summary="Delete single messages of a queue",
        body=Body(bodies.DiscardMessagesRequest),
        answers=(_COUNT,),
        errors=(404, 413, 415),
    ),
    rpc_route(
        "POST",
        f"{QUEUE}:purge",
        message_service_pb2.PurgeQueueRequest,
        name="purge_message_queue",
        names={"count": "purged"},
        tag=MANAGE,
        summary="Delete all messages of a queue",
        answers=(_COUNT,),
        errors=(404,),
    ),
    Route(
        "POST",
        f"{QUEUE}:seek",
        seek_message_group,
        Operation(
            tag=MANAGE,
            summary="Move a group of a stream to a position",
            body=Body(bodies.SeekGroupRequest, example={"group": "audit"}),
            answers=(Answer(200, "The group reads from there.", answers.DeclaredValue),),
            errors=(404, 413, 415),
        ),
    ),
    rpc_route(
        "GET",
        f"{QUEUE}/diagnosis",
        pb.DiagnoseQueueRequest,
        name="diagnose_message_queue",
        tag=TEST,
        summary="Explain why the messages of a queue are not processed",
        answers=(Answer(200, "The reasons.", answers.FindingList),),
        errors=(404,),
    ),
)
