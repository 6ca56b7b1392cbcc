"""Frequent calls to other orchestrators: one stream to each, batched per pass of the event loop.

A forwarded start and the wait for its end cost a message in a frame, not a call. When a stream
breaks, its callers get an error and repeat the call. The same holds for calls to an orchestrator
that has lost its lease: it may hang with open connections.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from typing import TYPE_CHECKING, Any, TypeVar

from flowmesh.access import acting_as, service_tokens
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.orchestrator.model.commands import Started
from flowmesh.rpc import error_of_refused_start

M = TypeVar("M")
if TYPE_CHECKING:
    Stub = pb_grpc.ExecutionServiceAsyncStub

FRAME_BYTES_MAX = 1 << 20
"""A frame is closed above this."""

FORWARDED = ((service_tokens.FORWARDED, "1"),)
"""Metadata of a call that an orchestrator forwards: the receiver must not forward it again."""


def was_forwarded(context: Any) -> bool:
    """Return whether another orchestrator forwarded the call."""
    return any(key == FORWARDED[0][0] for key, _ in context.invocation_metadata() or ())


class _Watch:
    """The callers that wait for the end of one execution, and the id of their call."""

    __slots__ = ("call_id", "futures")

    def __init__(self, call_id: int) -> None:
        self.call_id = call_id
        self.futures: list[asyncio.Future[pb.SessionResult]] = []


class Peer:
    """One stream to one orchestrator."""

    def __init__(self, stub: "Stub") -> None:
        self._stub = stub
        self._last_call = 0
        self._starts: dict[int, asyncio.Future[Started]] = {}
        # One watch per execution, shared by all of its callers.
        self._watches: dict[bytes, _Watch] = {}
        self._watched: dict[int, bytes] = {}
        self._queue: deque[pb.SessionStart | pb.SessionWatch] = deque()
        self._canceled: list[int] = []
        self._wake = asyncio.Event()
        self.closed = False

    async def start(self, request: pb.StartExecutionRequest) -> Started:
        """Start an execution at the peer; other parts of the request are left to the caller."""
        future: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        call_id = self._send(pb.SessionStart(start=request))
        self._starts[call_id] = future
        try:
            return await future
        finally:
            self._starts.pop(call_id, None)

    async def outcome(self, wanted: pb.SessionWatch) -> pb.SessionResult:
        """Return the result of the peer's execution after its end; `call_id` is not set."""
        key = wanted.SerializeToString()
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = _Watch(self._send(pb.SessionWatch.FromString(key)))
            self._watched[watch.call_id] = key
        future: asyncio.Future[pb.SessionResult] = asyncio.get_running_loop().create_future()
        watch.futures.append(future)
        try:
            return await future
        finally:
            watch.futures.remove(future)
            if not watch.futures and self._watches.get(key) is watch:
                del self._watches[key], self._watched[watch.call_id]
                self._canceled.append(watch.call_id)
                self._wake.set()

    def _send(self, message: pb.SessionStart | pb.SessionWatch) -> int:
        if self.closed:
            raise _unavailable()
        self._last_call += 1
        message.call_id = self._last_call
        self._queue.append(message)
        self._wake.set()
        return self._last_call

    async def run(self) -> None:
        """Run the stream until it ends."""
        error: FlowmeshError = _unavailable()
        try:
            responses = self._stub.Session(self._requests(), metadata=FORWARDED)
            async for response in responses:
                self._take(response)
        except FlowmeshError as broken:
            error = broken if isinstance(broken, Unavailable) else error
        finally:
            self.closed = True
            waiting: list[asyncio.Future[Any]] = list(self._starts.values())
            for watch in self._watches.values():
                waiting.extend(watch.futures)
            for future in waiting:
                if not future.done():
                    future.set_exception(error)

    async def _requests(self) -> AsyncIterator[pb.SessionRequest]:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue or self._canceled:
                yield self._next_frame()

    def _next_frame(self) -> pb.SessionRequest:
        frame, size = pb.SessionRequest(), 0
        while self._queue and size < FRAME_BYTES_MAX:
            message = self._queue.popleft()
            size += message.ByteSize()
            if isinstance(message, pb.SessionStart):
                frame.starts.append(message)
            else:
                frame.watches.append(message)
        if not self._queue:
            # After the watches that they cancel.
            frame.forgotten.extend(self._canceled)
            self._canceled.clear()
        return frame

    def _take(self, response: pb.SessionResponse) -> None:
        for started in response.started:
            start = self._starts.get(started.call_id)
            if start is not None and not start.done():
                start.set_result(Started(started.execution_id, started.created))
        for refused in response.refused:
            for future in self._waiting_for(refused.call_id):
                if not future.done():
                    future.set_exception(error_of_refused_start(refused))
        for result in response.results:
            for future in self._waiting_for(result.call_id):
                if not future.done():
                    future.set_result(result)

    def _waiting_for(self, call_id: int) -> list[asyncio.Future[Any]]:
        start = self._starts.get(call_id)
        if start is not None:
            return [start]
        watch = self._watches.pop(self._watched.pop(call_id, b""), None)
        return list(watch.futures) if watch is not None else []


class Peers:
    """The streams to other orchestrators, opened on first use, and single calls to them."""

    def __init__(self, stub_at: Callable[[str], "Stub"]) -> None:
        self._stub_at = stub_at
        self._peers: dict[str, Peer] = {}
        # Tasks that end with an orchestrator, by address and in order of start: streams and calls.
        self._tasks: defaultdict[str, dict[asyncio.Future[Any], None]] = defaultdict(dict)

    def at(self, address: str) -> Peer:
        peer = self._peers.get(address)
        if peer is None or peer.closed:
            peer = self._peers[address] = Peer(self._stub_at(address))
            # The stream carries calls of all callers, each of which was checked here.
            with acting_as(None):
                self._track(address, peer.run())
        return peer

    async def call(self, address: str, call: Awaitable[M]) -> M:
        """Await a call to an orchestrator; raise Unavailable once it is removed."""
        tracked = self._track(address, call)
        try:
            return await tracked
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise _unavailable() from None

    def _track(self, address: str, call: Awaitable[M]) -> "asyncio.Future[M]":
        task = asyncio.ensure_future(call)
        tasks = self._tasks[address]
        tasks[task] = None
        task.add_done_callback(tasks.pop)
        return task

    def keep(self, addresses: Container[str]) -> None:
        """Cancel calls and streams to all other addresses."""
        for address in [gone for gone in self._tasks if gone not in addresses]:
            self._peers.pop(address, None)
            for task in self._tasks.pop(address):
                task.cancel()

    async def close(self) -> None:
        tasks = [each for tasks in self._tasks.values() for each in tasks]
        self.keep(())
        await asyncio.gather(*tasks, return_exceptions=True)


def _unavailable() -> Unavailable:
    return Unavailable("SERVICE_UNAVAILABLE", "the orchestrator does not answer")
