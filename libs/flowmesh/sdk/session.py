"""Many starts over one stream: acknowledgements after the commit, results when they come.

What waits is kept by call_id. A broken stream is opened again; starts that were not
acknowledged go out once more under their request_ids, and results still wanted are watched.
One write per pass of the event loop carries everything that was submitted in it.
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
from flowmesh.rpc import error_of_refusal
from flowmesh.sdk import limits
from flowmesh.sdk.calls import Caller
from flowmesh.sdk.duplex import converse
from flowmesh.sdk.executions import status_of
from flowmesh.sdk.failures import ExecutionFailed, failure_of
from flowmesh.sdk.ids import new_request_id
from flowmesh.sdk.payloads import Json, PayloadStore, encode, payload_inline
from flowmesh.sdk.reconnect import Reconnect
from flowmesh.sdk.version_calls import Version, version_fields

_COMPLETED = "completed"


class SessionCall:
    """One start on its way: await `started()` for the id, `result()` for the output."""

    __slots__ = (
        "_error",
        "_outcome",
        "_payloads",
        "_result_waiters",
        "_start_waiters",
        "attempts",
        "call_id",
        "execution_id",
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
        self.attempts = 0
        self._payloads = payloads
        self._start_waiters: list[asyncio.Future[None]] = []
        self._result_waiters: list[asyncio.Future[None]] = []
        self._outcome: pb.SessionResult | None = None
        self._error: Exception | None = None

    async def started(self) -> str:
        """The execution's id, once its start is committed; raises what refused it."""
        if not self.execution_id and self._error is None:
            await _woken(self._start_waiters)
        if self._error is not None:
            raise self._error
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
        self._outgoing: deque[SessionCall] = deque()
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
        if flush and self._unacknowledged:
            try:
                async with asyncio.timeout(limits.SESSION_FLUSH_S):
                    await self._settled.wait()
            except TimeoutError:
                pass  # the callers of these starts are told below
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        self._fail_all(errors.Unavailable("DRAINING", "the session was closed"))

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
        self._queue(call)
        return call

    async def _send(
        self, workflow_id: str, input: Json, request_id: str, version: Version, want_result: bool
    ) -> SessionCall:
        data = encode(input)
        if len(data) > limits.INLINE_BYTES_MAX:
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
        self._queue(call)
        return call

    def _check_open(self) -> None:
        if self._closed or self._runner is None:
            raise errors.Unavailable("DRAINING", "the session is not open; use `async with`")

    def _queue(self, call: SessionCall) -> None:
        self._outgoing.append(call)
        self._wake.set()

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
            try:
                await converse(stream, receive, self._write(stream))
            except grpc.aio.AioRpcError as error:
                reconnect.broken(error)
            if reconnect.hopeless:
                self._fail_all(reconnect.error())
            await reconnect.pause()
            self._resend()

    async def _write(self, stream: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outgoing:
                await stream.write(self._take_frame())

    def _take_frame(self) -> pb.SessionRequest:
        """As much of what waits as one frame holds."""
        starts: list[pb.SessionStart] = []
        watches: list[pb.SessionWatch] = []
        size = 0
        outgoing = self._outgoing
        while outgoing and len(starts) < limits.FRAME_ITEMS_MAX and size < limits.FRAME_BYTES_MAX:
            call = outgoing.popleft()
            if call.request is not None:
                size += len(call.request.input.data) + 128
                starts.append(
                    pb.SessionStart(
                        call_id=call.call_id, start=call.request, want_result=call.want_result
                    )
                )
            elif call.call_id in self._calls:
                size += 64
                watches.append(
                    pb.SessionWatch(
                        call_id=call.call_id,
                        namespace=self._namespace,
                        execution_id=call.execution_id,
                    )
                )
        return pb.SessionRequest(starts=starts, watches=watches)

    def _receive(self, response: pb.SessionResponse) -> None:
        calls = self._calls
        for started in response.started:
            call = calls.get(started.call_id)
            if call is None or call.request is None:
                continue
            self._count_unacknowledged(-1)
            call.acknowledge(started.execution_id)
            if not call.want_result:
                del calls[started.call_id]
        for result in response.results:
            call = calls.pop(result.call_id, None)
            if call is None:
                continue
            if call.request is not None:
                self._count_unacknowledged(-1)
            call.finish(result)
        for refused in response.refused:
            self._refused(refused)

    def _refused(self, refused: pb.SessionRefused) -> None:
        call = self._calls.get(refused.call_id)
        if call is None:
            return
        call.attempts += 1
        error = error_of_refusal(refused)
        again = isinstance(error, errors.Unavailable | errors.Overloaded)
        if again and call.attempts < limits.SESSION_START_ATTEMPTS_MAX:
            delay_s = max(error.retry_after_ms / 1000, limits.RETRY_WAIT_INITIAL_S)
            loop = asyncio.get_running_loop()
            loop.call_later(min(delay_s, limits.RETRY_WAIT_MAX_S), self._queue, call)
            return
        self._drop(call, error)

    def _drop(self, call: SessionCall, error: Exception) -> None:
        if self._calls.pop(call.call_id, None) is None:
            return
        if call.request is not None:
            self._count_unacknowledged(-1)
        call.fail(error)

    def _resend(self) -> None:
        """After a break: everything still open, unacknowledged starts and wanted results."""
        self._outgoing.clear()
        self._outgoing.extend(self._calls.values())
        if self._outgoing:
            self._wake.set()

    def _fail_all(self, error: Exception) -> None:
        for call in list(self._calls.values()):
            self._drop(call, error)
