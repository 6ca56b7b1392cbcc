"""Lifecycle events as Server-Sent Events and over WebSockets."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from http import HTTPStatus
from typing import Any

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.errors import FlowmeshError, Timeout
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.limits import SUBSCRIBE_WAIT_S
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, Route, SocketRoute
from flowmesh.gateway.http.parameters import EVENT, OPTIONAL_ID, Query, RequestHeader, one_of
from flowmesh.gateway.http.requests import (
    AnyResponse,
    Head,
    Request,
    Response,
    StreamResponse,
)
from flowmesh.gateway.http.sockets import INTERNAL_ERROR, TRY_AGAIN_LATER, Socket
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
from flowmesh.views import (
    END_TYPES,
    Read,
    cloud_event_value,
    event_type,
    event_view,
    raw_value,
    size_value,
)

OUTLINE = "outline"
VIEW = Query(
    "view",
    '`full` events, or their `outline`: each value is replaced by its size, `{"bytes": 12}`.',
    one_of("full", OUTLINE, default="full"),
)
CLOUD_EVENTS = "cloudevents"
ENVELOPE = Query(
    "envelope",
    "`cloudevents`: each event in the JSON format of CloudEvents 1.0, its view in `data`.",
    one_of("none", CLOUD_EVENTS, default="none"),
)


async def execution_events(backends: Backends, request: Request) -> AnyResponse:
    resumed = request.header(b"last-event-id")
    after = request.whole("after")
    if resumed:
        # A reconnecting browser repeats its original URL.
        after = int(resumed)
    watch = _watch_of(request, after)
    ended = await _last_event_is(backends, watch)
    if ended and resumed and after:
        # A browser reconnects after every end unless it gets this status.
        return Response(HTTPStatus.NO_CONTENT)
    chunks = _only_head() if ended else _execution_chunks(backends, request, watch)
    return StreamResponse(chunks, EVENT_STREAM, headers=STREAM_HEADERS)


async def execution_events_socket(backends: Backends, socket: Socket) -> None:
    watch = _watch_of(socket, socket.whole("after"))
    ended = await _last_event_is(backends, watch)
    await socket.accept()
    if ended:
        await socket.close()
        return
    call = backends.events.WatchExecution(watch)
    try:
        read = reader_of(socket)
        await _feed(socket, (event_view(response.event, read=read) async for response in call))
    finally:
        call.cancel()


async def namespace_events(backends: Backends, request: Request) -> AnyResponse:
    call = backends.events.WatchEvents(_filter_of(request))
    responses = aiter(call)
    await _subscribed(responses)
    chunks = _namespace_chunks(request, call, responses)
    return StreamResponse(chunks, EVENT_STREAM, headers=STREAM_HEADERS)


async def namespace_events_socket(backends: Backends, socket: Socket) -> None:
    call = backends.events.WatchEvents(_filter_of(socket))
    responses = aiter(call)
    read = reader_of(socket)
    try:
        await _subscribed(responses)
        await socket.accept()
        events = (
            event_view(response.event, read=read) | {"cursor": response.cursor}
            async for response in responses
            if response.HasField("event")
        )
        await _feed(socket, events)
    finally:
        call.cancel()


async def _only_head() -> AsyncGenerator[bytes, None]:
    yield stream_head()


async def _execution_chunks(
    backends: Backends, request: Request, watch: pb.WatchExecutionRequest
) -> AsyncGenerator[bytes, None]:
    yield stream_head()
    call = backends.events.WatchExecution(watch)
    read = reader_of(request)
    try:
        async for response in each_or_beat(request, aiter(call)):
            yield heartbeat() if response is None else _execution_event(response.event, read)
    except FlowmeshError as error:
        yield error_event(error)
    finally:
        call.cancel()


async def _namespace_chunks(
    request: Request, call: Cancellable, responses: AsyncIterator[pb.WatchEventsResponse]
) -> AsyncGenerator[bytes, None]:
    yield stream_head()
    read = reader_of(request)
    in_envelope = request.text("envelope") == CLOUD_EVENTS
    try:
        async for response in each_or_beat(request, responses):
            if response is None:
                yield heartbeat()
            elif response.HasField("event"):
                view = event_view(response.event, read=read)
                data = _cloud_event(response.event, read) if in_envelope else view
                yield event_text(view["type"], data, event_id=response.cursor)
    except FlowmeshError as error:
        yield error_event(error)
    finally:
        call.cancel()


def _cloud_event(event: pb.LifecycleEvent, read: Read) -> dict[str, Any]:
    value = cloud_event_value(event, read=read)
    return {"specversion": "1.0", "datacontenttype": "application/json", **value}


def _execution_event(event: pb.LifecycleEvent, read: Read) -> bytes:
    view = event_view(event, read=read)
    derived = event.HasField("signal_flow")
    return event_text(view["type"], view, event_id="" if derived else str(view["sequence"]))


async def _feed(socket: Socket, events: AsyncIterator[dict[str, Any]]) -> None:
    try:
        async for view in each_or_beat(socket, events):
            if view is not None:
                await socket.send_json(view)
    except FlowmeshError as error:
        overdue = error.http_status in (429, 503)
        await socket.close(TRY_AGAIN_LATER if overdue else INTERNAL_ERROR, error.reason)
    else:
        await socket.close()


def reader_of(head: Head) -> Read:
    """Return the reader of payloads for the `view` of a request."""
    return size_value if head.text("view") == OUTLINE else raw_value


def _watch_of(head: Head, after: int) -> pb.WatchExecutionRequest:
    return pb.WatchExecutionRequest(
        namespace=head.namespace,
        execution_id=head.param("executionId"),
        after=after,
        types=head.texts("type"),
    )


def _filter_of(head: Head) -> pb.WatchEventsRequest:
    return pb.WatchEventsRequest(
        namespace=head.namespace,
        workflow_id=head.text("workflow"),
        execution_id=head.text("execution"),
        types=head.texts("type"),
        cursor=head.header(b"last-event-id") or head.text("after"),
    )


async def _last_event_is(backends: Backends, watch: pb.WatchExecutionRequest) -> bool:
    """Return whether `after` is the last event. Raise NotFound for a missing execution."""
    response = await backends.histories.ListHistoryEvents(
        history_service_pb2.ListHistoryEventsRequest(
            namespace=watch.namespace,
            execution_id=watch.execution_id,
            after=max(0, watch.after - 1),
            page_size=1,
        )
    )
    return any(
        event.sequence == watch.after and event_type(event) in END_TYPES
        for event in response.events
    )


async def _subscribed(responses: AsyncIterator[pb.WatchEventsResponse]) -> None:
    """Wait for the subscription, so that an expired cursor is reported as 410."""
    try:
        async with asyncio.timeout(SUBSCRIBE_WAIT_S):
            await anext(responses)
    except TimeoutError as error:
        raise Timeout("DEADLINE_EXCEEDED", "The subscription did not start in time.") from error


_TYPES = Query("type", "Only these types, and always the last event.", repeated=True)
_AFTER = Query("after", "Sequence of the last known event.", EVENT)
_NAMESPACE_QUERY = (
    Query("workflow", "Only events of executions of this workflow.", OPTIONAL_ID),
    Query("workflowId", "Alias of `workflow`.", OPTIONAL_ID, same_as="workflow"),
    Query("execution", "Only events of this execution.", OPTIONAL_ID),
    Query("executionId", "Alias of `execution`.", OPTIONAL_ID, same_as="execution"),
    Query("type", "Only these types.", repeated=True),
    Query("after", "Cursor (`id:`) of the last known event."),
    Query("cursor", "Alias of `after`.", same_as="after"),
    VIEW,
)
_NAMESPACE = Query("namespace", "The namespace, for clients that cannot set headers.", OPTIONAL_ID)
_KNOWN = "`id:` of the last known event; takes precedence over `after`."
_LAST_EVENT_ID = RequestHeader("Last-Event-ID", _KNOWN, EVENT)
_LAST_CURSOR = RequestHeader("Last-Event-ID", _KNOWN)
_STREAM = Answer(
    200,
    "`id:`, `event:` and `data:` (an event) per event; comments as heartbeats every 15 s.",
    answers.Event,
    EVENT_STREAM,
)
ROUTES = (
    Route(
        "GET",
        "/api/v1/executions/{executionId}/events",
        execution_events,
        Operation(
            tag=TEST,
            summary="Stream the events of an execution",
            description="Starts with the first event and ends after the last one.",
            query=(_AFTER, _TYPES, VIEW),
            headers=(_LAST_EVENT_ID,),
            answers=(_STREAM, Answer(204, "The last event is already known; none will follow.")),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        "/api/v1/events",
        namespace_events,
        Operation(
            tag=TEST,
            summary="Stream the events of all executions of the namespace",
            description="`id:` is an opaque cursor.",
            query=(*_NAMESPACE_QUERY, ENVELOPE),
            headers=(_LAST_CURSOR,),
            answers=(_STREAM,),
            errors=(410, 429),
        ),
    ),
)
SOCKETS = (
    SocketRoute(
        "/api/v1/executions/{executionId}/events/ws",
        execution_events_socket,
        Operation(
            tag=TEST,
            summary="Stream the events of an execution over a WebSocket",
            description="One JSON text message per event; closes after the last one.",
            query=(_AFTER, _TYPES, VIEW, _NAMESPACE),
            answers=(Answer(101, "A WebSocket.", answers.Event),),
            errors=(404,),
        ),
    ),
    SocketRoute(
        "/api/v1/events/ws",
        namespace_events_socket,
        Operation(
            tag=TEST,
            summary="Stream the events of the namespace over a WebSocket",
            description="One JSON text message per event, with its `cursor`.",
            query=(*_NAMESPACE_QUERY, _NAMESPACE),
            answers=(Answer(101, "A WebSocket.", answers.Event),),
            errors=(410, 429),
        ),
    ),
)
