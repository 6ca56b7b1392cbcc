"""A durable handler on a worker: commits its records, runs its steps and suspends it."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError
from flowmesh.sdk.durable.context import DurableContext
from flowmesh.sdk.durable.failures import NON_DETERMINISTIC, NonDeterministic, OperationFailed
from flowmesh.sdk.durable.run import SLEEP, Operation, Run
from flowmesh.sdk.durable.steps import InThread, StepRunner, packed
from flowmesh.sdk.transport.payload_store import Payloads
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.payloads import encode
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.results import failed, result_of_attempt, transfer_failed
from flowmesh.sdk.worker.task_log import with_task_log


class DurableTask:
    """One attempt of a durable handler.

    Calls `send` with records and `finished` once with the result, or with None if another worker
    has the attempt. A handler that only waits is suspended after `patience_s`; one that sleeps
    longer than this is suspended at once.
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
        self._send_records = send
        self._finished = finished
        self._now_us = now_us
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._run: Run | None = None
        self._over = False
        self._steps = StepRunner(
            idempotency_key=task.idempotency_key,
            payloads=payloads,
            in_thread=in_thread,
            ended=self._step_ended,
        )
        self._fetched: dict[str, Json] = {}
        self._updates: deque[task_pb2.TaskRecorded] = deque()
        self._fetching: asyncio.Task[None] | None = None
        self._outgoing: list[JournalRecord] = []
        self._turn_due = self._send_due = False
        self._suspension: asyncio.TimerHandle | None = None
        self._resend: asyncio.TimerHandle | None = None
        self._loop.call_soon(self._begin)

    # --- start and end ---

    def _begin(self) -> None:
        journal = self._task.journal
        start = task_pb2.TaskRecorded(token=self._token, records=journal.records)
        payloads = [self._task.input, *_payloads_of(start)]
        missing = [each for each in payloads if each.HasField("reference")]
        if missing:
            self._fetch(missing, self._start_run)
        else:
            self._start_run()

    def _start_run(self) -> None:
        if self._over:
            return
        journal = self._task.journal
        self._run = Run(
            handler=self._handler,
            host=self,
            began_at_us=journal.began_at_us or self._now_us(),
            read=self._read,
        )
        self._run.committed(journal.records)
        self._turn()
        # Apply updates of the journal that arrived in the meantime.
        self._apply()

    def _handler(self, run: Run) -> Coroutine[Any, Any, Json]:
        """Start a pass of the handler with its original input and an empty task log."""
        self._context.task_log = None
        context = DurableContext(run, self._context, self._payloads.encode)
        return self._function(context, self._read(self._task.input))

    def cancel(self, class_: str = "Cancelled", message: str = "the task was canceled") -> None:
        """End the attempt with a failure: it is canceled or over its time limit."""
        self._finish(failed(self._token, class_, message))

    def recorded(self, recorded: task_pb2.TaskRecorded) -> None:
        """Receive committed records, or the end of the attempt."""
        if recorded.stale:
            self.cancel()
            return
        if recorded.elsewhere:
            self._finish(None)
            return
        self._updates.append(recorded)
        self._apply()

    # --- host of a run ---

    def commit(self, records: Sequence[JournalRecord]) -> None:
        """Send records to be committed."""
        self._outgoing.extend(records)
        if not self._send_due:
            self._send_due = True
            self._loop.call_soon(self._send)

    def commit_ahead(self, records: Sequence[JournalRecord]) -> None:
        """Send outputs to be committed right after the known records."""
        if self._over or not records:
            return
        self._send_records(self._records(records))
        self._send_again_later()

    def begin(self, operation: Operation) -> None:
        """Start a step."""
        self._steps.start(operation)

    def stop(self, index: int) -> None:
        """Cancel a step."""
        self._steps.cancel(index)

    def ended(self, value: Json, error: BaseException | None) -> None:
        """Finish the attempt with the output or the error of the handler."""
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
        """Suspend the handler, at once or after `patience_s`."""
        run = self._run
        assert run is not None
        if any(over for _, over in run.unanswered):
            return
        limit_ms = self._patience_s * 1000
        long = [each.ask.kind == SLEEP and each.ask.delay_ms > limit_ms for each in run.open]
        if not limit_ms or (long and all(long)):
            self._suspend()
        elif self._suspension is None:
            self._suspension = self._loop.call_later(self._patience_s, self._suspend)

    def _turn(self) -> None:
        self._turn_due = False
        if self._run is None or self._over:
            return
        if self._suspension is not None:
            self._suspension.cancel()
            self._suspension = None
        try:
            self._run.turn()
        except FlowmeshError as error:
            # A recorded value cannot be opened.
            self._finish(transfer_failed(self._token, "journal", error))

    def _turn_soon(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _suspend(self) -> None:
        """Suspend the handler, together with its uncommitted records."""
        self._suspension = None
        run = self._run
        if self._over or run is None or run.running or self._updates or self._turn_due:
            return
        uncommitted = list(run.unanswered.values())
        if sum(each.ByteSize() for each in uncommitted) > limits.DURABLE_SUSPEND_BYTES_MAX:
            return
        records = self._records(uncommitted)
        result = task_pb2.TaskResult(token=self._token, suspended=records)
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
        self._send_due = False
        if self._over:
            return
        outgoing, self._outgoing = self._outgoing, []
        for records in _in_frames(outgoing):
            self._send_records(self._records(records))
        self._send_again_later()

    def _send_again_later(self) -> None:
        if self._resend is None:
            self._resend = self._loop.call_later(limits.DURABLE_RESEND_S, self._send_again)

    def _send_again(self) -> None:
        """Send unacknowledged records again, as they may be lost with a stream."""
        self._resend = None
        if self._over or self._run is None:
            return
        self.commit_ahead(self._run.ahead.in_flight)
        if self._run.unanswered:
            self._outgoing = list(self._run.unanswered.values())
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
                # An earlier update was lost: request the whole journal.
                self.commit([])
                continue
            self._run.ahead.allowed = self._run.ahead.allowed or update.ahead
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
            # Copy, as the handler may change the value before its next pass.
            return deepcopy(self._fetched[payload.reference.digest])
        return self._payloads.decode(payload)

    def _step_ended(
        self,
        index: int,
        output: payload_pb2.Payload | None,
        failure: failure_pb2.Failure | None,
    ) -> None:
        if self._run is None or self._over:
            return
        self._run.step_ended(index, output, failure)
        if failure is not None or self._run.ahead.ended:
            self._turn_soon()

    def _complete(self, value: Json) -> None:
        try:
            data = self._payloads.encode(value)
        except FlowmeshError as error:
            self._finish(failed(self._token, "ValidationError", f"output: {error.message}"))
            return
        if len(data) <= INLINE_BYTES_MAX:
            payload = payload_pb2.Payload(data=data)
            result = task_pb2.TaskResult(token=self._token, output=payload)
            self._finish(result)
            return

        async def store() -> None:
            output, failure = await packed(self._payloads, value)
            self._finish(task_pb2.TaskResult(token=self._token, output=output, failure=failure))

        self._fetching = self._loop.create_task(store())

    def _finish(self, result: task_pb2.TaskResult | None) -> None:
        if self._over:
            return
        self._over = True
        if self._run is not None:
            self._run.leave()
        if result is not None and not result.HasField("suspended"):
            result = with_task_log(result, self._context.task_log)
        self._steps.cancel_all()
        for timer in (self._suspension, self._resend):
            if timer is not None:
                timer.cancel()
        self._finished(result)


def _in_frames(records: Iterable[JournalRecord]) -> Iterator[list[JournalRecord]]:
    """Split records into messages of bounded size, in order."""
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
