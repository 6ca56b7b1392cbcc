"""The one committer of a process: takes what waits, runs the engine, persists, lets effects leave.

Nothing leaves before the commit: answers, tasks and events all follow it. One commit is in flight
at a time. Under load the batch grows while commands keep arriving (`lingering`).
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from flowmesh.engine import State, TaskEnded, Transition
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.commit.batched_execution import BatchedExecution
from flowmesh.orchestrator.commit.group_delay import GroupDelay
from flowmesh.orchestrator.commit.inbox import BY_CALLERS, Inbox
from flowmesh.orchestrator.commit.pending_loads import PendingLoads
from flowmesh.orchestrator.commit.piggyback import PiggybackWrites
from flowmesh.orchestrator.commit.starts import Starts, repeated
from flowmesh.orchestrator.dispatch.commit_lock import CommitLock
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.limits.ready_queues import ReadyTask
from flowmesh.orchestrator.model.commands import (
    STALE,
    Answer,
    PendingCommand,
    PendingStart,
    Started,
)
from flowmesh.orchestrator.model.errors import (
    IncarnationOver,
    Moved,
    StatementRefused,
    StorageFull,
    storage_full,
    storage_unavailable,
)
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.model.verdicts import decide_command, replacement_for
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.batch import CommitBatch, Row, StartRow
from flowmesh.orchestrator.storage.commit_connection import CommitConnection, Committed
from flowmesh.orchestrator.storage.database import CONNECTION_LOST
from flowmesh.orchestrator.storage.snapshots import snapshot, snapshot_due
from flowmesh.orchestrator.storage.states import Entry, States
from flowmesh.orchestrator.storage.stores.start_store import StartStore
from flowmesh.runtime import Clock

FULL_RETRY_S = 0.2
REFUSED_RETRY_S = 1.0
LATE_SHOWN = 20
"""Of the results that a batch refuses, so many stand in its line of log."""


class Effects(Protocol):
    """What follows from a commit."""

    def committed(self, position: int, batch: list[BatchedExecution], after: bytes | None) -> None:
        """Send what follows from the batch that was committed at an outbox position."""

    def unchanged(self, state: State, transition: Transition, partition: int) -> None:
        """Send what an execution waits for that its commands left as it was."""

    def discarded(self, withheld: Iterable[list[ReadyTask]]) -> None:
        """Release tasks that were withheld because of decisions that are discarded."""


class Committer:
    """Takes batches from the inbox and persists them over the line to the database.

    `lost` drops partitions that another owner has, `incarnation_over` starts over.
    """

    def __init__(
        self,
        *,
        store: StartStore,
        line: CommitConnection,
        states: States,
        ownership: Ownership,
        inbox: Inbox,
        lock: CommitLock,
        starts: Starts,
        piggyback: PiggybackWrites,
        loads: PendingLoads,
        uncommitted: UncommittedExecutions,
        ids: ExecutionIds,
        clock: Clock,
        metrics: OrchestratorMetrics,
        log: Any,
        effects: Effects,
        lost: Callable[[Iterable[int]], None],
        incarnation_over: Callable[[], None],
    ) -> None:
        self._store = store
        self._line = line
        self._states = states
        self._ownership = ownership
        self._inbox = inbox
        self._lock = lock.lock
        self._starts = starts
        self._piggyback = piggyback
        self._loads = loads
        self._uncommitted = uncommitted
        self._ids = ids
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._effects = effects
        self._lost = lost
        self._incarnation_over = incarnation_over
        self._group_delay = GroupDelay(inbox, clock)
        self._late: list[str] = []

    # --- the loop ---

    async def run(self) -> None:
        while True:
            await self._inbox.until_any()
            commands: list[PendingCommand] = []
            began_ms = self._clock.monotonic_ms()
            try:
                async with self._lock:
                    commands = self._inbox.take()
                    await self._commit(commands)
                    self._uncommitted.end()
            except Exception:  # noqa: BLE001 (logged)
                # Memory and rows may differ now: start over as a new incarnation, from the rows.
                self._log.exception("commit_failed")
                self._uncommitted.end()
                self._starts.failed(storage_unavailable())
                self._incarnation_over()
                for pending in commands:
                    pending.answer(storage_unavailable())
            await self._group_delay.after(len(commands), self._clock.monotonic_ms() - began_ms)

    async def _commit(self, commands: list[PendingCommand]) -> None:
        touched, unchanged = self._decide(commands)
        if self._ownership.lease_valid:
            for one in unchanged:
                self._stays(one)
            if not touched and not self._starts.joined:
                self._starts.committed((), self._ownership.epochs)
                return
            unchanged = []
        self._uncommitted.begin(one.entry.state.execution_id for one in touched)
        batch = CommitBatch()
        epochs: dict[int, int] = {}
        now_us = self._ownership.now_us()
        for one in touched:
            epochs[one.partition] = self._ownership.epochs[one.partition]
            try:
                self._fill(batch, one, now_us)
            except Exception:  # noqa: BLE001 (logged there, and told to whoever sent it)
                self._unfit(touched, one)
                self._starts.failed()
                return
        for one in unchanged:
            # Somebody else may have gone on since: an answer from memory waits for the fence too.
            epochs[one.partition] = self._ownership.epochs[one.partition]
        touched += unchanged
        self._starts.add_uncreated(batch, epochs)
        self._piggyback.add_to(batch, epochs, self._line.incarnation)
        failpoint("orchestrator.decide_command")
        try:
            committed = await self._sent(batch, epochs)
        except StatementRefused as error:
            self._refused(touched, error)
            self._starts.failed()
            return
        except StorageFull:
            self._starts.failed(storage_full())
            await self._full(touched)
            return
        except IncarnationOver:
            self._all_moved(touched)
            self._starts.failed(storage_unavailable())
            self._incarnation_over()
            return
        failpoint("orchestrator.committed")
        self._metrics.commit_commands.observe(len(commands))
        self._ownership.observe_time(committed.now_us)
        for one in touched:
            one.kept = self._ownership.epochs.get(one.partition) == epochs[one.partition]
        await self._committed(touched, committed, batch.after)

    async def _sent(self, batch: CommitBatch, epochs: dict[int, int]) -> Committed:
        """What the database makes of a batch."""
        try:
            with self._metrics.commit_seconds.time():
                return await self._line.commit(batch, epochs)
        except Exception:
            self._piggyback.give_back(batch)
            raise

    # --- before the commit ---

    def _decide(
        self, commands: list[PendingCommand]
    ) -> tuple[list[BatchedExecution], list[BatchedExecution]]:
        """Executions that the commands change, and those they leave as they are."""
        now_us = self._ownership.now_us()
        touched: dict[str, BatchedExecution] = {}
        starts: dict[tuple[str, str], BatchedExecution] = {}
        undone: dict[str, list[PendingCommand]] = {}
        for pending in commands:
            if undone and pending.execution_id in undone:
                undone[pending.execution_id].append(pending)
                continue
            if pending.partition not in self._ownership.epochs:
                pending.answer(Moved(pending.partition))
                continue
            if isinstance(pending, PendingStart) and pending.plan.start_shared:
                placed = self._placed(pending, starts, now_us)
                if placed is None:
                    continue
                pending = placed
            one = self._touch(pending, touched, starts, now_us)
            if one is None:
                continue
            try:
                pending.verdict = self._verdict(one, pending, now_us)
            except Exception:  # noqa: BLE001 (logged)
                self._log.exception("command_failed", execution_id=pending.execution_id)
                del touched[one.entry.state.execution_id]
                if isinstance(pending, PendingStart):
                    starts.pop((pending.namespace, pending.request_id), None)
                undone[one.entry.state.execution_id] = self._undo(one, pending)
                continue
            # Also one that is refused is told after the commit: what refuses it may be in there.
            one.commands.append(pending)
        for again in undone.values():
            self._inbox.put_back(again, first=True)
        if self._late:
            self._report_late_results()
        changed: list[BatchedExecution] = []
        unchanged: list[BatchedExecution] = []
        for one in touched.values():
            (changed if one.transition.history.events else unchanged).append(one)
        return changed, unchanged

    def _placed(
        self, pending: PendingStart, starts: dict[tuple[str, str], BatchedExecution], now_us: int
    ) -> PendingCommand | None:
        """What a start with a policy comes to; one that is in the batch already is joined to it."""
        if pending.request_id and (pending.namespace, pending.request_id) in starts:
            return pending
        return self._starts.place(pending, self._ids.make(now_us, pending.partition), now_us)

    def _verdict(
        self, one: BatchedExecution, pending: PendingCommand, now_us: int
    ) -> Answer | Exception:
        """Decides a command; what its sender is to be told once that is committed."""
        state = one.entry.state
        followed = decide_command(state, pending.command, now_us, one.transition)
        if isinstance(followed, Exception):
            return followed
        if followed:
            return _sequence_of(pending, state)
        if isinstance(pending.command, TaskEnded):
            ended = pending.command
            worker = ended.worker_id or "unknown"
            self._late.append(f"{pending.execution_id}/{ended.node}/{ended.attempt} by {worker}")
        return STALE

    def _report_late_results(self) -> None:
        """Says whose results came too late: their attempt was another's by then, or over."""
        late, self._late = self._late, []
        self._metrics.stale_results.inc(len(late))
        self._log.warning("results_refused", count=len(late), first=late[:LATE_SHOWN])

    def _touch(
        self,
        pending: PendingCommand,
        touched: dict[str, BatchedExecution],
        starts: dict[tuple[str, str], BatchedExecution],
        now_us: int,
    ) -> BatchedExecution | None:
        """The execution a command is about; None if it is set aside, joined or not there."""
        if isinstance(pending, PendingStart):
            key = (pending.namespace, pending.request_id)
            if pending.request_id and key in starts:
                # Which of them it is answered by, the commit says.
                starts[key].commands.append(pending)
                return None
            execution_id = pending.execution_id or self._ids.make(now_us, pending.partition)
            one = BatchedExecution(
                Entry(State(execution_id, pending.plan), None), pending.partition, pending
            )
            touched[execution_id] = one
            if pending.request_id:
                starts[key] = one
            return one
        known = touched.get(pending.execution_id)
        if known is not None:
            return known
        entry = self._states.get(pending.execution_id)
        if entry is None:
            self._loads.set_aside(pending)
            return None
        one = touched[pending.execution_id] = BatchedExecution(entry, pending.partition, None)
        return one

    def _undo(self, one: BatchedExecution, poison: PendingCommand) -> list[PendingCommand]:
        """After a command that the engine fails on: what is to be decided anew.

        A result is replaced by the failure of its attempt; whoever else sent it is told.
        """
        self._states.discard(one.entry.state.execution_id)
        return [*one.commands, *replacement_for(poison)]

    def _fill(self, batch: CommitBatch, one: BatchedExecution, now_us: int) -> None:
        state, partition = one.entry.state, one.partition
        is_start = one.start is not None
        row = Row(state, state.started_at_us if is_start else now_us, one.entry.row)
        if one.start is not None:
            start = StartRow(one.start.request_id, one.start.start_digest)
            batch.add_start(state, partition, row, start)
            batch.add_reference(state, partition, state.input)
        elif not row.same_as(one.entry.row):
            batch.add_change(state, partition, row)
        if len(row.lanes) > 1 or (one.entry.row is not None and len(one.entry.row.lanes) > 1):
            batch.add_lanes(state, partition, row, one.entry.row)
        if not row.found_as(one.entry.row):
            batch.add_values(state, partition, row, one.entry.row)
        if row.waits or (one.entry.row is not None and one.entry.row.waits):
            batch.add_waits(state, partition, row, one.entry.row)
        if one.transition.messages:
            one.messages = batch.add_messages(state, partition, one.transition, is_start=is_start)
        one.row = row
        one.events = batch.add_history(state, partition, one.transition, is_start=is_start)
        batch.add_references(state, partition, one.transition, one.events)
        if state.plan.start_shared:
            self._starts.add_changes(batch, one)
        if snapshot_due(state, one.entry.snapshot_sequence):
            body = snapshot(state)
            batch.snapshots.append((state.execution_id, state.sequence, body, partition))
            self._metrics.snapshot_bytes.observe(len(body))
            one.entry.snapshot_sequence = state.sequence
            one.entry.snapshot_bytes = len(body)

    # --- after the commit ---

    async def _committed(
        self, touched: list[BatchedExecution], committed: Committed, after: bytes | None
    ) -> None:
        done: list[BatchedExecution] = []
        existing: list[BatchedExecution] = []
        lost: set[int] = set()
        for one in touched:
            if one.partition not in committed.partitions:
                if one.kept:
                    lost.add(one.partition)
                self._states.discard(one.entry.state.execution_id)
                for pending in one.commands:
                    pending.answer(Moved(pending.partition))
            elif one.row is None:
                if one.kept:
                    self._stays(one)
                else:
                    self._answer(one)
            elif one.start is not None and one.entry.state.execution_id not in committed.started:
                existing.append(one)
            else:
                one.entry.row = one.row
                if one.kept:
                    self._states.put(one.entry, len(one.events))
                done.append(one)
        if lost:
            self._lost(lost)
        self._effects.committed(self._line.position, done, after)
        self._starts.committed(done, committed.partitions)
        failpoint("orchestrator.dispatched")
        for one in done:
            self._answer(one)
        if existing:
            await self._answer_existing(existing)

    def _stays(self, one: BatchedExecution) -> None:
        self._answer(one)
        self._effects.unchanged(one.entry.state, one.transition, one.partition)

    def _answer(self, one: BatchedExecution) -> None:
        state = one.entry.state
        for pending in one.commands:
            if pending is one.start:
                pending.answer(Started(state.execution_id, created=True))
            elif one.start is not None and isinstance(pending, PendingStart):
                pending.answer(repeated(pending, state.execution_id, one.start.start_digest))
            else:
                pending.answer(pending.verdict)

    async def _answer_existing(self, touched: list[BatchedExecution]) -> None:
        """Starts whose request id was taken answer with the execution that has it."""
        starts = [one.start for one in touched if one.start is not None]
        try:
            rows = await self._store.started_under(
                [start.namespace for start in starts], [start.request_id for start in starts]
            )
        except CONNECTION_LOST:
            rows = []
        found = {(row.namespace, row.request_id): row for row in rows}
        for one in touched:
            for pending in one.commands:
                if not isinstance(pending, PendingStart):
                    pending.answer(STALE)
                    continue
                row = found.get((pending.namespace, pending.request_id))
                if row is None:
                    pending.answer(storage_unavailable())
                else:
                    pending.answer(repeated(pending, row.id, row.start_digest))

    def _throw_away(self, touched: Iterable[BatchedExecution]) -> None:
        """What was decided is not so: the rows say how these executions are."""
        executions = {one.entry.state.execution_id for one in touched}
        for execution_id in executions:
            self._states.discard(execution_id)
        self._effects.discarded(self._uncommitted.discard(executions))

    def _unfit(self, touched: list[BatchedExecution], unfit: BatchedExecution) -> None:
        """What came of one execution cannot be written: of its commands each is decided alone.

        The batch is thrown away; the others' commands are decided anew.
        """
        self._log.exception("command_unfit", execution_id=unfit.entry.state.execution_id)
        self._throw_away(touched)
        again: list[PendingCommand] = []
        for one in touched:
            for pending in one.commands:
                if one is unfit and pending.run_alone:
                    again += replacement_for(pending)
                else:
                    pending.run_alone |= one is unfit
                    again.append(pending)
        self._inbox.put_back(again, first=True)

    def _refused(self, touched: list[BatchedExecution], error: StatementRefused) -> None:
        """Throws the batch away and sends its commands one by one.

        Of a lone one the caller is told; what nobody would ask for again is tried again.
        """
        self._throw_away(touched)
        for one in touched:
            for pending in one.commands:
                if not pending.run_alone:
                    pending.run_alone = True
                    self._inbox.put_back((pending,), first=False)
                    continue
                self._log.error("command_refused", error=str(error))
                if isinstance(pending.command, BY_CALLERS):
                    pending.answer(storage_unavailable())
                else:
                    again = partial(self._inbox.put_back, (pending,), first=False)
                    asyncio.get_running_loop().call_later(REFUSED_RETRY_S, again)

    async def _full(self, touched: list[BatchedExecution]) -> None:
        """There is no room: callers are told so, results and timers wait until there is."""
        self._throw_away(touched)
        waiting: list[PendingCommand] = []
        for one in touched:
            for pending in one.commands:
                if isinstance(pending.command, BY_CALLERS):
                    pending.answer(storage_full())
                else:
                    waiting.append(pending)
        self._inbox.put_back(waiting, first=True)
        await asyncio.sleep(FULL_RETRY_S)

    def _all_moved(self, touched: Iterable[BatchedExecution]) -> None:
        for one in touched:
            self._states.discard(one.entry.state.execution_id)
            for pending in one.commands:
                pending.answer(Moved(pending.partition))


def _sequence_of(pending: PendingCommand, state: State) -> int:
    """What a command is answered with; a repeat gets the first answer."""
    request_id = getattr(pending.command, "request_id", "")
    return state.requests.get(request_id, state.sequence) if request_id else state.sequence
