"""A durable handler at a worker: commits what it asks for, runs its steps, lets it leave."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.errors import FlowmeshError
from flowmesh.sdk import limits
from flowmesh.sdk.durable.context import DurableContext, Step
from flowmesh.sdk.durable.failures import NON_DETERMINISTIC, NonDeterministic, OperationFailed
from flowmesh.sdk.durable.run import SLEEP, Operation, Run
from flowmesh.sdk.payloads import Json, Payloads, decode_inline, encode
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.handlers import Mode
from flowmesh.sdk.worker.interrupts import raise_ctrl_c
from flowmesh.sdk.worker.results import failed, result_of_attempt, result_of_error, transfer_failed
from flowmesh.sdk.worker.task_log import with_task_log
from flowmesh.sdk.workflows.declarations import Retry, milliseconds

_key: contextvars.ContextVar[str] = contextvars.ContextVar("flowmesh_step_key")

InThread = Callable[[Callable[..., Any], tuple[Any, ...]], Coroutine[Any, Any, Json]]


def step_key() -> str:
    """In a step: its name for others, the same however often it runs; LookupError elsewhere."""
    return _key.get()


class DurableTask:
    """One attempt of a durable handler. `say` sends records, `finished` the result, once; None is
    that of an attempt that another worker has.

    With `patience_s` a handler that only waits stays so long before it leaves its worker; one that
    sleeps for longer leaves at once.
    """

    def __init__(
        self,
        *,
        function: Callable[..., Coroutine[Any, Any, Json]],
        task: task_pb2.Task,
        context: TaskContext,
        payloads: Payloads,
        in_thread: InThread,
        send: Callable[[task_pb2.TaskRecords], None],
        finished: Callable[[task_pb2.TaskResult | None], None],
        now_us: Callable[[], int],
        patience_s: float = limits.DURABLE_PATIENCE_S,
    ) -> None:
        self._function = function
        self._task = task
        self._token = task.token
        self._context = context
        self._payloads = payloads
        self._in_thread = in_thread
        self._send_records = send
        self._finished = finished
        self._now_us = now_us
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._run: Run | None = None
        self._over = False
        self._steps: dict[int, asyncio.Task[None]] = {}
        self._fetched: dict[str, Json] = {}
        self._updates: deque[task_pb2.TaskRecorded] = deque()
        self._fetching: asyncio.Task[None] | None = None
        self._to_say: list[JournalRecord] = []
        self._turn_due = self._say_due = False
        self._leaves: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None
        self._loop.call_soon(self._begin)

    # --- life ---

    def _begin(self) -> None:
        journal = self._task.journal
        start = task_pb2.TaskRecorded(token=self._token, records=journal.records)
        payloads = [self._task.input, *_payloads_of(start)]
        missing = [each for each in payloads if each.HasField("reference")]
        if missing:
            self._fetch(missing, self._run_from)
        else:
            self._run_from()

    def _run_from(self) -> None:
        if self._over:
            return
        journal = self._task.journal
        self._run = Run(
            handler=self._from_the_beginning,
            host=self,
            began_at_us=journal.began_at_us or self._now_us(),
            read=self._read,
        )
        self._run.committed(journal.records)
        self._turn()
        # What was said of the journal meanwhile.
        self._apply()

    def _from_the_beginning(self, run: Run) -> Coroutine[Any, Any, Json]:
        """The handler once more: with its input as it came, and nothing noted yet."""
        self._context.task_log = None
        return self._function(DurableContext(run, self._context), self._read(self._task.input))

    def cancel(self, class_: str = "Cancelled", message: str = "the task was canceled") -> None:
        """Ends the attempt: it is not wanted any more, or over its time."""
        if self._run is not None:
            self._run.leave()
        self._finish(failed(self._token, class_, message))

    def abandon(self) -> None:
        """Ends the attempt here without a result: another worker has it."""
        if self._run is not None:
            self._run.leave()
        self._finish(None)

    def recorded(self, recorded: task_pb2.TaskRecorded) -> None:
        """What the suite says of the journal."""
        if recorded.stale:
            self.cancel()
            return
        if recorded.elsewhere:
            self.abandon()
            return
        self._updates.append(recorded)
        self._apply()

    # --- as the host of a run ---

    def commit(self, records: Sequence[JournalRecord]) -> None:
        self._to_say.extend(records)
        if not self._say_due:
            self._say_due = True
            self._loop.call_soon(self._send)

    def begin(self, operation: Operation) -> None:
        step: Step = operation.work
        if step.mode is Mode.INLINE and step.retry is None:
            self._run_inline(operation, step)
        else:
            self._steps[operation.index] = self._loop.create_task(self._step(operation, step))

    def stop(self, index: int) -> None:
        task = self._steps.pop(index, None)
        if task is not None:
            task.cancel()

    def ended(self, value: Json, error: BaseException | None) -> None:
        if error is None:
            self._complete(value)
        elif isinstance(error, NonDeterministic):
            self._finish(failed(self._token, NON_DETERMINISTIC, str(error)))
        elif isinstance(error, OperationFailed):
            failure = error.failure
            details = encode(failure.details) if failure.details is not None else b""
            message, after_ms = f"{error.name}: {failure.message}", failure.retry_after_ms
            self._finish(failed(self._token, failure.error_class, message, after_ms, details))
        elif isinstance(error, asyncio.CancelledError):
            self._finish(failed(self._token, "Cancelled", "the handler canceled itself"))
        else:
            self._finish(result_of_attempt(self._task, error))

    def waits(self) -> None:
        run = self._run
        assert run is not None
        if any(over for _, over in run.unanswered):
            return
        limit_ms = self._patience_s * 1000
        long = [each.ask.kind == SLEEP and each.ask.delay_ms > limit_ms for each in run.open]
        if not limit_ms or (long and all(long)):
            self._leave()
        elif self._leaves is None:
            self._leaves = self._loop.call_later(self._patience_s, self._leave)

    # --- inside ---

    def _turn(self) -> None:
        self._turn_due = False
        if self._run is None or self._over:
            return
        if self._leaves is not None:
            self._leaves.cancel()
            self._leaves = None
        self._run.turn()

    def _turn_soon(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _leave(self) -> None:
        """Suspends the handler, with what it has just asked for."""
        self._leaves = None
        run = self._run
        if self._over or run is None or run.running or self._updates or self._turn_due:
            return
        riding = list(run.unanswered.values())
        if sum(each.ByteSize() for each in riding) > limits.DURABLE_RIDING_BYTES_MAX:
            return
        records = self._records(riding)
        result = task_pb2.TaskResult(token=self._token, suspended=records)
        run.leave()
        self._finish(result)

    def _records(self, records: Iterable[JournalRecord]) -> task_pb2.TaskRecords:
        assert self._run is not None
        return task_pb2.TaskRecords(
            token=self._token,
            known=len(self._run.journal),
            records=records,
            began_at_us=self._run.began_at_us,
        )

    def _send(self) -> None:
        self._say_due = False
        if self._over:
            return
        to_say, self._to_say = self._to_say, []
        for records in _in_frames(to_say):
            self._send_records(self._records(records))
        if self._again is None:
            self._again = self._loop.call_later(limits.DURABLE_RESEND_S, self._send_again)

    def _send_again(self) -> None:
        """What nobody has answered may have been lost with a stream."""
        self._again = None
        if self._over or self._run is None or not self._run.unanswered:
            return
        self._to_say = list(self._run.unanswered.values())
        self._send()

    def _apply(self) -> None:
        while self._updates and self._fetching is None and self._run is not None:
            update = self._updates[0]
            missing = [
                each
                for each in _payloads_of(update)
                if each.HasField("reference") and each.reference.digest not in self._fetched
            ]
            if missing:
                self._fetch(missing, self._apply)
                return
            self._updates.popleft()
            known = len(self._run.journal)
            if update.start > known:
                # Something before it was lost on its way: ask for all of it.
                self.commit([])
                continue
            self._run.committed(update.records[known - update.start :])
            self._turn_soon()

    def _fetch(self, payloads: list[payload_pb2.Payload], then: Callable[[], None]) -> None:
        async def fetch() -> None:
            try:
                for each in payloads:
                    self._fetched[each.reference.digest] = await self._payloads.unpack(each)
            except FlowmeshError as error:
                self._finish(transfer_failed(self._token, "journal", error))
                return
            self._fetching = None
            then()
            self._apply()

        self._fetching = self._loop.create_task(fetch())

    def _read(self, payload: payload_pb2.Payload) -> Json:
        if payload.HasField("reference"):
            # What the handler makes of it is not what it is given the next time.
            return deepcopy(self._fetched[payload.reference.digest])
        return decode_inline(payload)

    # --- steps ---

    def _run_inline(self, operation: Operation, step: Step) -> None:
        """Without an asyncio task: the function has no await, so its first step is its last."""
        context = contextvars.copy_context()
        context.run(_key.set, self._key_of(operation))
        try:
            context.run(step.function(*step.args, **step.kwargs).send, None)
        except StopIteration as stop:
            self._inline_ended(operation.index, stop.value)
        except BaseException as error:  # noqa: BLE001 - whatever user code raises
            raise_ctrl_c(error)
            self._step_ended(operation.index, None, result_of_error("", error).failure)

    def _inline_ended(self, index: int, value: Json) -> None:
        try:
            data = encode(value)
        except FlowmeshError as error:
            self._step_ended(index, None, failed("", "ValidationError", error.message).failure)
            return
        if len(data) <= INLINE_BYTES_MAX:
            self._step_ended(index, payload_pb2.Payload(data=data), None)
        else:
            self._steps[index] = self._loop.create_task(self._store(index, value))

    async def _store(self, index: int, value: Json) -> None:
        output, failure = await self._packed(value)
        self._step_ended(index, output, failure)

    async def _packed(
        self, value: Json
    ) -> tuple[payload_pb2.Payload | None, failure_pb2.Failure | None]:
        try:
            return await self._payloads.pack(value), None
        except FlowmeshError as error:
            return None, transfer_failed("", "output", error).failure

    def _key_of(self, operation: Operation) -> str:
        return f"{self._task.idempotency_key}/{operation.index}"

    async def _step(self, operation: Operation, step: Step) -> None:
        _key.set(self._key_of(operation))
        tried = 0
        while True:
            tried += 1
            try:
                async with asyncio.timeout(step.timeout_ms / 1000 if step.timeout_ms else None):
                    value = await self._called(step)
                output, failure = await self._packed(value)
            except BaseException as error:  # whatever user code raises
                raise_ctrl_c(error)
                if _is_stopped(error):
                    raise
                output, failure = None, result_of_error("", error).failure
            if failure is None or (delay_s := _delay_s(step.retry, tried, failure)) is None:
                self._step_ended(operation.index, output, failure)
                return
            await asyncio.sleep(delay_s)

    async def _called(self, step: Step) -> Json:
        call = partial(step.function, *step.args, **step.kwargs)
        return await (self._in_thread(call, ()) if step.mode is Mode.THREAD else call())

    def _step_ended(
        self,
        index: int,
        output: payload_pb2.Payload | None,
        failure: failure_pb2.Failure | None,
    ) -> None:
        self._steps.pop(index, None)
        if self._run is None or self._over:
            return
        self._run.step_ended(index, output, failure)
        if failure is not None:
            self._turn_soon()

    # --- the end ---

    def _complete(self, value: Json) -> None:
        try:
            data = encode(value)
        except FlowmeshError as error:
            self._finish(failed(self._token, "ValidationError", f"output: {error.message}"))
            return
        if len(data) <= INLINE_BYTES_MAX:
            payload = payload_pb2.Payload(data=data)
            result = task_pb2.TaskResult(token=self._token, output=payload)
            self._finish(result)
            return

        async def store() -> None:
            output, failure = await self._packed(value)
            self._finish(task_pb2.TaskResult(token=self._token, output=output, failure=failure))

        self._fetching = self._loop.create_task(store())

    def _finish(self, result: task_pb2.TaskResult | None) -> None:
        if self._over:
            return
        self._over = True
        if result is not None and not result.HasField("suspended"):
            result = with_task_log(result, self._context.task_log)
        for task in self._steps.values():
            task.cancel()
        for timer in (self._leaves, self._again):
            if timer is not None:
                timer.cancel()
        self._finished(result)


def _is_stopped(error: BaseException) -> bool:
    """Whether this task is to end; a function may meet the end of a task of its own."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _in_frames(records: Iterable[JournalRecord]) -> Iterator[list[JournalRecord]]:
    """Records in their order, so many at a time as a message holds."""
    frame: list[JournalRecord] = []
    size = 0
    for record in records:
        size += record.ByteSize()
        if frame and size > limits.FRAME_BYTES_MAX:
            yield frame
            frame, size = [], record.ByteSize()
        frame.append(record)
    yield frame


def _payloads_of(recorded: task_pb2.TaskRecorded) -> list[payload_pb2.Payload]:
    return [each.output for each in recorded.records if each.HasField("output")]


def _delay_s(retry: Retry | None, tried: int, failure: failure_pb2.Failure) -> float | None:
    """How long before the step is tried again; None where it is not."""
    class_ = getattr(failure, "class")
    if retry is None or tried >= retry.attempts or class_ == "Cancelled":
        return None
    if "*" not in retry.on and class_ not in retry.on:
        return None
    delay_ms = milliseconds(retry.initial) * retry.multiplier ** min(tried - 1, 64)
    return max(min(delay_ms, milliseconds(retry.max)), failure.retry_after_ms) / 1000
