"""Long-running responses: calls that are canceled on disconnect, and event streams."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import Any, Protocol, TypeVar

import msgspec

from flowmesh.errors import FlowmeshError
from flowmesh.failpoints import failpoint
from flowmesh.gateway.http.errors import error_value
from flowmesh.gateway.http.limits import HEARTBEAT_S, RECONNECT_MS
from flowmesh.runtime.http.requests import ClientGone

T = TypeVar("T")

# The event of a stream that ends early; clients resume from the last id.
STREAM_ERROR = "StreamError"
EVENT_STREAM = "text/event-stream"
STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
_COMMENT = b": heartbeat\n\n"


class Connection(Protocol):
    """A request or a socket whose client may disconnect."""

    async def gone(self) -> None: ...


class Cancellable(Protocol):
    """A call in progress."""

    def cancel(self) -> object: ...


async def while_connected(connection: Connection, call: Awaitable[T]) -> T:
    """Return the result of a call; cancel it if the client disconnects."""
    gone = asyncio.ensure_future(connection.gone())
    waiting = asyncio.ensure_future(call)
    try:
        await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientGone
        return waiting.result()
    finally:
        await _stop(gone, waiting)


async def each_or_beat(
    connection: Connection, items: AsyncIterator[T], *, beat_s: float = HEARTBEAT_S
) -> AsyncGenerator[T | None, None]:
    """Yield items, and `None` after each `beat_s` without one; end if the client disconnects."""
    gone = asyncio.ensure_future(connection.gone())
    coming = asyncio.ensure_future(_next(items))
    try:
        while True:
            done, _ = await asyncio.wait(
                {gone, coming}, timeout=beat_s, return_when=asyncio.FIRST_COMPLETED
            )
            if gone in done:
                return
            if not done:
                yield None
                continue
            item = coming.result()
            if item is None:
                return
            yield item
            failpoint("gateway.streaming")
            coming = asyncio.ensure_future(_next(items))
    finally:
        await _stop(gone, coming)


def event_text(event: str, data: Any, *, event_id: str = "") -> bytes:
    """Return a Server-Sent Event; JSON without line breaks fits into one data line."""
    head = f"id: {event_id}\nevent: {event}\ndata: " if event_id else f"event: {event}\ndata: "
    return head.encode() + msgspec.json.encode(data) + b"\n\n"


def error_event(error: FlowmeshError) -> bytes:
    """Return the last event of a stream that ends early."""
    return event_text(STREAM_ERROR, {"error": error_value(error)})


def stream_head() -> bytes:
    """Return the start of a stream: a first byte for proxies, and the reconnection delay."""
    return f"retry: {RECONNECT_MS}\n\n".encode()


def heartbeat() -> bytes:
    return _COMMENT


async def _stop(*futures: "asyncio.Future[Any]") -> None:
    for future in futures:
        future.cancel()
    await asyncio.wait(futures)
    for future in futures:
        if not future.cancelled():
            future.exception()


async def _next(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)
