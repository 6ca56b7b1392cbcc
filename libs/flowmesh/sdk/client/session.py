"""Many starts over one stream: acknowledgements after the commit, results when they come.

What waits is kept by call_id. A broken stream is opened again; starts that were not
acknowledged go out once more under their request_ids, and results still wanted are watched.
One write per pass of the event loop carries everything that was submitted in it. Starts that the
server refuses for being too many go out again, in their order, and fewer at a time (`window`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc

from flowmesh import errors
from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as rpc
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.rpc import error_of_refusal
from flowmesh.sdk import limits
from flowmesh.sdk.client.calls import Caller, retry_delay_s
from flowmesh.sdk.client.parts.versions import Version, version_fields
from flowmesh.sdk.client.window import Window
from flowmesh.sdk.duplex import StreamBroken, converse
from flowmesh.sdk.executions import status_of
from flowmesh.sdk.failures import ExecutionFailed, failure_of
from flowmesh.sdk.ids import new_request_id
from flowmesh.sdk.payloads import Json, PayloadStore, encode, payload_inline
from flowmesh.sdk.reconnect import Reconnect

_COMPLETED = "completed"


class SessionCall:
    """One start on its way: await `started()` for the id, `result()` for the output."""

    __slots__ = (
        "_error",
        "_outcome",
        "_payloads",
        "_result_waiters",
        "_start_waiters",
        "call_id",
        "execution_id",
        "on_its_way",
        "refused_at",
        "request",
        "want_result",
    )

    def __init__(
        self,
        call_id: int,
        request: pb.StartExecutionRequest | None,
        payloads: PayloadStore,
        *,
        want_result: bool,
        execution_id: str = "",
    ) -> None:
        self.call_id = call_id
        self.request = request
        self.want_result = want_result
        self.execution_id = execution_id
        self.on_its_way = False
        self.refused_at: float | None = None
        self._payloads = payloads
        self._start_waiters: list[asyncio.Future[None]] = []
        self._result_waiters: list[asyncio.Future[None]] = []
        self._outcome: pb.SessionResult | None = None
        self._error: Exception | None = None

    async def started(self) -> str:
        """The execution's id, once its start is committed; raises what refused it."""
        if not self.execution_id and self._error is None:
            await _woken(self._start_waiters)
        if not self.execution_id:
            raise self._error or AssertionError("woken without an outcome")
        return self.execution_id

    async def result(self) -> Json:
        """The output, once the execution has ended; ExecutionFailed if it did not complete."""
        if self._outcome is None and self._error is None:
            if not self.want_result:
                raise errors.Invalid("REQUEST_INVALID", "this start did not ask for its result")
            await _woken(self._result_waiters)
        if self._outcome is None:
            raise self._error or AssertionError("woken without an outcome")
        return await self._value(self._outcome)

    async def _value(self, outcome: pb.SessionResult) -> Json:
        status = status_of(outcome.status)
        if status != _COMPLETED:
            failure = failure_of(outcome.failure) if outcome.HasField("failure") else None
            raise ExecutionFailed(outcome.execution_id, status, failure)
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


def _woken(waiters: list[asyncio.Future[None]]) -> asyncio.Future[None]:
    """One future per caller, so that a canceled caller wakes nobody else."""
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
        self._stub = rpc.ExecutionServiceStub(caller.channel)
        self._payloads = payloads
        self._namespace = namespace
        self._new_id = new_id
        self._calls: dict[int, SessionCall] = {}
        self._unacknowledged = 0
        self._window = Window()
        self._outgoing: deque[SessionCall] = deque()
        self._watching: deque[SessionCall] = deque()
        # Starts that were refused for being too many; none is sent before they are.
        self._too_many: list[SessionCall] = []
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
        self._runner.add_done_callback(self._over)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(flush=error is None)

    async def close(self, *, flush: bool = True) -> None:
        """Waits (at most 10 s) until every start is acknowledged, then ends the stream."""
        self._closed = True
        try:
            if flush and self._unacknowledged:
                async with asyncio.timeout(limits.SESSION_FLUSH_S):
                    await self._settled.wait()
        except TimeoutError:
            pass  # the callers of these starts are told when the stream has ended
        finally:
            if self._runner is not None:
                self._runner.cancel()
        if self._runner is not None:
            await asyncio.gather(self._runner, return_exceptions=True)

    def _over(self, _runner: asyncio.Task[None]) -> None:
        """However the stream has ended, nobody waits for what cannot come any more."""
        what = "session" if self._closed else "client"
        self._closed = True
        self._fail_all(errors.Unavailable("DRAINING", f"the {what} was closed"))

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
        """Queues a start without waiting; Overloaded when 10,000 are not acknowledged yet."""
        payload = payload_inline(encode(input), "input")
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
        """Starts, and returns once the start is committed."""
        call = await self._send(workflow_id, input, request_id, version, want_result)
        await call.started()
        return call

    async def run(
        self, workflow_id: str, input: Json = None, *, request_id: str = "", version: Version = 0
    ) -> Json:
        """Starts, waits for the end, and returns the output."""
        call = await self._send(workflow_id, input, request_id, version, True)
        return await call.result()

    def watch(self, execution_id: str) -> SessionCall:
        """The result of an execution that was started elsewhere."""
        self._check_open()
        self._last_call_id += 1
        call = SessionCall(
            self._last_call_id, None, self._payloads, want_result=True, execution_id=execution_id
        )
        self._calls[call.call_id] = call
        self._queue(self._watching, call)
        return call

    async def _send(
        self, workflow_id: str, input: Json, request_id: str, version: Version, want_result: bool
    ) -> SessionCall:
        data = encode(input)
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
                f"{self._unacknowledged} starts of this session wait for their acknowledgement",
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
        call = SessionCall(self._last_call_id, request, self._payloads, want_result=want_result)
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
        reconnect = Reconnect(asyncio.get_running_loop().time)

        def receive(response: pb.SessionResponse) -> bool:
            reconnect.connected()
            self._receive(response)
            return True

        while True:
            stream = self._stub.Session()
            reconnect.opening()
            try:
                await converse(stream, receive, self._write(stream))
            except grpc.aio.AioRpcError as error:
                reconnect.broken(error)
            except StreamBroken:
                return  # the client was closed
            reconnect.ended()
            if reconnect.hopeless:
                self._fail_all(reconnect.error())
            await reconnect.pause()
            self._resend()

    async def _write(self, stream: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (frame := self._take_frame()) is not None:
                await stream.write(frame)

    def _take_frame(self) -> pb.SessionRequest | None:
        """As much of what waits as one frame and the window hold."""
        starts: list[pb.SessionStart] = []
        watches: list[pb.SessionWatch] = []
        size = 0
        outgoing, watching = self._outgoing, self._watching
        room = 0 if self._too_many else min(self._window.room, limits.FRAME_ITEMS_MAX)
        while outgoing and len(starts) < room and size < limits.FRAME_BYTES_MAX:
            call = outgoing.popleft()
            if call.request is not None and not call.on_its_way:
                call.on_its_way = True
                self._window.sent()
                size += len(call.request.input.data) + 128
                starts.append(
                    pb.SessionStart(
                        call_id=call.call_id, start=call.request, want_result=call.want_result
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
            self._taken_on(call)
            call.acknowledge(started.execution_id)
            if not call.want_result:
                del calls[started.call_id]
        for result in response.results:
            call = calls.pop(result.call_id, None)
            if call is None:
                continue
            if call.request is not None:
                self._taken_on(call)
            call.finish(result)
        for refused in response.refused:
            self._refused(refused)
        if self._too_many and response.started:
            # Where some were taken on there is room for others.
            self._try_again()
        elif self._outgoing:
            self._wake.set()

    def _taken_on(self, call: SessionCall) -> None:
        self._window.taken()
        call.on_its_way = False
        self._count_unacknowledged(-1)

    def _refused(self, refused: pb.SessionRefused) -> None:
        call = self._calls.get(refused.call_id)
        if call is None:
            return
        error = error_of_refusal(refused)
        too_many = error.reason == "OVERLOADED"
        if call.on_its_way:
            self._window.refused(too_many=too_many)
            call.on_its_way = False
        loop = asyncio.get_running_loop()
        if call.refused_at is None:
            call.refused_at = loop.time()
        delay_s = retry_delay_s(error, limits.RETRY_WAIT_INITIAL_S)
        if delay_s is None or loop.time() + delay_s > call.refused_at + limits.RETRY_BUDGET_S:
            self._drop(call, error)
        elif call.request is None:
            loop.call_later(delay_s, self._queue, self._watching, call)
        elif not too_many:
            loop.call_later(delay_s, self._queue, self._outgoing, call)
        else:
            if not self._too_many:
                loop.call_later(delay_s, self._try_again)
            self._too_many.append(call)

    def _queue(self, queue: deque[SessionCall], call: SessionCall) -> None:
        queue.append(call)
        self._wake.set()

    def _try_again(self) -> None:
        """What was refused goes before what was never sent."""
        again = sorted(self._too_many, key=lambda call: call.call_id, reverse=True)
        self._too_many.clear()
        self._outgoing.extendleft(again)
        self._wake.set()

    def _drop(self, call: SessionCall, error: Exception) -> None:
        if self._calls.pop(call.call_id, None) is None:
            return
        if call.request is not None:
            self._count_unacknowledged(-1)
        call.fail(error)

    def _resend(self) -> None:
        """After a break: everything still open, unacknowledged starts and wanted results."""
        self._window.cleared()
        self._too_many.clear()
        calls = self._calls.values()
        for call in calls:
            call.on_its_way = False
        self._outgoing = deque(call for call in calls if call.request is not None)
        self._watching = deque(call for call in calls if call.request is None)
        self._wake.set()

    def _fail_all(self, error: Exception) -> None:
        for call in list(self._calls.values()):
            self._drop(call, error)
