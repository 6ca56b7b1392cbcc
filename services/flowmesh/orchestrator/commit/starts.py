"""Start policies: concurrency groups, deduplication and debouncing, in step with commits.

All starts with one key reach one owner, whose committer decides them in order. A caller gets its
answer after the commit that makes it true. The next execution of a group begins because of commits
only, so a new owner continues from the rows.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from flowmesh.engine import Command, State
from flowmesh.errors import Conflict, FlowmeshError, Overloaded, Unavailable
from flowmesh.orchestrator.commit.batched_execution import BatchedExecution
from flowmesh.orchestrator.dispatch.dispatch_limiter import KEY_CHARACTERS_MAX
from flowmesh.orchestrator.model.arrival_order import ArrivalOrder
from flowmesh.orchestrator.model.commands import (
    Answer,
    PendingCommand,
    PendingDebounce,
    PendingStart,
    Started,
)
from flowmesh.orchestrator.model.concurrency_groups import (
    ConcurrencyGroup,
    ConcurrencyGroups,
    GroupEntry,
    JoinedStart,
    next_steps,
    phase_of,
)
from flowmesh.orchestrator.model.errors import Moved, RequestReused, partition_unavailable
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.storage.batch import CommitBatch
from flowmesh.orchestrator.storage.stores.start_store import StartStore
from flowmesh.plan import RenderError, StartPolicy
from flowmesh.views.masking import masked_value

ANSWERED_MAX = 20_000
"""Limit of recent requests in memory that an existing execution answered: a repeat may have read
the rows just before they were written."""


UNLOADED_MAX = 10_000
"""Limit of starts that wait until the groups of their partition are loaded."""


RETRIED = (Moved, Overloaded, Unavailable)
RESEND_S = 0.2
"""Delay before a begin or a cancellation of an execution is sent again."""


class UncreatedStart:
    """A start that creates no execution, and its answer after the commit of its batch."""

    __slots__ = ("answer", "entry", "start")

    def __init__(
        self, start: PendingStart, answer: Started | FlowmeshError, entry: GroupEntry | None
    ):
        self.start = start
        self.answer = answer
        self.entry = entry


class Starts:
    """Concurrency groups, and the starts of the batch that is being committed."""

    def __init__(
        self,
        *,
        store: StartStore,
        epochs: Mapping[int, int],
        now_us: Callable[[], int],
        submit: Callable[[PendingCommand], None],
        exclusively: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
    ) -> None:
        self.groups = ConcurrencyGroups()
        self._store = store
        self._epochs = epochs
        self._now_us = now_us
        self._submit = submit
        self._exclusively = exclusively
        self._loaded: set[int] = set()
        # Starts that came before the groups of their partition were loaded.
        self._unloaded: list[PendingStart] = []
        self._uncreated: list[UncreatedStart] = []
        self._placed: list[PendingStart] = []
        # Request ids of this batch that an existing execution answers, and their repeats.
        self._joining_requests: set[tuple[str, str]] = set()
        self._repeats: list[PendingStart] = []
        # Starts whose request ids are being looked up, by group.
        self._arrivals = ArrivalOrder()
        self._answered: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()

    # --- partitions ---

    async def load(self, partitions: Sequence[int]) -> None:
        """Load the groups of gained partitions while nothing is committed."""
        await self._exclusively(partial(self._load, partitions))

    async def _load(self, partitions: Sequence[int]) -> None:
        left = [each for each in partitions if each in self._epochs]
        changed: dict[int, ConcurrencyGroup] = {}
        while left:
            epochs = {each: self._epochs[each] for each in left}
            rows = await self._store.entries(left, now_us=self._now_us())
            # Another owner may have committed meanwhile: such partitions are read again.
            read = {each for each in left if self._epochs.get(each) == epochs[each]}
            self._forget(read)
            for row in rows:
                if partition_of(row.execution_id) in read:
                    group = self.groups.restore(row)
                    changed[id(group)] = group
            self._loaded.update(read)
            left = [each for each in left if each in self._epochs and each not in read]
        for group in changed.values():
            self._send_next_steps(group)
        unloaded, self._unloaded = self._unloaded, []
        for start in unloaded:
            self._submit(start)

    def _forget(self, partitions: Iterable[int]) -> None:
        self._loaded.difference_update(partitions)
        self.groups.drop_partitions(partitions)

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        self._forget(partitions)
        unloaded, self._unloaded = self._unloaded, []
        for start in unloaded:
            if start.partition in self._epochs:
                self._unloaded.append(start)
            else:
                start.answer(Moved(start.partition))

    async def known(self, start: PendingStart) -> Started | None:
        """Return the answer of an earlier start with the same request id; None if there is none.

        Starts of one group continue in the order in which they came, however long each look-up
        takes, so callers that submit at once keep that order.
        """
        name = (start.namespace, start.plan.workflow_id, start.start.key)
        return await self._arrivals.wait_in_order(name, self._find_started(start))

    async def _find_started(self, start: PendingStart) -> Started | None:
        start.epoch = self._epochs.get(start.partition, 0)
        if not start.request_id:
            return None
        rows = await self._store.started_under([start.namespace], [start.request_id])
        if not rows:
            return None
        if rows[0].start_digest != start.start_digest:
            raise RequestReused(start.request_id, rows[0].id, rows[0].start_digest)
        return Started(rows[0].id, created=False)

    # --- before the commit ---

    def place(self, start: PendingStart, execution_id: str, now_us: int) -> PendingCommand | None:
        """Return the command to decide for a start; None if it is answered or must wait."""
        policy = start.plan.start
        if policy is None:
            return start
        if start.partition not in self._loaded:
            if len(self._unloaded) < UNLOADED_MAX:
                self._unloaded.append(start)
            else:
                start.answer(partition_unavailable(start.partition))
            return None
        if start.epoch and start.epoch != self._epochs.get(start.partition):
            # Another owner may have answered it meanwhile: it must be looked up again.
            start.answer(Moved(start.partition))
            return None
        named = (start.namespace, start.request_id)
        before = self._answered.get(named)
        if before is not None and start.request_id:
            start.answer(repeated(start, *before))
            return None
        if named in self._joining_requests:
            # Another execution may hold the key by now: the repeat gets the answer of the first.
            self._repeats.append(start)
            return None
        return self._place(start, policy, execution_id, now_us)

    def _place(
        self, start: PendingStart, policy: StartPolicy, execution_id: str, now_us: int
    ) -> PendingCommand | None:
        command = start.start
        command.waits = False
        name = (start.namespace, start.plan.workflow_id, command.key)
        place = self.groups.place(name, execution_id, policy, command, now_us)
        if isinstance(place, GroupEntry):
            start.execution_id = execution_id
            self._placed.append(start)
            return start
        if not isinstance(place, JoinedStart):
            self._uncreated.append(UncreatedStart(start, place, None))
            return None
        joined = Started(place.entry.execution_id, created=False)
        if start.request_id:
            self._joining_requests.add((start.namespace, start.request_id))
        if place.debounces:
            return PendingDebounce(
                start, joined.execution_id, partial(self._debounced, start, joined)
            )
        self._uncreated.append(UncreatedStart(start, joined, place.entry))
        return None

    def _debounced(self, start: PendingStart, joined: Started, answer: Answer | Exception) -> None:
        """Answer a start whose input the waiting execution took; place others again."""
        if isinstance(answer, int):
            self._remember(start, joined.execution_id)
            start.answer(joined)
        elif isinstance(answer, Moved):
            start.answer(answer)
        else:
            self._submit(start)

    def add_changes(self, batch: CommitBatch, execution: BatchedExecution) -> None:
        """Add the changes of an execution's group entry to a batch."""
        state = execution.entry.state
        if not state.plan.start_shared:
            return
        entry, phase = self.groups.entries.get(state.execution_id), phase_of(state)
        is_start = execution.start is not None
        if entry is not None and entry.phase != phase:
            batch.add_place(execution.partition, entry, phase, self._now_us(), is_new=is_start)
        elif entry is None:
            # Its partition was just gained: its row holds the other fields.
            unknown = GroupEntry(state.execution_id, ("", "", ""), "")
            batch.add_place(execution.partition, unknown, phase, self._now_us())
        for pending in execution.commands:
            if isinstance(pending, PendingDebounce) and isinstance(pending.verdict, int):
                batch.add_join(pending.start, state.execution_id, is_new=is_start)

    def add_uncreated(self, batch: CommitBatch, epochs: dict[int, int]) -> None:
        """Add the starts that existing executions answer, so repeats get the same answer."""
        for uncreated in self._uncreated:
            if uncreated.start.partition not in self._epochs:
                continue
            epochs[uncreated.start.partition] = self._epochs[uncreated.start.partition]
            if isinstance(uncreated.answer, Started):
                batch.add_join(
                    uncreated.start,
                    uncreated.answer.execution_id,
                    is_new=uncreated.entry is not None and not uncreated.entry.phase,
                )

    @property
    def joined(self) -> bool:
        """True if answers of this batch must be stored though no execution changes."""
        return any(isinstance(uncreated.answer, Started) for uncreated in self._uncreated)

    # --- after the commit ---

    def committed(self, done: Iterable[BatchedExecution], partitions: Iterable[int]) -> None:
        """Apply a commit: answer starts that create no execution, and advance the groups."""
        held, created = frozenset(partitions), set()
        changed: dict[int, ConcurrencyGroup] = {}
        for execution in done:
            if not execution.entry.state.plan.start_shared:
                continue
            created.add(execution.entry.state.execution_id)
            if execution.start is not None:
                self._remember(execution.start, execution.start.execution_id)
            group = self.groups.observe(execution.entry.state)
            if group is not None and execution.kept:
                changed[id(group)] = group
        placed, self._placed = self._placed, []
        for start in placed:
            if start.execution_id not in created:
                left = self.groups.forget(start.execution_id)
                if left is not None:
                    changed[id(left)] = left
        for group in changed.values():
            self._send_next_steps(group)
        uncreated, self._uncreated = self._uncreated, []
        for each in uncreated:
            self._answer(each, held)
        for start in self._take_repeats():
            self._submit(start)

    def _take_repeats(self) -> list[PendingStart]:
        again, self._repeats = self._repeats, []
        self._joining_requests.clear()
        return again

    def _answer(self, uncreated: UncreatedStart, held: frozenset[int]) -> None:
        start, answer, entry = uncreated.start, uncreated.answer, uncreated.entry
        if start.partition not in held:
            start.answer(Moved(start.partition))
        elif entry is not None and not entry.phase:
            # The execution that was to answer it was not created.
            self._submit(start)
        elif isinstance(answer, Started):
            self._remember(start, answer.execution_id)
            start.answer(answer)
        else:
            start.answer(answer)

    def failed(self, answer: Exception | None = None) -> None:
        """Answer the starts of a batch that was not committed, or place them again."""
        for start in self._placed:
            self.groups.forget(start.execution_id)
        self._placed.clear()
        uncreated, self._uncreated = self._uncreated, []
        for start in [*(each.start for each in uncreated), *self._take_repeats()]:
            if answer is not None:
                start.answer(answer)
            else:
                self._submit(start)

    def _send_next_steps(self, group: ConcurrencyGroup) -> None:
        for entry, command in next_steps(group):
            self._send(entry, command)

    def _send(self, entry: GroupEntry, command: Command) -> None:
        partition = partition_of(entry.execution_id)
        if partition is None or partition not in self._epochs:
            return

        def retry(answer: Answer | Exception) -> None:
            if isinstance(answer, RETRIED) and partition in self._epochs:
                loop = asyncio.get_running_loop()
                loop.call_later(RESEND_S, self._send, entry, command)

        self._submit(PendingCommand(entry.execution_id, partition, command, retry))

    def _remember(self, start: PendingStart, execution_id: str) -> None:
        if start.request_id:
            self._answered[start.namespace, start.request_id] = execution_id, start.start_digest
            while len(self._answered) > ANSWERED_MAX:
                self._answered.popitem(last=False)

    # --- reads ---

    def holders(self, state: State) -> tuple[tuple[str, ...], int]:
        """Return the executions that hold a waiting execution's key, and its place in the queue."""
        entry = self.groups.entries.get(state.execution_id)
        if entry is None:
            return (), 0
        group = self.groups.by_key[entry.name]
        return tuple(sorted(group.running)), group.queue.index(entry) if entry in group.queue else 0


def start_key(policy: StartPolicy, data: bytes, sensitive: Sequence[str] = ()) -> str:
    """Return the key of a start with this input; empty if it cannot be rendered.

    A key that is made of a member at a sensitive pointer is a digest.
    """
    if policy.key is None:
        return ""
    given = msgspec.json.decode(data) if data else None
    try:
        key = str(policy.key.render({"input": given}))
        hidden = sensitive and key != str(
            policy.key.render({"input": masked_value(given, sensitive)})
        )
    except RenderError:
        return ""
    key = hashlib.sha256(key.encode()).hexdigest() if hidden else key
    return key.replace("\0", "")[:KEY_CHARACTERS_MAX]


def repeated(start: PendingStart, execution_id: str, digest: bytes) -> Started | Conflict:
    """Return the answer to a start whose request id an execution with this digest has."""
    if digest != start.start_digest:
        return RequestReused(start.request_id, execution_id, digest)
    return Started(execution_id, created=False)
