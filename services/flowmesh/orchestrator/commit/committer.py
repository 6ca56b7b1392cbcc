"""The committer of a process: takes commands, runs the engine, persists, then sends the effects.

Answers, tasks and events leave after the commit, never before. One commit is in flight at a time.
Under load the batch grows while commands keep arriving (`group_delay`).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from flowmesh.access.encryption import DataKeys
from flowmesh.engine import State, TaskEnded
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.commit.batched_execution import BatchedExecution
from flowmesh.orchestrator.commit.group_delay import GroupDelay
from flowmesh.orchestrator.commit.inbox import BY_CALLERS, Inbox
from flowmesh.orchestrator.commit.pending_loads import PendingLoads
from flowmesh.orchestrator.commit.piggyback import PiggybackWrites
from flowmesh.orchestrator.commit.ports import Effects
from flowmesh.orchestrator.commit.refused_commands import RefusedCommands
from flowmesh.orchestrator.commit.running_ahead import RunningAhead
from flowmesh.orchestrator.commit.starts import Starts, repeated
from flowmesh.orchestrator.dispatch.commit_lock import CommitLock
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.limits.worker_scope import is_foreign
from flowmesh.orchestrator.model.commands import (
    STALE,
    VOID,
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
from flowmesh.orchestrator.model.verdicts import decide_command, replacement_for, sequence_of
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.batch import CommitBatch, Row, StartRow
from flowmesh.orchestrator.storage.commit_connection import CommitConnection, Committed
from flowmesh.orchestrator.storage.database import CONNECTION_LOST
from flowmesh.orchestrator.storage.snapshots import snapshot, snapshot_due
from flowmesh.orchestrator.storage.states import Entry, States
from flowmesh.orchestrator.storage.stores.start_store import StartStore
from flowmesh.runtime import Clock

FULL_RETRY_S = 0.2
LATE_RESULTS_SHOWN = 20
"""Limit of rejected results that one log line names."""


class Committer:
    """Takes batches from the inbox and persists them through the commit line.

    `lost` drops partitions that another owner has taken. `incarnation_over` registers this process
    as a new incarnation.
    """

    def __init__(
        self,
        *,
        store: StartStore,
        keys: DataKeys,
        line: CommitConnection,
        states: States,
        ownership: Ownership,
        inbox: Inbox,
        lock: CommitLock,
        starts: Starts,
        refused: RefusedCommands,
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
        self._keys = keys
        self._line = line
        self._states = states
        self._ownership = ownership
        self._inbox = inbox
        self._lock = lock.lock
        self._starts = starts
        self._refused = refused
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
        self._late_results: list[str] = []
        self._ahead = RunningAhead(
            states=states,
            ownership=ownership,
            uncommitted=uncommitted,
            lock=lock,
            log=log,
            inbox=inbox,
            effects=effects,
            decide=self._verdict,
            without=self._without,
        )

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
                    while self._ahead.carried:
                        commands = self._inbox.take()
                        await self._commit(commands)
                    self._uncommitted.end()
            except Exception:  # noqa: BLE001 (logged)
                # Memory and rows may differ: continue as a new incarnation, from the rows.
                self._log.exception("commit_failed")
                self._ahead.undo()
                self._uncommitted.end()
                self._starts.failed(storage_unavailable())
                self._incarnation_over()
                for pending in commands:
                    pending.answer(storage_unavailable())
            await self._group_delay.after(len(commands), self._clock.monotonic_ms() - began_ms)

    async def _commit(self, commands: list[PendingCommand]) -> None:
        batched, unchanged = self._decide(commands)
        if self._ownership.lease_valid:
            for execution in unchanged:
                self._answer_unchanged(execution)
            if not batched and not self._starts.joined:
                self._starts.committed((), self._ownership.epochs)
                return
            unchanged = []
        self._uncommitted.end()
        self._uncommitted.begin(execution.entry.state.execution_id for execution in batched)
        batch = CommitBatch(self._keys)
        epochs: dict[int, int] = {}
        now_us = self._ownership.now_us()
        for execution in batched:
            epochs[execution.partition] = self._ownership.epochs[execution.partition]
            try:
                self._add_rows(batch, execution, now_us)
            except Exception:  # noqa: BLE001 (logged in _isolate, which answers the senders)
                self._isolate(batched, execution)
                self._starts.failed()
                return
        for execution in unchanged:
            # Another owner may have changed it since: an answer from memory needs the fence too.
            epochs[execution.partition] = self._ownership.epochs[execution.partition]
        batched += unchanged
        self._starts.add_uncreated(batch, epochs)
        self._piggyback.add_to(batch, epochs, self._line.incarnation)
        for execution in batched:
            if execution.entry.state.plan.repeatable and execution.start is None:
                self._effects.ahead(execution)
        failpoint("orchestrator.decided")
        try:
            committed = await self._send(batch, epochs)
        except StatementRefused as error:
            self._discard(batched)
            commands = [pending for execution in batched for pending in execution.commands]
            self._refused.retry(commands, error)
            self._starts.failed()
            return
        except StorageFull:
            self._starts.failed(storage_full())
            await self._retry_full(batched)
            return
        except IncarnationOver:
            self._all_moved(batched)
            self._starts.failed(storage_unavailable())
            self._incarnation_over()
            return
        failpoint("orchestrator.committed")
        self._metrics.commit_commands.observe(len(commands))
        self._ownership.observe_time(committed.now_us)
        for execution in batched:
            execution.kept = (
                self._ownership.epochs.get(execution.partition) == epochs[execution.partition]
            )
            execution.carried = self._ahead.changes(execution.entry.state.execution_id)
        await self._committed(batched, committed, batch.after)

    async def _send(self, batch: CommitBatch, epochs: dict[int, int]) -> Committed:
        """Commit a batch; keep its piggyback writes for a later one if that fails."""
        try:
            with self._metrics.commit_seconds.time(), self._inbox.beside(self._ahead.add):
                return await self._line.commit(batch, epochs)
        except Exception:
            self._piggyback.restore(batch)
            self._ahead.undo()
            raise

    # --- before the commit ---

    def _decide(
        self, commands: list[PendingCommand]
    ) -> tuple[list[BatchedExecution], list[BatchedExecution]]:
        """Run the engine. Return the executions that change, and those that do not."""
        now_us = self._ownership.now_us()
        batched = self._ahead.take()
        starts: dict[tuple[str, str], BatchedExecution] = {}
        redone: dict[str, list[PendingCommand]] = {}
        for pending in commands:
            if redone and pending.execution_id in redone:
                redone[pending.execution_id].append(pending)
                continue
            if pending.partition not in self._ownership.epochs:
                pending.answer(Moved(pending.partition))
                continue
            if pending.cause == VOID:
                pending.answer(STALE)
                continue
            if isinstance(pending, PendingStart) and pending.plan.start_shared:
                placed = self._place(pending, starts, now_us)
                if placed is None:
                    continue
                pending = placed
            execution = self._execution_of(pending, batched, starts, now_us)
            if execution is None:
                continue
            try:
                pending.verdict = self._verdict(execution, pending, now_us)
            except Exception:  # noqa: BLE001 (logged)
                self._log.exception("command_failed", execution_id=pending.execution_id)
                del batched[execution.entry.state.execution_id]
                if isinstance(pending, PendingStart):
                    starts.pop((pending.namespace, pending.request_id), None)
                redone[execution.entry.state.execution_id] = self._without(execution, pending)
                continue
            # A rejection is answered after the commit too: its cause may be part of this batch.
            execution.commands.append(pending)
        for repeats in redone.values():
            self._inbox.put_back(repeats, first=True)
        if self._late_results:
            self._report_late_results()
        changed: list[BatchedExecution] = []
        unchanged: list[BatchedExecution] = []
        for execution in batched.values():
            (changed if execution.transition.history.events else unchanged).append(execution)
        return changed, unchanged

    def _place(
        self, pending: PendingStart, starts: dict[tuple[str, str], BatchedExecution], now_us: int
    ) -> PendingCommand | None:
        """Return the command for a start with a policy; None if it is answered or set aside.

        A repeat of a start of this batch joins that start later.
        """
        if pending.request_id and (pending.namespace, pending.request_id) in starts:
            return pending
        return self._starts.place(pending, self._ids.make(now_us, pending.partition), now_us)

    def _verdict(
        self, execution: BatchedExecution, pending: PendingCommand, now_us: int
    ) -> Answer | Exception:
        """Decide a command; return the answer for its sender after the commit."""
        state = execution.entry.state
        if is_foreign(pending.scope, pending.command, state):
            return STALE
        outcome = decide_command(state, pending.command, now_us, execution.transition)
        if isinstance(outcome, Exception):
            return outcome
        if outcome:
            return sequence_of(pending, state)
        if isinstance(ended := pending.command, TaskEnded):
            worker = ended.worker_id or "unknown"
            self._late_results.append(
                f"{pending.execution_id}/{ended.node}/{ended.attempt} by {worker}"
            )
        return STALE

    def _report_late_results(self) -> None:
        """Log results that came too late: their attempt had ended or moved to another worker."""
        late, self._late_results = self._late_results, []
        self._metrics.stale_results.inc(len(late))
        self._log.warning("results_refused", count=len(late), first=late[:LATE_RESULTS_SHOWN])

    def _execution_of(
        self,
        pending: PendingCommand,
        batched: dict[str, BatchedExecution],
        starts: dict[tuple[str, str], BatchedExecution],
        now_us: int,
    ) -> BatchedExecution | None:
        """Return the execution of a command; None if the command is set aside or joined."""
        if isinstance(pending, PendingStart):
            key = (pending.namespace, pending.request_id)
            if pending.request_id and key in starts:
                # The commit decides whether this execution or an earlier one answers it.
                starts[key].commands.append(pending)
                return None
            execution_id = pending.execution_id or self._ids.make(now_us, pending.partition)
            execution = BatchedExecution(
                Entry(State(execution_id, pending.plan), None), pending.partition, pending
            )
            batched[execution_id] = execution
            if pending.request_id:
                starts[key] = execution
            return execution
        known = batched.get(pending.execution_id)
        if known is not None:
            return known
        entry = self._states.get(pending.execution_id)
        if entry is None:
            self._loads.park(pending)
            return None
        execution = batched[pending.execution_id] = BatchedExecution(entry, pending.partition, None)
        return execution

    def _without(self, execution: BatchedExecution, poison: PendingCommand) -> list[PendingCommand]:
        """Drop a command on which the engine failed. Return the commands to decide again.

        A result is replaced by a failure of its attempt; another sender gets an error.
        """
        execution.commands.append(poison)
        self._ahead.drop(execution)
        if poison not in execution.commands:
            return execution.commands
        return [*execution.commands[:-1], *replacement_for(poison)]

    def _add_rows(self, batch: CommitBatch, execution: BatchedExecution, now_us: int) -> None:
        state, partition = execution.entry.state, execution.partition
        is_start = execution.start is not None
        row = Row(state, state.started_at_us if is_start else now_us, execution.entry.row)
        if execution.start is not None:
            start = StartRow(execution.start.request_id, execution.start.start_digest)
            batch.add_start(state, partition, row, start)
            batch.add_reference(state, partition, state.input)
        elif not row.same_as(execution.entry.row):
            batch.add_change(state, partition, row)
        if len(row.lanes) > 1 or (
            execution.entry.row is not None and len(execution.entry.row.lanes) > 1
        ):
            batch.add_lanes(state, partition, row, execution.entry.row)
        if not row.found_as(execution.entry.row):
            batch.add_values(state, partition, row, execution.entry.row)
        if row.waits or (execution.entry.row is not None and execution.entry.row.waits):
            batch.add_waits(state, partition, row, execution.entry.row)
        if execution.transition.messages:
            execution.messages = batch.add_messages(
                state, partition, execution.transition, is_start=is_start
            )
        execution.row = row
        execution.events = batch.add_history(
            state, partition, execution.transition, is_start=is_start
        )
        batch.add_references(state, partition, execution.transition, execution.events)
        batch.meter(state, partition, execution.transition, now_us, is_start=is_start)
        if state.plan.start_shared:
            self._starts.add_changes(batch, execution)
        if snapshot_due(state, execution.entry.snapshot_sequence):
            body = snapshot(state)
            batch.add_snapshot(state, partition, body)
            self._metrics.snapshot_bytes.observe(len(body))
            execution.entry.snapshot_sequence = state.sequence
            execution.entry.snapshot_bytes = len(body)

    # --- after the commit ---

    async def _committed(
        self, batched: list[BatchedExecution], committed: Committed, after: bytes | None
    ) -> None:
        done: list[BatchedExecution] = []
        existing: list[BatchedExecution] = []
        lost: set[int] = set()
        for execution in batched:
            if execution.partition not in committed.partitions:
                if execution.kept:
                    lost.add(execution.partition)
                self._states.discard(execution.entry.state.execution_id)
                for pending in execution.commands:
                    pending.answer(Moved(pending.partition))
            elif execution.row is None:
                if execution.kept:
                    self._answer_unchanged(execution)
                else:
                    self._answer(execution)
            elif (
                execution.start is not None
                and execution.entry.state.execution_id not in committed.started
            ):
                existing.append(execution)
            else:
                execution.entry.row = execution.row
                if execution.kept:
                    self._states.put(execution.entry, len(execution.events))
                done.append(execution)
        if lost:
            self._lost(lost)
        self._effects.committed(self._line.position, done, after)
        self._starts.committed(done, committed.partitions)
        failpoint("orchestrator.dispatched")
        for execution in done:
            self._answer(execution)
        if existing:
            await self._answer_existing(existing)

    def _answer_unchanged(self, execution: BatchedExecution) -> None:
        self._answer(execution)
        self._effects.unchanged(execution.entry.state, execution.transition, execution.partition)

    def _answer(self, execution: BatchedExecution) -> None:
        state = execution.entry.state
        for pending in execution.commands:
            if pending is execution.start:
                pending.answer(Started(state.execution_id, created=True))
            elif execution.start is not None and isinstance(pending, PendingStart):
                pending.answer(repeated(pending, state.execution_id, execution.start.start_digest))
            else:
                pending.answer(pending.verdict)

    async def _answer_existing(self, batched: list[BatchedExecution]) -> None:
        """Answer starts whose request id an earlier execution has with that execution."""
        starts = [execution.start for execution in batched if execution.start is not None]
        try:
            rows = await self._store.started_under(
                [start.namespace for start in starts], [start.request_id for start in starts]
            )
        except CONNECTION_LOST:
            rows = []
        found = {(row.namespace, row.request_id): row for row in rows}
        for execution in batched:
            for pending in execution.commands:
                if not isinstance(pending, PendingStart):
                    pending.answer(STALE)
                    continue
                row = found.get((pending.namespace, pending.request_id))
                if row is None:
                    pending.answer(storage_unavailable())
                else:
                    pending.answer(repeated(pending, row.id, row.start_digest))

    def _discard(self, batched: Iterable[BatchedExecution]) -> None:
        """Drop the decisions of a batch: the executions are read from the rows again."""
        execution_ids = set()
        for execution in batched:
            execution_ids.add(execution.entry.state.execution_id)
            self._ahead.drop(execution)
        self._effects.discarded(self._uncommitted.discard(execution_ids))

    def _isolate(self, batched: list[BatchedExecution], unfit: BatchedExecution) -> None:
        """Discard a batch in which the result of one execution cannot be written.

        Its only command is replaced, several are decided apart; the others are decided again.
        """
        self._log.exception("command_unfit", execution_id=unfit.entry.state.execution_id)
        self._discard(batched)
        repeats: list[PendingCommand] = []
        for execution in batched:
            for pending in execution.commands:
                if execution is not unfit:
                    repeats.append(pending)
                elif len(execution.commands) == 1:
                    repeats += replacement_for(pending)
                else:
                    self._inbox.put_apart((pending,))
        self._inbox.put_back(repeats, first=True)

    async def _retry_full(self, batched: list[BatchedExecution]) -> None:
        """Discard a batch for lack of space: callers get an error, other commands wait."""
        self._discard(batched)
        waiting: list[PendingCommand] = []
        for execution in batched:
            for pending in execution.commands:
                if isinstance(pending.command, BY_CALLERS):
                    pending.answer(storage_full())
                else:
                    waiting.append(pending)
        self._inbox.put_back(waiting, first=True)
        await asyncio.sleep(FULL_RETRY_S)

    def _all_moved(self, batched: Iterable[BatchedExecution]) -> None:
        for execution in batched:
            self._states.discard(execution.entry.state.execution_id)
            for pending in execution.commands:
                pending.answer(Moved(pending.partition))
