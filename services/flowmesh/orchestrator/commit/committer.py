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
from flowmesh.orchestrator.commit.batched_execution import Touched
from flowmesh.orchestrator.commit.group_delay import Linger
from flowmesh.orchestrator.commit.inbox import BY_CALLERS, Inbox
from flowmesh.orchestrator.commit.pending_loads import ColdWorks
from flowmesh.orchestrator.commit.piggyback import Alongside
from flowmesh.orchestrator.commit.starts import Starts, repeated
from flowmesh.orchestrator.dispatch.commit_lock import CommitLock
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.limits.ready_queues import ReadyTask
from flowmesh.orchestrator.model.commands import STALE, Answer, Started, StartWork, Work
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
from flowmesh.orchestrator.model.verdicts import decided, in_place_of
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.batch import CommitBatch, Row, StartRow
from flowmesh.orchestrator.storage.snapshots import snapshot, snapshot_due
from flowmesh.orchestrator.storage.states import Entry, States
from flowmesh.orchestrator.storage.store import (
    CONNECTION_LOST,
    CommitLine,
    Committed,
    OrchestratorStore,
)
from flowmesh.runtime import Clock

FULL_RETRY_S = 0.2
REFUSED_RETRY_S = 1.0
LATE_SHOWN = 20
"""Of the results that a batch refuses, so many stand in its line of log."""


class Effects(Protocol):
    """What follows from a commit."""

    def committed(self, position: int, batch: list[Touched], after: bytes | None) -> None:
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
        store: OrchestratorStore,
        line: CommitLine,
        states: States,
        ownership: Ownership,
        inbox: Inbox,
        lock: CommitLock,
        starts: Starts,
        piggyback: Alongside,
        loads: ColdWorks,
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
        self._linger = Linger(inbox, clock)
        self._late: list[str] = []

    # --- the loop ---

    async def run(self) -> None:
        while True:
            await self._inbox.until_any()
            works: list[Work] = []
            began_ms = self._clock.monotonic_ms()
            try:
                async with self._lock:
                    works = self._inbox.take()
                    await self._commit(works)
                    self._uncommitted.end()
            except Exception:  # noqa: BLE001 (logged)
                # Memory and rows may differ now: start over as a new incarnation, from the rows.
                self._log.exception("commit_failed")
                self._uncommitted.end()
                self._starts.failed(storage_unavailable())
                self._incarnation_over()
                for work in works:
                    work.answer(storage_unavailable())
            await self._linger.after(len(works), self._clock.monotonic_ms() - began_ms)

    async def _commit(self, works: list[Work]) -> None:
        touched, unchanged = self._decide(works)
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
        self._starts.fill_asides(batch, epochs)
        self._piggyback.put_in(batch, epochs, self._line.incarnation)
        failpoint("orchestrator.decided")
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
        self._metrics.commit_commands.observe(len(works))
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

    def _decide(self, works: list[Work]) -> tuple[list[Touched], list[Touched]]:
        """Executions that the commands change, and those they leave as they are."""
        now_us = self._ownership.now_us()
        touched: dict[str, Touched] = {}
        starts: dict[tuple[str, str], Touched] = {}
        undone: dict[str, list[Work]] = {}
        for work in works:
            if undone and work.execution_id in undone:
                undone[work.execution_id].append(work)
                continue
            if work.partition not in self._ownership.epochs:
                work.answer(Moved(work.partition))
                continue
            if isinstance(work, StartWork) and work.plan.start_shared:
                placed = self._placed(work, starts, now_us)
                if placed is None:
                    continue
                work = placed
            one = self._touch(work, touched, starts, now_us)
            if one is None:
                continue
            try:
                work.verdict = self._verdict(one, work, now_us)
            except Exception:  # noqa: BLE001 (logged)
                self._log.exception("command_failed", execution_id=work.execution_id)
                del touched[one.entry.state.execution_id]
                if isinstance(work, StartWork):
                    starts.pop((work.namespace, work.request_id), None)
                undone[one.entry.state.execution_id] = self._undo(one, work)
                continue
            # Also one that is refused is told after the commit: what refuses it may be in there.
            one.works.append(work)
        for again in undone.values():
            self._inbox.put_back(again, first=True)
        if self._late:
            self._tell_late()
        changed: list[Touched] = []
        unchanged: list[Touched] = []
        for one in touched.values():
            (changed if one.transition.history.events else unchanged).append(one)
        return changed, unchanged

    def _placed(
        self, work: StartWork, starts: dict[tuple[str, str], Touched], now_us: int
    ) -> Work | None:
        """What a start with a policy comes to; one that is in the batch already is joined to it."""
        if work.request_id and (work.namespace, work.request_id) in starts:
            return work
        return self._starts.place(work, self._ids.make(now_us, work.partition), now_us)

    def _verdict(self, one: Touched, work: Work, now_us: int) -> Answer | Exception:
        """Decides a command; what its sender is to be told once that is committed."""
        state = one.entry.state
        followed = decided(state, work.command, now_us, one.transition)
        if isinstance(followed, Exception):
            return followed
        if followed:
            return _sequence_of(work, state)
        if isinstance(work.command, TaskEnded):
            ended = work.command
            worker = ended.worker_id or "unknown"
            self._late.append(f"{work.execution_id}/{ended.node}/{ended.attempt} by {worker}")
        return STALE

    def _tell_late(self) -> None:
        """Says whose results came too late: their attempt was another's by then, or over."""
        late, self._late = self._late, []
        self._metrics.stale_results.inc(len(late))
        self._log.warning("results_refused", count=len(late), first=late[:LATE_SHOWN])

    def _touch(
        self,
        work: Work,
        touched: dict[str, Touched],
        starts: dict[tuple[str, str], Touched],
        now_us: int,
    ) -> Touched | None:
        """The execution a command is about; None if it is set aside, joined or not there."""
        if isinstance(work, StartWork):
            key = (work.namespace, work.request_id)
            if work.request_id and key in starts:
                # Which of them it is answered by, the commit says.
                starts[key].works.append(work)
                return None
            execution_id = work.execution_id or self._ids.make(now_us, work.partition)
            one = Touched(Entry(State(execution_id, work.plan), None), work.partition, work)
            touched[execution_id] = one
            if work.request_id:
                starts[key] = one
            return one
        known = touched.get(work.execution_id)
        if known is not None:
            return known
        entry = self._states.get(work.execution_id)
        if entry is None:
            self._loads.set_aside(work)
            return None
        one = touched[work.execution_id] = Touched(entry, work.partition, None)
        return one

    def _undo(self, one: Touched, poison: Work) -> list[Work]:
        """After a command that the engine fails on: what is to be decided anew.

        A result is replaced by the failure of its attempt; whoever else sent it is told.
        """
        self._states.discard(one.entry.state.execution_id)
        return [*one.works, *in_place_of(poison)]

    def _fill(self, batch: CommitBatch, one: Touched, now_us: int) -> None:
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
            self._starts.fill(batch, one)
        if snapshot_due(state, one.entry.snapshot_sequence):
            body = snapshot(state)
            batch.snapshots.append((state.execution_id, state.sequence, body, partition))
            self._metrics.snapshot_bytes.observe(len(body))
            one.entry.snapshot_sequence = state.sequence
            one.entry.snapshot_bytes = len(body)

    # --- after the commit ---

    async def _committed(
        self, touched: list[Touched], committed: Committed, after: bytes | None
    ) -> None:
        done: list[Touched] = []
        existing: list[Touched] = []
        lost: set[int] = set()
        for one in touched:
            if one.partition not in committed.partitions:
                if one.kept:
                    lost.add(one.partition)
                self._states.discard(one.entry.state.execution_id)
                for work in one.works:
                    work.answer(Moved(work.partition))
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

    def _stays(self, one: Touched) -> None:
        self._answer(one)
        self._effects.unchanged(one.entry.state, one.transition, one.partition)

    def _answer(self, one: Touched) -> None:
        state = one.entry.state
        for work in one.works:
            if work is one.start:
                work.answer(Started(state.execution_id, created=True))
            elif one.start is not None and isinstance(work, StartWork):
                work.answer(repeated(work, state.execution_id, one.start.start_digest))
            else:
                work.answer(work.verdict)

    async def _answer_existing(self, touched: list[Touched]) -> None:
        """Starts whose request id was taken answer with the execution that has it."""
        starts = [one.start for one in touched if one.start is not None]
        try:
            rows = await self._store.rows(
                "started_under",
                namespaces=[start.namespace for start in starts],
                request_ids=[start.request_id for start in starts],
            )
        except CONNECTION_LOST:
            rows = []
        found = {(row["namespace"], row["request_id"]): row for row in rows}
        for one in touched:
            for work in one.works:
                if not isinstance(work, StartWork):
                    work.answer(STALE)
                    continue
                row = found.get((work.namespace, work.request_id))
                if row is None:
                    work.answer(storage_unavailable())
                else:
                    work.answer(repeated(work, row["id"], row["start_digest"]))

    def _throw_away(self, touched: Iterable[Touched]) -> None:
        """What was decided is not so: the rows say how these executions are."""
        executions = {one.entry.state.execution_id for one in touched}
        for execution_id in executions:
            self._states.discard(execution_id)
        self._effects.discarded(self._uncommitted.discard(executions))

    def _unfit(self, touched: list[Touched], unfit: Touched) -> None:
        """What came of one execution cannot be written: of its commands each is decided alone.

        The batch is thrown away; the others' commands are decided anew.
        """
        self._log.exception("command_unfit", execution_id=unfit.entry.state.execution_id)
        self._throw_away(touched)
        again: list[Work] = []
        for one in touched:
            for work in one.works:
                if one is unfit and work.solo:
                    again += in_place_of(work)
                else:
                    work.solo |= one is unfit
                    again.append(work)
        self._inbox.put_back(again, first=True)

    def _refused(self, touched: list[Touched], error: StatementRefused) -> None:
        """Throws the batch away and sends its commands one by one.

        Of a lone one the caller is told; what nobody would ask for again is tried again.
        """
        self._throw_away(touched)
        for one in touched:
            for work in one.works:
                if not work.solo:
                    work.solo = True
                    self._inbox.put_back((work,), first=False)
                    continue
                self._log.error("command_refused", error=str(error))
                if isinstance(work.command, BY_CALLERS):
                    work.answer(storage_unavailable())
                else:
                    again = partial(self._inbox.put_back, (work,), first=False)
                    asyncio.get_running_loop().call_later(REFUSED_RETRY_S, again)

    async def _full(self, touched: list[Touched]) -> None:
        """There is no room: callers are told so, results and timers wait until there is."""
        self._throw_away(touched)
        waiting: list[Work] = []
        for one in touched:
            for work in one.works:
                if isinstance(work.command, BY_CALLERS):
                    work.answer(storage_full())
                else:
                    waiting.append(work)
        self._inbox.put_back(waiting, first=True)
        await asyncio.sleep(FULL_RETRY_S)

    def _all_moved(self, touched: Iterable[Touched]) -> None:
        for one in touched:
            self._states.discard(one.entry.state.execution_id)
            for work in one.works:
                work.answer(Moved(work.partition))


def _sequence_of(work: Work, state: State) -> int:
    """What a command is answered with; a repeat gets the first answer."""
    request_id = getattr(work.command, "request_id", "")
    return state.requests.get(request_id, state.sequence) if request_id else state.sequence
