"""Calls and streams between processes: what arrives does so in order, until a connection breaks.

A message is handed over as a copy of its own, as if it had been on a wire.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from flowmesh.errors import FlowmeshError, Timeout, Unavailable
from flowmesh.rpc.handlers import STORAGE_ERRORS
from flowmesh.rpc.status import internal_error
from tests.simulation.actors.faults import Fate, Faults
from tests.simulation.servers.loop import Process, VirtualLoop, process_of_step

CALL_TIMEOUT_S = 10.0
NOTICE_S = 0.002
"""After this a peer notices that the other side is gone."""


def _away() -> Unavailable:
    return Unavailable("SERVICE_UNAVAILABLE", "the service does not answer", retry_after_ms=100)


def _copy(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


class CallContext:
    """The context of a call as a service sees it."""

    def __init__(self, metadata: Any) -> None:
        self._metadata = metadata or ()

    def invocation_metadata(self) -> Any:
        return self._metadata

    def peer(self) -> str:
        return "elsewhere"


class Network:
    """The listeners by address."""

    def __init__(self, loop: VirtualLoop, faults: Faults) -> None:
        self.loop, self.faults = loop, faults
        self._listening: dict[str, tuple[Process, tuple[Any, ...]]] = {}
        self.streams: list[StreamCall] = []

    def listen(self, address: str, process: Process, *servicers: Any) -> None:
        self._listening[address] = (process, servicers)

    def stub(self, address: str) -> "Stub":
        return Stub(self, address)

    def find(self, address: str, method: str) -> tuple[Process, Callable[..., Any]] | None:
        """The process and the method of a live service."""
        process, servicers = self._listening.get(address, (None, ()))
        if process is None or not process.alive:
            return None
        for servicer in servicers:
            found = getattr(type(servicer), method, None)
            if found is not None:
                return process, getattr(servicer, method)
        return None


class Stub:
    """Calls of the services at one address."""

    def __init__(self, network: Network, address: str) -> None:
        self._network, self._address = network, address

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(request: Any, *, timeout: float = CALL_TIMEOUT_S, metadata: Any = None) -> Any:
            if hasattr(request, "SerializeToString"):
                unary = _Unary(self._network, self._address, method, timeout, metadata)
                return unary.run(_copy(request))
            return StreamCall(self._network, self._address, method, request, metadata)

        return call


class _Unary:
    """One call with one answer."""

    def __init__(
        self, network: Network, address: str, method: str, timeout_s: float, metadata: Any
    ) -> None:
        self._network, self._address, self._method = network, address, method
        self._timeout_s, self._context = timeout_s, CallContext(metadata)

    async def run(self, request: Any) -> Any:
        loop, faults = self._network.loop, self._network.faults
        answer: asyncio.Future[Any] = loop.create_future()
        fate, _ = faults.statement(self._method)

        def fail(error: Exception) -> None:
            if not answer.done():
                answer.set_exception(error)

        def arrive() -> None:
            found = self._network.find(self._address, self._method)
            if found is None or fate is Fate.LOST:
                loop.outside(NOTICE_S, fail, _away())
                return
            process, method = found
            process.on_death.append(lambda: loop.outside(NOTICE_S, fail, _away()))
            process.spawn(self._serve(method, request, answer, fate))

        loop.outside(faults.latency(), arrive)
        deadline = loop.outside(
            self._timeout_s, fail, Timeout("DEADLINE_EXCEEDED", "the call took too long")
        )
        try:
            return await answer
        finally:
            deadline.cancel()

    async def _serve(
        self, method: Callable[..., Any], request: Any, answer: asyncio.Future[Any], fate: Fate
    ) -> None:
        loop, faults = self._network.loop, self._network.faults
        value: Any = None
        error: Exception | None = None
        try:
            value = _copy(await method(request, self._context))
        except FlowmeshError as problem:
            error = problem
        except STORAGE_ERRORS:
            error = Unavailable("STORAGE_UNAVAILABLE", "the database did not answer")
        except Exception as problem:  # noqa: BLE001 (no caller may see such an answer)
            loop.failures.append(f"{self._method} failed: {problem!r}")
            error = internal_error()
        if fate in (Fate.UNANSWERED, Fate.LATE):
            error = _away()

        def tell() -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(value)

        loop.outside(faults.latency(), tell)


class _End:
    """Closes a pipe: no more messages, or an error in their place."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Pipe:
    """One direction of a stream."""

    def __init__(self, call: "StreamCall") -> None:
        self._call = call
        self._loop, self._faults = call.network.loop, call.network.faults
        self._last_s = 0.0
        self._sent: deque[Any] = deque()
        self._items: deque[Any] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self.closed = False

    def send(self, message: Any) -> None:
        """Puts a message on its way; what is behind it does not overtake it."""
        if self._faults.breaks_stream():
            self._call.break_off()
            return
        self._last_s = max(self._last_s, self._loop.time() + self._faults.latency())
        self._sent.append(message)
        self._loop.outside(self._last_s - self._loop.time(), self._arrive)

    def _arrive(self) -> None:
        """The next one of those sent: two that arrive together may swap their rounded times."""
        message = self._sent.popleft()
        if not self.closed:
            self._push(message)

    def close(self, error: BaseException | None) -> None:
        """Nothing arrives any more but the end."""
        if not self.closed:
            self.closed = True
            self._push(_End(error))

    def _push(self, item: Any) -> None:
        self._items.append(item)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        while not self._items:
            self._waiting = self._loop.create_future()
            await self._waiting
        item = self._items[0]
        if not isinstance(item, _End):
            return self._items.popleft()
        if item.error is not None:
            raise item.error
        raise StopAsyncIteration


class StreamCall:
    """A stream both ways, as the client holds it."""

    def __init__(
        self, network: Network, address: str, method: str, requests: Any, metadata: Any
    ) -> None:
        self.network, self._metadata = network, metadata
        self._up, self._down = _Pipe(self), _Pipe(self)
        self._broken = False
        self._server: asyncio.Task[None] | None = None
        client = process_of_step()
        assert client is not None
        self.client, self.server = client, None
        found = network.find(address, method)
        if found is None:
            network.loop.outside(NOTICE_S, self._down.close, _away())
            self._broken = True
            return
        self.server, serve = found
        network.streams.append(self)
        for process in (client, self.server):
            process.on_death.append(self.break_off)
        self._sender = client.spawn(self._send(requests))
        self._server = self.server.spawn(self._serve(serve))

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._down.__aiter__()

    def cancel(self) -> None:
        """The client ends the stream."""
        self._end(asyncio.CancelledError())

    def break_off(self) -> None:
        """The connection breaks: both sides notice, what was on its way is lost."""
        self._end(_away())

    def _end(self, error: BaseException) -> None:
        if self._broken:
            return
        self._broken = True
        if self in self.network.streams:
            self.network.streams.remove(self)
        self._sender.cancel()
        loop = self.network.loop
        for pipe in (self._up, self._down):
            pipe.closed = True
        loop.outside(0.0, self._down._push, _End(error))
        if self._server is not None and self.server is not None:
            server, task = self.server, self._server
            loop.call_later(NOTICE_S, task.cancel, context=server.context)

    async def _send(self, requests: Any) -> None:
        async for request in requests:
            self._up.send(_copy(request))
        self.network.loop.outside(NOTICE_S, self._up.close, None)

    async def _serve(self, serve: Callable[..., Any]) -> None:
        error: BaseException | None = None
        try:
            async for response in serve(self._up, CallContext(self._metadata)):
                self._down.send(_copy(response))
        except asyncio.CancelledError:
            return
        except FlowmeshError as problem:
            error = problem
        last_s = max(self._down._last_s, self.network.loop.time())
        delay_s = last_s + NOTICE_S - self.network.loop.time()
        self.network.loop.outside(delay_s, self._down.close, error)
