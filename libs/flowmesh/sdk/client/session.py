"""Many starts over one stream, with acknowledgements after the commit, and results.

Open calls are kept by call_id. A broken stream is reopened: unacknowledged starts are sent again
with their request_ids, and pending results are watched. One write per iteration of the event loop
carries all starts submitted in it. Starts that the server refuses because of overload are sent
again in their order, with fewer in flight (see `window`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc

from flowmesh import errors
from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as rpc
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.contract.json_value import Json
from flowmesh.records import value_from
from flowmesh.rpc import error_of_refused_start
from flowmesh.sdk.client.parts.versions import Version, version_fields
from flowmesh.sdk.client.window import Window
from flowmesh.sdk.transport.calls import Caller
from flowmesh.sdk.transport.duplex import StreamBroken, converse
from flowmesh.sdk.transport.payload_store import PayloadStore
from flowmesh.sdk.transport.reconnect import Reconnect
from flowmesh.sdk.transport.retries import retry_delay_s
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.executions import Status
from flowmesh.sdk.values.failures import ExecutionFailed, Failure
from flowmesh.sdk.values.ids import new_request_id
from flowmesh.sdk.values.payloads import payload_inline


@dataclass(frozen=True, slots=True)
class _End:
    status: Status
    failure: Failure | None


class SessionCall:
    """A submitted start: await `started()` for the id and `result()` for the output."""

    __slots__ = (
        "_error",
        "_outcome",
        "_payloads",
        "_result_waiters",
        "_start_waiters",
        "_watch",
        "call_id",
        "execution_id",
        "in_flight",
        "refused_at",
        "request",
        "want_result",
        "watched",
    )

    def __init__(
        self,
        call_id: int,
        request: pb.StartExecutionRequest | None,
        payloads: PayloadStore,
        watch: "Callable[[SessionCall], None]",
        *,
        want_result: bool,
        execution_id: str = "",
    ) -> None:
        self.call_id = call_id
        self.request = request
        self.want_result = want_result
        self.watched = False
        self.execution_id = execution_id
        self._watch = watch
        self.in_flight = False
        self.refused_at: float | None = None
        self._payloads = payloads
        self._start_waiters: list[asyncio.Future[None]] = []
        self._result_waiters: list[asyncio.Future[None]] = []
        self._outcome: pb.SessionResult | None = None
        self._error: Exception | None = None

    async def started(self) -> str:
        """Wait for the commit of the start and return the execution id; raises its refusal."""
        if not self.execution_id and self._error is None:
            await _wait(self._start_waiters)
        if not self.execution_id:
            raise self._error or AssertionError("woken without an outcome")
        return self.execution_id

    async def result(self) -> Json:
        """Wait for the end and return the output; raise ExecutionFailed if it did not complete."""
        if self._outcome is None and self._error is None:
            if not self.want_result:
                raise errors.Invalid(
                    "REQUEST_INVALID", "the start was submitted with want_result=False"
                )
            if self.execution_id and not self.watched:
                self._watch(self)
            await _wait(self._result_waiters)
        if self._outcome is None:
            raise self._error or AssertionError("woken without an outcome")
        return await self._value(self._outcome)

    def is_awaited(self) -> bool:
        """Return whether a caller waits for the result."""
        return bool(self._result_waiters)

    async def _value(self, outcome: pb.SessionResult) -> Json:
        end = value_from(_End, outcome)
        if end.status != Status.COMPLETED:
            raise ExecutionFailed(outcome.execution_id, end.status, end.failure)
        return await self._payloads.unpack(outcome.output)

    def acknowledge(self, execution_id: str) -> None:
        self.execution_id = execution_id
        self.request = None
        _wake(self._start_waiters)

    def finish(self, outcome: pb.SessionResult) -> None:
        self._outcome = outcome
        if not self.execution_id:
            self.acknowledge(outcome.execution_id)
        _wake(self._result_waiters)

    def fail(self, error: Exception) -> None:
        self._error = error
        self.request = None
        _wake(self._start_waiters)
        _wake(self._result_waiters)


def _wait(waiters: list[asyncio.Future[None]]) -> asyncio.Future[None]:
    """Return a future for one caller, so that its cancellation does not affect others."""
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiters.append(waiter)
    return waiter


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()


class Session:
    """`async with client.session() as session: output = await session.run("workflow", input)`."""

    def __init__(
        self,
        *,
        caller: Caller,
        payloads: PayloadStore,
        namespace: str,
        new_id: Callable[[], str] = new_request_id,
    ) -> None:
        self._caller = caller
        self._stub = rpc.ExecutionServiceStub(caller.channel)
        self._payloads = payloads
        self._namespace = namespace
        self._new_id = new_id
        self._calls: dict[int, SessionCall] = {}
        # Calls whose results the server sends by itself; others are watched once they are awaited.
        self._watched: set[int] = set()
        self._unacknowledged = 0
        self._window = Window()
        self._outgoing: deque[SessionCall] = deque()
        self._watching: deque[SessionCall] = deque()
        # Starts refused because of overload; they are sent before all others.
        self._overloaded: list[SessionCall] = []
        self._last_call_id = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._settled = asyncio.Event()
        self._settled.set()
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        self._runner = asyncio.create_task(self._run(), name="flowmesh-session")
        self._runner.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(flush=error is None)

    async def close(self, *, flush: bool = True) -> None:
        """Wait at most 10 s until every start is acknowledged, then end the stream."""
        self._closed = True
        try:
            if flush and self._unacknowledged:
                async with asyncio.timeout(limits.SESSION_FLUSH_S):
                    await self._settled.wait()
        except TimeoutError:
            pass  # the end of the stream fails these starts
        finally:
            if self._runner is not None:
                self._runner.cancel()
        if self._runner is not None:
            await asyncio.gather(self._runner, return_exceptions=True)

    def _ended(self, _runner: asyncio.Task[None]) -> None:
        """Fail all open calls after the end of the stream."""
        closed = "session" if self._closed else "client"
        self._closed = True
        self._fail_all(errors.Unavailable("DRAINING", f"the {closed} was closed"))

    # Starting -------------------------------------------------------------------------------

    def submit(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: Version = 0,
        want_result: bool = True,
    ) -> SessionCall:
        """Queue a start without waiting; raises Overloaded if 10,000 are unacknowledged."""
        payload = payload_inline(self._payloads.encode(input), "input")
        return self._submit(workflow_id, payload, request_id, version, want_result)

    async def start(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: Version = 0,
        want_result: bool = True,
    ) -> SessionCall:
        """Start an execution and wait for the commit of the start."""
        call = await self._send(workflow_id, input, request_id, version, want_result)
        await call.started()
        return call

    async def run(
        self, workflow_id: str, input: Json = None, *, request_id: str = "", version: Version = 0
    ) -> Json:
        """Start an execution, wait for the end and return the output."""
        call = await self._send(workflow_id, input, request_id, version, True)
        return await call.result()

    def watch(self, execution_id: str) -> SessionCall:
        """Watch an existing execution; its `result()` returns the output."""
        self._check_open()
        self._last_call_id += 1
        call = SessionCall(
            self._last_call_id,
            None,
            self._payloads,
            self._watch,
            want_result=True,
            execution_id=execution_id,
        )
        self._watch(call)
        return call

    def _watch(self, call: SessionCall) -> None:
        """Request the result of an acknowledged start, or of an existing execution."""
        self._check_open()
        call.watched = True
        self._watched.add(call.call_id)
        self._calls[call.call_id] = call
        self._queue(self._watching, call)

    async def _send(
        self, workflow_id: str, input: Json, request_id: str, version: Version, want_result: bool
    ) -> SessionCall:
        data = self._payloads.encode(input)
        if len(data) > INLINE_BYTES_MAX:
            payload = await self._payloads.put(data)
        else:
            payload = payload_pb2.Payload(data=data)
        while not self._room.is_set():
            await self._room.wait()
        return self._submit(workflow_id, payload, request_id, version, want_result)

    def _submit(
        self,
        workflow_id: str,
        payload: payload_pb2.Payload,
        request_id: str,
        version: Version,
        want_result: bool,
    ) -> SessionCall:
        self._check_open()
        if self._unacknowledged >= limits.SESSION_UNACKNOWLEDGED_MAX:
            raise errors.Overloaded(
                "OVERLOADED",
                f"{self._unacknowledged} starts of this session are unacknowledged, the maximum",
                retry_after_ms=100,
            )
        request = pb.StartExecutionRequest(
            namespace=self._namespace,
            workflow_id=workflow_id,
            **version_fields(version),
            input=payload,
            request_id=request_id or self._new_id(),
        )
        self._last_call_id += 1
        call = SessionCall(
            self._last_call_id, request, self._payloads, self._watch, want_result=want_result
        )
        self._calls[call.call_id] = call
        self._count_unacknowledged(1)
        self._queue(self._outgoing, call)
        return call

    def _check_open(self) -> None:
        if self._closed or self._runner is None:
            raise errors.Unavailable("DRAINING", "the session is not open; use `async with`")

    def _count_unacknowledged(self, by: int) -> None:
        self._unacknowledged += by
        if self._unacknowledged >= limits.SESSION_UNACKNOWLEDGED_MAX:
            self._room.clear()
        elif by < 0:
            self._room.set()
        if self._unacknowledged:
            self._settled.clear()
        else:
            self._settled.set()

    # The stream -----------------------------------------------------------------------------

    async def _run(self) -> None:
        reconnect = Reconnect(self._caller, asyncio.get_running_loop().time)

        def receive(response: pb.SessionResponse) -> bool:
            reconnect.connected()
            self._receive(response)
            return True

        async def write(stream: Any) -> None:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while (frame := self._take_frame()) is not None:
                    await stream.write(frame)

        while True:
            try:
                await reconnect.opening()
                stream = self._stub.Session()
                await converse(stream, receive, write(stream))
            except grpc.aio.AioRpcError as error:
                await reconnect.broken(error)
            except StreamBroken:
                return  # the client was closed
            reconnect.ended()
            if reconnect.hopeless:
                self._fail_all(reconnect.error())
            await reconnect.pause()
            self._resend()

    def _take_frame(self) -> pb.SessionRequest | None:
        """Return the next frame of queued starts and watches, within the limits and the window."""
        starts: list[pb.SessionStart] = []
        watches: list[pb.SessionWatch] = []
        size = 0
        outgoing, watching = self._outgoing, self._watching
        room = 0 if self._overloaded else min(self._window.room, limits.FRAME_ITEMS_MAX)
        while outgoing and len(starts) < room and size < limits.FRAME_BYTES_MAX:
            call = outgoing.popleft()
            if call.request is not None and not call.in_flight:
                call.in_flight = True
                call.watched = call.want_result and len(self._watched) < limits.SESSION_WATCHED_MAX
                if call.watched:
                    self._watched.add(call.call_id)
                self._window.sent()
                size += len(call.request.input.data) + 128
                starts.append(
                    pb.SessionStart(
                        call_id=call.call_id, start=call.request, want_result=call.watched
                    )
                )
        while watching and len(watches) < limits.FRAME_ITEMS_MAX:
            call = watching.popleft()
            if call.call_id in self._calls:
                watches.append(
                    pb.SessionWatch(
                        call_id=call.call_id,
                        namespace=self._namespace,
                        execution_id=call.execution_id,
                    )
                )
        return pb.SessionRequest(starts=starts, watches=watches) if starts or watches else None

    def _receive(self, response: pb.SessionResponse) -> None:
        calls = self._calls
        for started in response.started:
            call = calls.get(started.call_id)
            if call is None or call.request is None:
                continue
            self._accepted(call)
            call.acknowledge(started.execution_id)
            if not call.watched:
                del calls[started.call_id]
                if call.is_awaited():
                    self._watch(call)
        for result in response.results:
            call = self._closed_call(result.call_id)
            if call is None:
                continue
            if call.request is not None:
                self._accepted(call)
            call.finish(result)
        for refused in response.refused:
            self._refused(refused)
        if self._overloaded and response.started:
            # The server has capacity again.
            self._retry_overloaded()
        elif self._outgoing:
            self._wake.set()

    def _accepted(self, call: SessionCall) -> None:
        self._window.accepted()
        call.in_flight = False
        self._count_unacknowledged(-1)

    def _refused(self, refused: pb.SessionRefused) -> None:
        call = self._calls.get(refused.call_id)
        if call is None:
            return
        error = error_of_refused_start(refused)
        overloaded = error.reason == "OVERLOADED"
        if call.in_flight:
            self._window.refused(overloaded=overloaded)
            call.in_flight = False
            self._watched.discard(call.call_id)
        loop = asyncio.get_running_loop()
        if call.refused_at is None:
            call.refused_at = loop.time()
        delay_s = retry_delay_s(error, limits.RETRY_WAIT_INITIAL_S)
        if delay_s is None or loop.time() + delay_s > call.refused_at + limits.RETRY_TOTAL_S:
            self._drop(call, error)
        elif call.request is None:
            loop.call_later(delay_s, self._queue, self._watching, call)
        elif not overloaded:
            loop.call_later(delay_s, self._queue, self._outgoing, call)
        else:
            if not self._overloaded:
                loop.call_later(delay_s, self._retry_overloaded)
            self._overloaded.append(call)

    def _queue(self, queue: deque[SessionCall], call: SessionCall) -> None:
        queue.append(call)
        self._wake.set()

    def _retry_overloaded(self) -> None:
        """Queue the refused starts before those that were never sent."""
        again = sorted(self._overloaded, key=lambda call: call.call_id, reverse=True)
        self._overloaded.clear()
        self._outgoing.extendleft(again)
        self._wake.set()

    def _drop(self, call: SessionCall, error: Exception) -> None:
        if self._closed_call(call.call_id) is None:
            return
        if call.request is not None:
            self._count_unacknowledged(-1)
        call.fail(error)

    def _closed_call(self, call_id: int) -> SessionCall | None:
        """Remove a call that has its outcome, and return it."""
        self._watched.discard(call_id)
        return self._calls.pop(call_id, None)

    def _resend(self) -> None:
        """Queue all unacknowledged starts and pending results again, after a reconnect."""
        self._window.reset()
        self._overloaded.clear()
        calls = self._calls.values()
        for call in calls:
            call.in_flight = False
        self._outgoing = deque(call for call in calls if call.request is not None)
        self._watching = deque(call for call in calls if call.request is None)
        self._watched = {call.call_id for call in self._watching}
        self._wake.set()

    def _fail_all(self, error: Exception) -> None:
        for call in list(self._calls.values()):
            self._drop(call, error)
