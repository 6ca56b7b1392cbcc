"""Calls to other orchestrators that come in thousands: one stream to each, batched by loop pass.

A start whose partition another one owns and the wait for its end cost a message in a frame there,
not a call. When a stream breaks, whoever waits on it is told and asks again; so are all who wait
for an orchestrator that has lost its lease: it may stand still, with its connections open.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from typing import TYPE_CHECKING, Any, TypeVar

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.orchestrator.model.commands import Started
from flowmesh.rpc import error_of_refusal

M = TypeVar("M")
if TYPE_CHECKING:
    Stub = pb_grpc.ExecutionServiceAsyncStub

FRAME_BYTES_MAX = 1 << 20
"""A frame is closed above this."""

FORWARDED = (("flowmesh-forwarded", "1"),)


def was_forwarded(context: Any) -> bool:
    """Whether another orchestrator passed the call on."""
    return any(key == FORWARDED[0][0] for key, _ in context.invocation_metadata() or ())


"""Marks a call that an orchestrator passed on: the receiver answers it or refuses it."""


class _Watch:
    """An execution whose end is waited for, under the call's id."""

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
        # One watch of an execution, however many wait for it, and none when nobody does.
        self._watches: dict[bytes, _Watch] = {}
        self._watched: dict[int, bytes] = {}
        self._queue: deque[pb.SessionStart | pb.SessionWatch] = deque()
        self._forgotten: list[int] = []
        self._wake = asyncio.Event()
        self.over = False

    async def start(self, request: pb.StartExecutionRequest) -> Started:
        """Starts an execution there; what else the request asks for is left to the caller."""
        future: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        call_id = self._say(pb.SessionStart(start=request))
        self._starts[call_id] = future
        try:
            return await future
        finally:
            self._starts.pop(call_id, None)

    async def outcome(self, wanted: pb.SessionWatch) -> pb.SessionResult:
        """How an execution of that orchestrator ended, once it has; `call_id` is not set."""
        key = wanted.SerializeToString()
        watch = self._watches.get(key)
        if watch is None:
            watch = self._watches[key] = _Watch(self._say(pb.SessionWatch.FromString(key)))
            self._watched[watch.call_id] = key
        future: asyncio.Future[pb.SessionResult] = asyncio.get_running_loop().create_future()
        watch.futures.append(future)
        try:
            return await future
        finally:
            watch.futures.remove(future)
            if not watch.futures and self._watches.get(key) is watch:
                del self._watches[key], self._watched[watch.call_id]
                self._forgotten.append(watch.call_id)
                self._wake.set()

    def _say(self, message: pb.SessionStart | pb.SessionWatch) -> int:
        if self.over:
            raise _gone()
        self._last_call += 1
        message.call_id = self._last_call
        self._queue.append(message)
        self._wake.set()
        return self._last_call

    async def run(self) -> None:
        """Lives as long as the stream does."""
        error: FlowmeshError = _gone()
        try:
            responses = self._stub.Session(self._requests(), metadata=FORWARDED)
            async for response in responses:
                self._take(response)
        except FlowmeshError as broken:
            error = broken if isinstance(broken, Unavailable) else error
        finally:
            self.over = True
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
            while self._queue or self._forgotten:
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
            # Behind the watches they are about.
            frame.forgotten.extend(self._forgotten)
            self._forgotten.clear()
        return frame

    def _take(self, response: pb.SessionResponse) -> None:
        for started in response.started:
            start = self._starts.get(started.call_id)
            if start is not None and not start.done():
                start.set_result(Started(started.execution_id, started.created))
        for refused in response.refused:
            for future in self._waiting_for(refused.call_id):
                if not future.done():
                    future.set_exception(error_of_refusal(refused))
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
    """The streams of this process, made when they are first needed, and its single calls."""

    def __init__(self, stub_at: Callable[[str], "Stub"]) -> None:
        self._stub_at = stub_at
        self._peers: dict[str, Peer] = {}
        # What ends when an orchestrator does, by its address and as it began: the stream, calls.
        self._asking: defaultdict[str, dict[asyncio.Future[Any], None]] = defaultdict(dict)

    def at(self, address: str) -> Peer:
        peer = self._peers.get(address)
        if peer is None or peer.over:
            peer = self._peers[address] = Peer(self._stub_at(address))
            self._asked(address, peer.run())
        return peer

    async def call(self, address: str, made: Awaitable[M]) -> M:
        """A call to one of them; Unavailable once that is none any more."""
        asked = self._asked(address, made)
        try:
            return await asked
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise _gone() from None

    def _asked(self, address: str, made: Awaitable[M]) -> "asyncio.Future[M]":
        asked = asyncio.ensure_future(made)
        asking = self._asking[address]
        asking[asked] = None
        asked.add_done_callback(asking.pop)
        return asked

    def keep(self, addresses: Container[str]) -> None:
        """These are orchestrators; nobody waits for any other one."""
        for address in [gone for gone in self._asking if gone not in addresses]:
            self._peers.pop(address, None)
            for asked in self._asking.pop(address):
                asked.cancel()

    async def close(self) -> None:
        asking = [one for asked in self._asking.values() for one in asked]
        self.keep(())
        await asyncio.gather(*asking, return_exceptions=True)


def _gone() -> Unavailable:
    return Unavailable("SERVICE_UNAVAILABLE", "the orchestrator does not answer")
