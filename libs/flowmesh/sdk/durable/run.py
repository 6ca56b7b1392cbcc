"""One durable handler being run: its journal first, then what it asks for beyond that.

Everything a handler asks for is an operation, numbered in the order of asking. What is committed
comes back as records in one order, and is given to the handler one by one, each when it has nothing
left to do but wait: so it asks for the same things in the same order whenever it runs again.

A step that failed is told to the handler before that is committed. Only when the handler goes on
it is: what ends a handler may be tried again with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from flowmesh.api.common.v1 import failure_pb2, journal_pb2, payload_pb2
from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.sdk.durable.failures import CallFailed, NonDeterministic, StepFailed
from flowmesh.sdk.durable.loop import HandlerLoop
from flowmesh.sdk.failures import failure_of
from flowmesh.sdk.payloads import Json

STEP = journal_pb2.JOURNAL_KIND_STEP
SLEEP = journal_pb2.JOURNAL_KIND_SLEEP
SIGNAL = journal_pb2.JOURNAL_KIND_SIGNAL
CALL = journal_pb2.JOURNAL_KIND_CALL
TIMER = "asyncio"
"""The name of sleeps that timers of asyncio are."""


@dataclass(slots=True, eq=False)
class Operation:
    """What a handler asked for; `ask` is how that is recorded, `work` what a step is to do."""

    ask: JournalRecord
    future: "asyncio.Future[Any]"
    work: Any = None

    @property
    def index(self) -> int:
        return self.ask.index


class Host(Protocol):
    """Where a handler runs."""

    def commit(self, records: Sequence[JournalRecord]) -> None:
        """Has records committed; `Run.committed` follows."""

    def begin(self, operation: Operation) -> None:
        """Runs a step; `Run.step_ended` follows."""

    def stop(self, index: int) -> None:
        """The step is not wanted any more; nothing need follow."""

    def ended(self, value: Json, error: BaseException | None) -> None:
        """The handler has ended."""

    def waits(self) -> None:
        """Nothing happens until more is committed by others."""


@dataclass(slots=True)
class _Pass:
    """The handler from its beginning: one pass over the journal."""

    loop: HandlerLoop
    task: "asyncio.Task[Json]"
    operations: list[Operation] = field(default_factory=list)
    asked: list[Operation] = field(default_factory=list)
    delivered: int = 0


class Run:
    """Runs a handler on behalf of a host, which calls it on one thread only."""

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
        # Sent and not committed yet, by index and whether it says the end.
        self.unanswered: dict[tuple[int, bool], JournalRecord] = {}
        self.running: set[int] = set()
        self._failures: dict[int, JournalRecord] = {}
        self._gate = -1
        self._ended = False
        self._wrong: NonDeterministic | None = None
        self._begin()

    def _begin(self) -> None:
        self.now_us = self.began_at_us
        loop = HandlerLoop(self)  # type: ignore[abstract] # what it lacks is not for handlers
        self._pass = _Pass(loop, loop.create_task(self._handler(self)))

    # --- what the handler asks for ---

    @property
    def replaying(self) -> bool:
        """Whether the handler is being given what is in the journal already."""
        return self._pass.delivered < len(self.journal)

    @property
    def open(self) -> list[Operation]:
        """What it waits for, steps left out."""
        return [
            each
            for each in self._pass.operations
            if each.ask.kind != STEP and each.index not in self._over and not each.future.done()
        ]

    def ask(self, ask: JournalRecord, work: Any = None) -> "asyncio.Future[Any]":
        """An operation; its future has what becomes of it. `work` is what the host does of it."""
        now = self._pass
        ask.index = len(now.operations)
        operation = Operation(ask, now.loop.create_future(), work)
        now.operations.append(operation)
        now.asked.append(operation)
        position = self._first.get(ask.index)
        if position is not None and self._wrong is None:
            recorded = self.journal[position]
            if (recorded.kind, recorded.name) != (ask.kind, ask.name):
                self._wrong = NonDeterministic(position, _said(recorded), _said(ask))
        return operation.future

    def now_s(self) -> float:
        return self.now_us / 1e6

    def sleeps(self, delay_s: float) -> "asyncio.Future[Any]":
        delay_ms = max(1, round(delay_s * 1000))
        return self.ask(JournalRecord(kind=SLEEP, name=TIMER, delay_ms=delay_ms))

    # --- what the host says ---

    def committed(self, records: Iterable[JournalRecord]) -> None:
        """The next records of the journal."""
        for record in records:
            over = record.WhichOneof("outcome") is not None
            self._first.setdefault(record.index, len(self.journal))
            self.journal.append(record)
            self.unanswered.pop((record.index, over), None)
            if over:
                self._over.add(record.index)
                self._failures.pop(record.index, None)
                if record.index in self.running:
                    # Another worker, which had the task as well, was first.
                    self.running.discard(record.index)
                    self._host.stop(record.index)

    def step_ended(
        self, index: int, output: payload_pb2.Payload | None, failure: failure_pb2.Failure | None
    ) -> None:
        """A step that was begun has ended."""
        self.running.discard(index)
        if index in self._over or index >= len(self._pass.operations):
            return
        ask = self._pass.operations[index].ask
        record = JournalRecord(index=index, kind=ask.kind, name=ask.name)
        if failure is not None:
            record.failure.CopyFrom(failure)
            self._failures[index] = record
        else:
            record.output.CopyFrom(output or payload_pb2.Payload())
            self._send([record])

    def turn(self) -> None:
        """Lets the handler go on as far as it can."""
        while not self._ended:
            now = self._pass
            try:
                now.loop.run_ready()
            except RuntimeError as error:
                self._end(None, error)
                return
            if self._wrong is not None:
                self._end(None, self._wrong)
            elif now.task.done():
                self._close(now.task)
            elif not self._deliver(now):
                self._act(now)
                return

    def leave(self) -> None:
        """Nothing more of the handler is wanted here; the host hears no more of it."""
        self._ended = True
        _abandon(self._pass)

    # --- inside ---

    def _deliver(self, now: _Pass) -> bool:
        """Gives the handler the next thing it does not know; False if there is none."""
        if self.replaying:
            record = self.journal[now.delivered]
            now.delivered += 1
            if record.index >= len(now.operations):
                self._wrong = NonDeterministic(now.delivered - 1, _said(record), "nothing more")
                return True
            self._give(now, now.operations[record.index], record)
            return True
        if self._gate < 0 and self._failures:
            index, record = self._failures.popitem()
            operation = now.operations[index]
            if operation.future.done():
                return True
            self._settle(operation, record)
            now.loop.run_ready()
            if not now.task.done():
                self._gate = index
                self._send([record])
            return True
        return False

    def _give(self, now: _Pass, operation: Operation, record: JournalRecord) -> None:
        over = record.WhichOneof("outcome") is not None
        if record.index == self._gate and over:
            self._gate = -1
            return
        if over and self._gate >= 0:
            # Committed before a failure that the handler knew first: not what it will see again.
            self._gate = -1
            self._again(now)
            return
        if record.kind != STEP or not record.HasField("failure"):
            self.now_us = record.at_us
        if over and not operation.future.done():
            if record.canceled:
                self._wrong = NonDeterministic(now.delivered - 1, _said(record), "its outcome")
            else:
                self._settle(operation, record)

    def _settle(self, operation: Operation, record: JournalRecord) -> None:
        future = operation.future
        match record.WhichOneof("outcome"):
            case "output":
                future.set_result(self._read(record.output))
            case "timed_out":
                future.set_exception(TimeoutError(f"no signal {record.name!r} came in time"))
            case _:
                kind = StepFailed if record.kind == STEP else CallFailed
                future.set_exception(kind(record.name, failure_of(record.failure)))

    def _again(self, now: _Pass) -> None:
        """Runs the handler from its beginning, with the journal as it is now."""
        _abandon(now)
        self._begin()

    def _act(self, now: _Pass) -> None:
        """Does what the handler asked for: it waits, and knows all there is to know."""
        if self._gate >= 0:
            return
        asked, now.asked = now.asked, []
        new = []
        for each in asked:
            if each.index in self._first or each.future.done() or each.index in self.running:
                continue
            if each.work is None:
                if (each.index, False) not in self.unanswered:
                    new.append(each.ask)
            elif (each.index, True) not in self.unanswered:
                self.running.add(each.index)
                self._host.begin(each)
        new += self._canceled(now)
        if new:
            self._send(new)
        if not self.running and not self._failures:
            if self.open or self.unanswered:
                self._host.waits()
            else:
                text = "the handler waits for something that is neither a step nor of ctx"
                self._end(None, RuntimeError(text))

    def _canceled(self, now: _Pass) -> list[JournalRecord]:
        """The ends of what was begun and is not wanted any more."""
        records = []
        for each in now.operations:
            if not each.future.cancelled() or each.index in self._over:
                continue
            if (each.index, True) in self.unanswered:
                continue
            begun = each.index in self._first or (each.index, False) in self.unanswered
            if each.index in self.running:
                self.running.discard(each.index)
                self._host.stop(each.index)
                begun = True
            if begun:
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
        """The handler has ended; all it has ever asked for it has asked for again."""
        asked = len(self._pass.operations)
        for position, record in enumerate(self.journal):
            if record.index >= asked:
                self._end(None, NonDeterministic(position, _said(record), "its end"))
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


def _abandon(now: _Pass) -> None:
    """Closes what still runs of a handler: its `finally` blocks run, and ask in vain."""
    if not now.loop.tasks:
        return
    for each in list(now.loop.tasks):
        each.cancel()
    try:
        now.loop.run_ready()
    except RuntimeError:
        return


def _said(record: JournalRecord) -> str:
    """`step 'reserve'`, as messages name an operation."""
    kind = journal_pb2.JournalKind.Name(record.kind).removeprefix("JOURNAL_KIND_").lower()
    return f"{kind} {record.name!r}" if record.name else kind
