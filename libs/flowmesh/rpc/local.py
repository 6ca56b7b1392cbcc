"""Calls to a service of the same process, without socket and serialization.

Messages are passed by reference: neither side may modify a sent or received message.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc
import grpc.aio

from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.rpc.handlers import Method
from flowmesh.rpc.pipe import EOF, Pipe
from flowmesh.rpc.scope import MetadataItems, enter_call
from flowmesh.rpc.status import deadline_error, error_for_code

LOCAL_PEER = "local"
"""The peer of an in-process call."""


class LocalContext:
    """The context of an in-process call: the used part of `grpc.aio.ServicerContext`."""

    def __init__(self, metadata: MetadataItems, timeout_s: float | None) -> None:
        self._metadata = tuple(metadata)
        self._loop = asyncio.get_running_loop()
        self._deadline = None if timeout_s is None else self._loop.time() + timeout_s
        self._done_callbacks: list[Callable[[Any], None]] = []
        self._ended = False

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self._metadata

    def time_remaining(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - self._loop.time())

    def peer(self) -> str:
        return LOCAL_PEER

    def done(self) -> bool:
        return self._ended

    def cancelled(self) -> bool:
        return self._ended

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._done_callbacks.append(callback)

    async def send_initial_metadata(self, _metadata: MetadataItems) -> None:
        """Do nothing: metadata of in-process responses is not read."""

    def set_trailing_metadata(self, _metadata: MetadataItems) -> None:
        """Do nothing: metadata of in-process responses is not read."""

    def set_code(self, _code: grpc.StatusCode) -> None:
        """Do nothing: generated methods that are not implemented also raise."""

    def set_details(self, _details: str) -> None:
        """Do nothing; see `set_code`."""

    async def abort(self, code: grpc.StatusCode, details: str = "", *_: object) -> NoReturn:
        raise error_for_code(code, details)

    def end(self) -> None:
        """End the call and run its callbacks; called once."""
        self._ended = True
        for callback in self._done_callbacks:
            callback(self)


async def call_unary(
    method: Method, request: Any, metadata: MetadataItems, timeout_s: float | None
) -> Any:
    """Call a unary method in the task of the caller."""
    context = LocalContext(metadata, timeout_s)
    try:
        if timeout_s is None:
            return await method.unary(request, context)
        async with asyncio.timeout(timeout_s):
            return await method.unary(request, context)
    except TimeoutError:
        raise deadline_error() from None
    finally:
        context.end()


class LocalStream:
    """The client side of an in-process call that streams in at least one direction."""

    def __init__(
        self,
        method: Method,
        requests: Any,
        metadata: MetadataItems,
        timeout_s: float | None,
    ) -> None:
        self._method = method
        self._served = ServedStream(method, requests, metadata, timeout_s)

    def __del__(self) -> None:
        # Like grpc.aio, cancel a call without references.
        self._served.cancel()

    def __await__(self) -> Any:
        return self._result().__await__()

    async def _result(self) -> Any:
        message = await self.read()
        if message is EOF:
            raise Unavailable("SERVICE_UNAVAILABLE", "the call ended without a response")
        return message

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not EOF:
            yield message

    async def read(self) -> Any:
        """Return the next response, EOF after the last one; raise the failure of the call."""
        served = self._served
        try:
            message = await served.responses.get()
        except asyncio.CancelledError:
            served.cancel()
            raise
        if message is EOF and served.failure is not None:
            raise served.failure
        return message

    async def write(self, message: Any) -> None:
        """Send a request; raise the failure of the call if it has ended."""
        served = self._served
        if not await served.requests.put(message):
            raise served.failure or Unavailable("SERVICE_UNAVAILABLE", "the stream has ended")

    async def done_writing(self) -> None:
        self._served.requests.close()

    def cancel(self) -> bool:
        return self._served.cancel()

    def done(self) -> bool:
        return self._served.task.done()

    def cancelled(self) -> bool:
        return self._served.task.done() and isinstance(self._served.failure, asyncio.CancelledError)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._served.task.add_done_callback(lambda _: callback(self))

    async def wait_for_connection(self) -> None:
        """Return at once: there is no connection."""


class ServedStream:
    """The server side of an in-process stream: its task, and the pipes to the client."""

    def __init__(
        self, method: Method, requests: Any, metadata: MetadataItems, timeout_s: float | None
    ) -> None:
        self.requests = Pipe()
        self.responses = Pipe()
        self.failure: BaseException | None = None
        self._method = method
        self._context = LocalContext(metadata, timeout_s)
        self._feeder: asyncio.Task[None] | None = None
        argument = self.requests if method.request_streaming else requests
        if method.request_streaming and requests is not None:
            self._feeder = asyncio.create_task(self._feed(requests))
        self.task = asyncio.create_task(self._serve(argument, timeout_s), name=method.path)
        self.task.add_done_callback(self._ended)

    def cancel(self) -> bool:
        """Cancel the call for the client."""
        if self.task.done():
            return False
        self.failure = asyncio.CancelledError()
        return self.task.cancel()

    async def _feed(self, requests: AsyncIterable[Any]) -> None:
        try:
            async for request in _each(requests):
                if not await self.requests.put(request):
                    return
        finally:
            self.requests.close()

    async def _serve(self, argument: Any, timeout_s: float | None) -> None:
        enter_call(self._context.invocation_metadata(), timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                await self._run(argument)
        except FlowmeshError as error:
            # Without its frames, which reference this object and the request.
            self.failure = error.with_traceback(None)
        except TimeoutError:
            self.failure = deadline_error()
        except asyncio.CancelledError:
            if self.failure is None:
                self.failure = Unavailable("DRAINING", "the service is about to stop")

    def _ended(self, _task: asyncio.Task[None]) -> None:
        """Close both pipes, also for a task that was canceled before it started."""
        if self._feeder is not None:
            self._feeder.cancel()
        self.requests.close()
        self.responses.close()
        self._context.end()

    async def _run(self, argument: Any) -> None:
        method, context, responses = self._method, self._context, self.responses
        if isinstance(argument, Pipe):
            argument = aiter(argument)
        if method.response_streaming:
            async with aclosing(method.stream(argument, context)) as messages:
                async for message in messages:
                    await responses.put(message)
        else:
            await responses.put(await method.unary(argument, context))


async def _each(requests: Any) -> AsyncIterator[Any]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request
