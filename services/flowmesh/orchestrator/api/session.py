"""A client stream for many starts: acknowledgements after the commit, results at the end.

Responses are collected and written once per pass of the event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import grpc

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import State
from flowmesh.engine.state.state import EXECUTION_CONTINUED
from flowmesh.errors import FlowmeshError, Overloaded, Unavailable
from flowmesh.orchestrator.commit.waiters import Ended, Waiters
from flowmesh.orchestrator.model.commands import Answer, Started
from flowmesh.orchestrator.model.errors import Moved, RequestReused, storage_unavailable
from flowmesh.orchestrator.model.messages import execution_message
from flowmesh.orchestrator.operations.executions import Executions
from flowmesh.orchestrator.operations.immediate_starts import ImmediateStarts
from flowmesh.orchestrator.operations.outcomes import WAIT_MAX_MS, Outcomes
from flowmesh.orchestrator.operations.runs import Runs
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, RETRY_S
from flowmesh.orchestrator.storage.states import States
from flowmesh.rpc import namespace_of
from flowmesh.telemetry.context import enter_trace

PENDING_MAX = 20_000
"""Open calls of one session; further calls are refused with SESSION_FULL."""

FRAME_BYTES_MAX = 1 << 20
"""Size above which a frame is closed."""

UNREAD_BYTES_MAX = 32 << 20
"""Responses that wait for a client that does not read; the client can watch again for the rest."""

REFUSED_WITHIN_S = 0.01
"""Time that a session waits for more responses while there are too many sessions: a frame for each
response costs CPU that other sessions need.
"""

ANSWER_BYTES = 100
CODES = {code.name: code.value[0] for code in grpc.StatusCode}


class Session:
    """The calls of one stream; `pending` of them are open."""

    def __init__(
        self,
        *,
        executions: Executions,
        immediate_starts: ImmediateStarts,
        outcomes: Outcomes,
        runs: Runs,
        waiters: Waiters,
        states: States,
        forwarded: bool = False,
    ) -> None:
        self._executions = executions
        self._immediate_starts = immediate_starts
        self._outcomes = outcomes
        self._runs = runs
        self._waiters = waiters
        self._states = states
        # Calls of other orchestrators are refused if not owned here: the caller finds the owner.
        self._forwarded = forwarded
        self._out = pb.SessionResponse()
        self._wake = asyncio.Event()
        # Ordered by their start: a simulated run must repeat itself.
        self._tasks: dict[asyncio.Task[None], None] = {}
        self.pending = 0
        self._closed = False
        self._reader: asyncio.Task[None] | None = None
        self._frames: deque[pb.SessionResponse] = deque()
        self._frame_bytes = 0
        self._unread_bytes = 0
        self._watched: dict[int, tuple[str, Ended]] = {}
        self._watches: dict[int, asyncio.Task[None]] = {}

    def read(self, requests: AsyncIterator[pb.SessionRequest]) -> None:
        """Take calls from the client as they arrive."""
        self._reader = asyncio.create_task(self._read(requests))
        self._reader.add_done_callback(lambda _: self._wake.set())

    async def more(self) -> bool:
        """Wait until there is something to send; return False once everything is sent.

        Raises SLOW_CONSUMER, and any error of the client's stream.
        """
        reader = self._reader
        assert reader is not None
        is_over = reader.done() and not self.pending
        if not is_over:
            await self._wake.wait()
            self._wake.clear()
        if self._closed:
            raise Overloaded("SLOW_CONSUMER", "the client does not read its responses")
        if reader.done():
            reader.result()
        return not is_over

    def close(self) -> None:
        """Drop everything that waits: the client is gone."""
        self._closed = True
        if self._reader is not None:
            self._reader.cancel()
        self._frames.clear()
        self._out = pb.SessionResponse()
        for task in self._tasks:
            task.cancel()
        for execution_id, ended in self._watched.values():
            self._waiters.forget(execution_id, ended)
        self._watched.clear()

    def next_frame(self) -> pb.SessionResponse | None:
        """Return the next frame, None if nothing waits."""
        if self._frames:
            frame = self._frames.popleft()
        else:
            frame, self._out = self._out, pb.SessionResponse()
            self._frame_bytes = 0
        if not (frame.started or frame.refused or frame.results):
            self._unread_bytes = 0
            return None
        self._unread_bytes -= min(self._unread_bytes, frame.ByteSize())
        return frame

    def _said(self, size: int = ANSWER_BYTES) -> None:
        """Schedule a frame for this pass of the loop."""
        self._kept(size)
        self._wake.set()

    def _kept(self, size: int) -> None:
        """Count a response that is part of the next frame."""
        self._frame_bytes += size
        self._unread_bytes += size
        if self._unread_bytes > UNREAD_BYTES_MAX:
            self.close()
        elif self._frame_bytes > FRAME_BYTES_MAX:
            self._frames.append(self._out)
            self._out = pb.SessionResponse()
            self._frame_bytes = 0

    async def _read(self, requests: AsyncIterator[pb.SessionRequest]) -> None:
        # A stream outlives executions: none of them inherits its trace.
        enter_trace("")
        async for request in requests:
            starts = iter(request.starts)
            for start in starts:
                refusal = self._immediate_starts.refusal()
                if refusal is not None:
                    # No start is submitted before the whole frame is read: all of its starts share
                    # one batch.
                    rest = (start.call_id, *(one.call_id for one in starts))
                    self._refuse(rest, refusal, within_s=REFUSED_WITHIN_S)
                elif self._admitted(start.call_id):
                    self._start(start)
            for watch in request.watches:
                if not self._admitted(watch.call_id):
                    continue
                try:
                    namespace = namespace_of(watch)
                except FlowmeshError as error:
                    self._done()
                    self._refuse((watch.call_id,), error)
                    continue
                watch.namespace = namespace
                waiting = self._spawn(self._wait(watch))
                self._watches[watch.call_id] = waiting
                waiting.add_done_callback(partial(self._watch_over, watch.call_id))
            for call_id in request.forgotten:
                forgotten = self._watches.get(call_id)
                if forgotten is not None and forgotten.cancel():
                    self._done()

    def _watch_over(self, call_id: int, waiting: asyncio.Task[None]) -> None:
        if self._watches.get(call_id) is waiting:
            del self._watches[call_id]

    def _admitted(self, call_id: int) -> bool:
        if self.pending >= PENDING_MAX:
            text = (
                f"{PENDING_MAX:,} calls of this session are open, the maximum: a start is open"
                " until its execution ends, unless it wants no result; open another session"
            )
            self._refuse((call_id,), Overloaded("SESSION_FULL", text, retry_after_ms=100))
            return False
        self.pending += 1
        return True

    def _start(self, start: pb.SessionStart) -> None:
        try:
            submitted = self._immediate_starts.submit(start.start, partial(self._reply_to, start))
        except FlowmeshError as error:
            self._done()
            self._refuse((start.call_id,), error)
            return
        if not submitted:
            self._spawn(self._start_slowly(start))

    def _reply_to(
        self, start: pb.SessionStart, namespace: str
    ) -> Callable[[Answer | Exception], None]:
        def reply(answer: Answer | Exception) -> None:
            if self._closed:
                return
            if isinstance(answer, Started):
                self._started(start, namespace, answer)
            elif isinstance(answer, Moved | RequestReused):
                self._spawn(self._start_slowly(start))
            else:
                self._done()
                refusal = answer if isinstance(answer, FlowmeshError) else storage_unavailable()
                self._refuse((start.call_id,), refusal)

        return reply

    async def _start_slowly(self, start: pb.SessionStart) -> None:
        """Start with a plan that must be fetched, at another owner, or as a possible repeat."""
        enter_trace("")
        try:
            response = await self._executions.start(start.start, forwarded=self._forwarded)
        except (FlowmeshError, *CONNECTION_LOST) as error:
            self._done()
            refusal = error if isinstance(error, FlowmeshError) else storage_unavailable()
            self._refuse((start.call_id,), refusal)
            return
        started = Started(response.execution_id, response.created)
        self._started(start, start.start.namespace or "default", started)

    def _started(self, start: pb.SessionStart, namespace: str, answer: Started) -> None:
        self._out.started.add(
            call_id=start.call_id, execution_id=answer.execution_id, created=answer.created
        )
        self._said()
        if self._closed:
            return
        if not start.want_result:
            self._done()
            return
        entry = self._states.get(answer.execution_id)
        # An end in memory may be decided and not committed: wait for the commit.
        if entry is None or entry.state.ended or not answer.created:
            watch = _watch_of(start.call_id, namespace, answer.execution_id)
            self._spawn(self._wait(watch, just_started=answer.created))
        else:
            self._watch(start.call_id, namespace, answer.execution_id)

    def _watch(self, call_id: int, namespace: str, execution_id: str) -> None:
        ended = partial(self._ended, call_id, namespace, execution_id)
        self._watched[call_id] = execution_id, ended
        self._waiters.call(execution_id, ended)

    def _ended(self, call_id: int, namespace: str, execution_id: str, state: State | None) -> None:
        self._watched.pop(call_id, None)
        if state is None:
            self._spawn(self._wait(_watch_of(call_id, namespace, execution_id)))
        else:
            self._result(call_id, namespace, execution_id, state)

    async def _wait(self, watch: pb.SessionWatch, *, just_started: bool = False) -> None:
        """Wait for the end of an execution, at any owner and for any time.

        The result of an execution that continued as new is the result of its last run.
        """
        call_id = watch.call_id
        watch.call_id = 0
        while True:
            try:
                ended = await self._outcomes.outcome(
                    watch, WAIT_MAX_MS, forwarded=self._forwarded, just_started=just_started
                )
            except (Unavailable, *CONNECTION_LOST) as error:
                if self._forwarded and isinstance(error, Unavailable):
                    self._done()
                    self._refuse((call_id,), error)
                    return
                await asyncio.sleep(RETRY_S)
                continue
            except FlowmeshError as error:
                self._done()
                self._refuse((call_id,), error)
                return
            if ended is None:
                continue
            if ended.status != EXECUTION_CONTINUED or self._forwarded:
                execution = _whole(watch, ended) if watch.want_execution else None
                self._result(call_id, watch.namespace, watch.execution_id, ended, execution)
                return
            watch.execution_id = await self._last_run(watch)

    async def _last_run(self, watch: pb.SessionWatch) -> str:
        while True:
            until = asyncio.get_running_loop().time() + WAIT_MAX_MS / 1000
            with suppress(Unavailable, *CONNECTION_LOST):
                return await self._runs.last(watch.namespace, watch.execution_id, until)

    def _result(
        self,
        call_id: int,
        namespace: str,
        execution_id: str,
        ended: State | pb.SessionResult,
        execution: execution_pb2.Execution | None = None,
    ) -> None:
        if ended.status == EXECUTION_CONTINUED and not self._forwarded:
            self._spawn(self._wait(_watch_of(call_id, namespace, execution_id)))
            return
        output, failure = ended.output, ended.failure
        if not isinstance(ended, State):
            output = output if ended.HasField("output") else None
            failure = failure if ended.HasField("failure") else None
        self._out.results.add(
            call_id=call_id,
            execution_id=execution_id,
            status=ended.status,
            output=output,
            failure=failure,
            execution=execution,
        )
        size = ANSWER_BYTES + (len(output.data) if output is not None else 0)
        self._said(size + (execution.ByteSize() if execution is not None else 0))
        self._done()

    def _refuse(
        self, call_ids: Sequence[int], error: FlowmeshError, *, within_s: float = 0.0
    ) -> None:
        """Report the error of each call that is not done."""
        refused = pb.SessionRefused(
            code=CODES[error.grpc_code],
            reason=error.reason,
            message=error.message,
            retry_after_ms=error.retry_after_ms,
        )
        size = ANSWER_BYTES + len(error.message)
        for call_id in call_ids:
            refused.call_id = call_id
            self._out.refused.append(refused)
            self._kept(size)
        asyncio.get_running_loop().call_later(within_s, self._wake.set)

    def _done(self) -> None:
        self.pending -= 1
        self._wake.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task


class Sessions:
    """Opens sessions that share the same collaborators."""

    def __init__(
        self,
        *,
        executions: Executions,
        immediate_starts: ImmediateStarts,
        outcomes: Outcomes,
        runs: Runs,
        waiters: Waiters,
        states: States,
    ) -> None:
        self._executions = executions
        self._immediate_starts = immediate_starts
        self._outcomes = outcomes
        self._runs = runs
        self._waiters = waiters
        self._states = states

    def open(self, *, forwarded: bool = False) -> Session:
        return Session(
            executions=self._executions,
            immediate_starts=self._immediate_starts,
            outcomes=self._outcomes,
            runs=self._runs,
            waiters=self._waiters,
            states=self._states,
            forwarded=forwarded,
        )


def _watch_of(call_id: int, namespace: str, execution_id: str) -> pb.SessionWatch:
    return pb.SessionWatch(call_id=call_id, namespace=namespace, execution_id=execution_id)


def _whole(watch: pb.SessionWatch, ended: State | pb.SessionResult) -> execution_pb2.Execution:
    if isinstance(ended, State):
        return execution_message(ended, nodes=not watch.without_nodes)
    return ended.execution
