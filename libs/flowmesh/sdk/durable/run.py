"""A running durable handler: replays its journal, then records new operations.

Each request of a handler is an operation, numbered in the order of requests. Committed records are
delivered to the handler one by one in the order of the journal, each once the handler only waits.
Therefore the handler requests the same operations in the same order in every run.

The failure of a step is delivered to the handler before its commit, and committed only if the
handler continues. A failure that ends the handler is not committed, so a retry runs the step again.

The output of a repeatable step is delivered before its commit, too. Until it is committed, only
repeatable steps begin.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flowmesh.api.common.v1 import failure_pb2, journal_pb2, payload_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.contract.json_value import Json
from flowmesh.records import value_from
from flowmesh.sdk.durable.ahead import Ahead
from flowmesh.sdk.durable.failures import CallFailed, NonDeterministic, StepFailed
from flowmesh.sdk.durable.loop import HandlerLoop
from flowmesh.sdk.values.failures import Failure

STEP = journal_pb2.JOURNAL_KIND_STEP
SLEEP = journal_pb2.JOURNAL_KIND_SLEEP
SIGNAL = journal_pb2.JOURNAL_KIND_SIGNAL
CALL = journal_pb2.JOURNAL_KIND_CALL
TIMER = "asyncio"
"""The name of a sleep that is a timer of asyncio."""


@dataclass(slots=True, eq=False)
class Operation:
    """An operation: `ask` is its record, `work` the function of a step.

    The handler may go on before the output of a `repeatable` step is committed.
    """

    ask: JournalRecord
    future: "asyncio.Future[Any]"
    work: Any = None
    repeatable: bool = False

    @property
    def index(self) -> int:
        return self.ask.index


class Host(Protocol):
    """The environment of a handler."""

    def commit(self, records: Sequence[JournalRecord]) -> None:
        """Commit records; `Run.committed` follows."""

    def commit_ahead(self, records: Sequence[JournalRecord]) -> None:
        """Commit received outputs of repeatable steps, at once and in one message."""

    def begin(self, operation: Operation) -> None:
        """Run a step; `Run.step_ended` follows."""

    def stop(self, index: int) -> None:
        """Cancel a step; no call needs to follow."""

    def ended(self, value: Json, error: BaseException | None) -> None:
        """Receive the outcome of the handler."""

    def waits(self) -> None:
        """React to a handler that only waits for records of other origin."""


@dataclass(slots=True)
class _Pass:
    """One pass of the handler over the journal, from its start."""

    loop: HandlerLoop
    task: "asyncio.Task[Json]"
    operations: list[Operation] = field(default_factory=list)
    # Those without an outcome, by index.
    open: dict[int, Operation] = field(default_factory=dict)
    asked: list[Operation] = field(default_factory=list)
    delivered: int = 0


class Run:
    """Runs a handler for a host, which must call it on a single thread."""

    def __init__(
        self,
        *,
        handler: Callable[["Run"], Awaitable[Json]],
        host: Host,
        began_at_us: int,
        read: Callable[[payload_pb2.Payload], Json],
    ) -> None:
        self._handler = handler
        self._host = host
        self._read = read
        self.began_at_us = began_at_us
        self.journal: list[JournalRecord] = []
        self._first: dict[int, int] = {}
        self._over: set[int] = set()
        # Records sent and not committed yet, by index and True for an outcome.
        self.unanswered: dict[tuple[int, bool], JournalRecord] = {}
        self.running: set[int] = set()
        self._failures: dict[int, JournalRecord] = {}
        self._early_failure = -1
        self.ahead = Ahead()
        # Outcomes of other steps that wait for the commit of received outputs.
        self._held: list[JournalRecord] = []
        self._ended = False
        self._mismatch: NonDeterministic | None = None
        self._begin()

    def _begin(self) -> None:
        self.now_us = self.began_at_us
        loop = HandlerLoop(self)  # type: ignore[abstract] # handlers do not need the rest
        self._pass = _Pass(loop, loop.create_task(self._handler(self)))

    # --- operations of the handler ---

    @property
    def replaying(self) -> bool:
        """True while records of the journal are left to deliver."""
        return self._pass.delivered < len(self.journal)

    @property
    def open(self) -> list[Operation]:
        """The open operations, without steps."""
        return [
            each
            for each in self._pass.open.values()
            if each.ask.kind != STEP and each.index not in self._over and not each.future.done()
        ]

    def ask(
        self, ask: JournalRecord, work: Any = None, *, repeatable: bool = False
    ) -> "asyncio.Future[Any]":
        """Request an operation and return the future of its outcome; `work` is for the host."""
        current = self._pass
        ask.index = len(current.operations)
        operation = Operation(ask, current.loop.create_future(), work, repeatable)
        current.operations.append(operation)
        current.open[ask.index] = operation
        current.asked.append(operation)
        position = self._first.get(ask.index)
        if position is not None and self._mismatch is None:
            recorded = self.journal[position]
            if (recorded.kind, recorded.name) != (ask.kind, ask.name):
                self._mismatch = NonDeterministic(position, _described(recorded), _described(ask))
        return operation.future

    def now_s(self) -> float:
        """Return the time of the last delivered record in seconds."""
        return self.now_us / 1e6

    def sleeps(self, delay_s: float) -> "asyncio.Future[Any]":
        """Request a durable sleep for a timer of asyncio."""
        delay_ms = max(1, round(delay_s * 1000))
        return self.ask(JournalRecord(kind=SLEEP, name=TIMER, delay_ms=delay_ms))

    # --- calls of the host ---

    def committed(self, records: Iterable[JournalRecord]) -> None:
        """Append committed records to the journal."""
        for record in records:
            over = record.WhichOneof("outcome") is not None
            self._first.setdefault(record.index, len(self.journal))
            self.journal.append(record)
            self.unanswered.pop((record.index, over), None)
            if over:
                self._over.add(record.index)
                self._failures.pop(record.index, None)
                self.ahead.ended.pop(record.index, None)
                if record.index in self.running:
                    # Another worker with the same task committed the step first.
                    self.running.discard(record.index)
                    self._host.stop(record.index)

    def step_ended(
        self, index: int, output: payload_pb2.Payload | None, failure: failure_pb2.Failure | None
    ) -> None:
        """Receive the output or the failure of a started step."""
        self.running.discard(index)
        if index in self._over or index >= len(self._pass.operations):
            return
        operation = self._pass.operations[index]
        record = JournalRecord(index=index, kind=operation.ask.kind, name=operation.ask.name)
        if failure is not None:
            record.failure.CopyFrom(failure)
            self._failures[index] = record
            return
        record.output.CopyFrom(output or payload_pb2.Payload())
        if operation.repeatable and self.ahead.allowed:
            record.ahead = True
            self.ahead.ended[index] = record
        elif self.ahead.received:
            self.unanswered[index, True] = record
            self._held.append(record)
        else:
            self._send([record])

    def turn(self) -> None:
        """Run the handler until it waits for further records or ends."""
        while not self._ended:
            current = self._pass
            try:
                current.loop.run_ready()
            except RuntimeError as error:
                self._end(None, error)
                return
            if self._mismatch is not None:
                self._end(None, self._mismatch)
            elif current.task.done() and not self.ahead.received:
                self._close(current.task)
            elif not self._deliver(current):
                self._start_operations(current)
                # Repeatable steps without an await have ended.
                if not self._may_receive:
                    self._send_ahead()
                    return

    def leave(self) -> None:
        """Stop the handler without a further call of the host."""
        self._ended = True
        _abandon(self._pass)

    def _deliver(self, current: _Pass) -> bool:
        """Deliver the next record or failure to the handler; return False if there is none."""
        if self.replaying:
            record = self.journal[current.delivered]
            current.delivered += 1
            if record.index >= len(current.operations):
                self._mismatch = NonDeterministic(
                    current.delivered - 1, _described(record), "no further operation"
                )
                return True
            self._apply(current, current.operations[record.index], record)
            return True
        if self._may_receive:
            record = self.ahead.receive()
            operation = current.operations[record.index]
            if not operation.future.done():
                self._settle(operation, record)
            return True
        if self._early_failure < 0 and self._failures and not self.ahead.received:
            index, record = self._failures.popitem()
            operation = current.operations[index]
            if operation.future.done():
                return True
            self._settle(operation, record)
            current.loop.run_ready()
            if not current.task.done():
                self._early_failure = index
                self._send([record])
            return True
        return False

    @property
    def _may_receive(self) -> bool:
        """True if the next thing for the handler is an output without a commit."""
        return self._early_failure < 0 and not self.unanswered and self.ahead.receivable

    def _apply(self, current: _Pass, operation: Operation, record: JournalRecord) -> None:
        if self.ahead.received:
            if not self.ahead.confirms(record):
                # The journal has another record first: replay.
                self._restart(current)
            return
        over = record.WhichOneof("outcome") is not None
        if record.index == self._early_failure and over:
            self._early_failure = -1
            return
        if over and self._early_failure >= 0:
            # The journal has this record before a failure that the handler received first: replay.
            self._early_failure = -1
            self._restart(current)
            return
        if record.kind != STEP or not (record.ahead or record.HasField("failure")):
            self.now_us = record.at_us
        if over and not operation.future.done():
            if record.canceled:
                self._mismatch = NonDeterministic(
                    current.delivered - 1, _described(record), "its outcome"
                )
            else:
                self._settle(operation, record)

    def _settle(self, operation: Operation, record: JournalRecord) -> None:
        self._pass.open.pop(operation.index, None)
        future = operation.future
        match record.WhichOneof("outcome"):
            case "output":
                future.set_result(self._read(record.output))
            case "timed_out":
                future.set_exception(TimeoutError(f"no signal {record.name!r} arrived in time"))
            case _:
                kind = StepFailed if record.kind == STEP else CallFailed
                future.set_exception(kind(record.name, value_from(Failure, record.failure)))

    def _restart(self, current: _Pass) -> None:
        """Start a new pass of the handler over the current journal."""
        _abandon(current)
        for index in self.ahead.drop(self._over):
            self._failures.pop(index, None)
            if index in self.running:
                self.running.discard(index)
                self._host.stop(index)
        self._begin()

    def _start_operations(self, current: _Pass) -> None:
        """Start the new operations of a handler that has received all records and waits."""
        if self._early_failure >= 0:
            return
        new: list[JournalRecord] = []
        if not self.ahead.received:
            new, self._held = self._held, new
        asked, current.asked = current.asked, []
        for each in asked:
            if self._has_begun(each):
                continue
            if self.ahead.received and not each.repeatable:
                current.asked.append(each)
            elif each.work is None:
                new.append(each.ask)
            else:
                self._begin_step(each)
        if not self.ahead.received:
            new += self._canceled(current)
        if new:
            self._send(new)
        if not (self.running or self._failures or self.ahead.received or self.ahead.ended):
            if self.open or self.unanswered:
                self._host.waits()
            else:
                text = "the handler waits for a future that is neither of a step nor of ctx"
                self._end(None, RuntimeError(text))

    def _has_begun(self, operation: Operation) -> bool:
        """Return whether an operation was requested or ended before, or nobody waits for it."""
        index = operation.index
        return (
            index in self._first
            or operation.future.done()
            or index in self.running
            or index in self.ahead.ended
            or (index, operation.work is not None) in self.unanswered
        )

    def _begin_step(self, operation: Operation) -> None:
        self.running.add(operation.index)
        if self.ahead.received:
            self.ahead.begun.add(operation.index)
        self._host.begin(operation)

    def _send_ahead(self) -> None:
        records = self.ahead.send()
        if records:
            self._host.commit_ahead(records)

    def _canceled(self, current: _Pass) -> list[JournalRecord]:
        """Return the records that cancel started operations whose futures are canceled."""
        records = []
        for each in current.open.values():
            if not each.future.cancelled() or each.index in self._over:
                continue
            if (each.index, True) in self.unanswered:
                continue
            started = each.index in self._first or (each.index, False) in self.unanswered
            if each.index in self.running:
                self.running.discard(each.index)
                self._host.stop(each.index)
                started = True
            if started:
                ask = each.ask
                record = JournalRecord(index=ask.index, kind=ask.kind, name=ask.name)
                record.canceled = True
                records.append(record)
        return records

    def _send(self, records: list[JournalRecord]) -> None:
        for record in records:
            over = record.WhichOneof("outcome") is not None
            self.unanswered[record.index, over] = record
        self._host.commit(records)

    def _close(self, task: "asyncio.Task[Json]") -> None:
        """End the run; an operation of the journal that was not requested again is an error."""
        asked = len(self._pass.operations)
        for position, record in enumerate(self.journal):
            if record.index >= asked:
                self._end(None, NonDeterministic(position, _described(record), "its end"))
                return
        if task.cancelled():
            self._end(None, asyncio.CancelledError())
            return
        error = task.exception()
        self._end(task.result() if error is None else None, error)

    def _end(self, value: Json, error: BaseException | None) -> None:
        if self._ended:
            return
        self.leave()
        self._host.ended(value, error)


def _abandon(current: _Pass) -> None:
    """Cancel the tasks of a pass; their `finally` blocks run, and their requests are ignored."""
    if not current.loop.tasks:
        return
    for each in list(current.loop.tasks):
        each.cancel()
    try:
        current.loop.run_ready()
    except RuntimeError:
        return


def _described(record: JournalRecord) -> str:
    """Describe an operation for messages, such as `step 'reserve'`."""
    kind = journal_pb2.JournalKind.Name(record.kind).removeprefix("JOURNAL_KIND_").lower()
    return f"{kind} {record.name!r}" if record.name else kind
