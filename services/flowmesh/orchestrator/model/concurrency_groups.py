"""Order of executions that share a concurrency key. No I/O.

A start enters its group before its commit, and leaves it if it is not committed. All other changes
of a group follow from commits.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from operator import attrgetter
from typing import NamedTuple

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import (
    Begin,
    Cancel,
    Command,
    Start,
    State,
    first_hold,
    is_next_run,
    skips_debounce,
)
from flowmesh.errors import FlowmeshError, Overloaded, WrongState
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.plan import StartPolicy

WAITING_MAX = 10_000
"""Limit of waiting executions per key."""

MEMBERS_MAX = 500_000
"""Limit of executions in the groups of one process."""

NAMED_MAX = 10
"""Limit of executions that an error message names."""

RETRY_AFTER_MS = 1_000
RUNNING = 4
ENDED = 5
"""Stored phases; smaller numbers are the reasons of a hold."""

QUEUED = execution_pb2.HOLD_REASON_TURN
_place = attrgetter("place")

GroupKey = tuple[str, str, str]
"""Namespace, workflow and key."""


class StoredEntry(NamedTuple):
    """The stored entry of an execution in a concurrency group."""

    execution_id: str
    namespace: str
    workflow_id: str
    key: str
    phase: int
    place: str
    concurrency: int
    replaces: bool
    debounces: bool
    answers_until: int


def phase_of(state: State) -> int:
    """Return the phase of an execution as stored."""
    if state.ended:
        return ENDED
    return state.hold.reason if state.hold is not None else RUNNING


class GroupEntry:
    """One execution of a group, ordered by `place`: the id of the first run of its chain.

    `phase` is the committed phase, 0 before the first commit. `asked_to_stop` is set once it was
    canceled in favor of a newer execution. `previous` is the entry that answered repeated starts
    before this one; None after the commit.
    """

    __slots__ = (
        "answers_until",
        "asked_to_stop",
        "concurrency",
        "debounces",
        "execution_id",
        "name",
        "phase",
        "place",
        "previous",
        "replaces",
    )

    def __init__(self, execution_id: str, name: GroupKey, place: str) -> None:
        self.execution_id = execution_id
        self.name = name
        self.place = place
        self.concurrency = 0
        self.replaces = self.debounces = False
        self.answers_until = 0
        self.phase = 0
        self.asked_to_stop = False
        self.previous: GroupEntry | None = None


class ConcurrencyGroup:
    """Executions with one key: running ones, queued ones in order, and delayed ones.

    `last` is the entry that answers repeated starts within its deduplication window.
    """

    __slots__ = ("delayed", "last", "queue", "running")

    def __init__(self) -> None:
        self.running: dict[str, GroupEntry] = {}
        self.queue: list[GroupEntry] = []
        self.delayed: dict[str, GroupEntry] = {}
        self.last: GroupEntry | None = None

    @property
    def waiting(self) -> int:
        return len(self.queue) + len(self.delayed)

    @property
    def size(self) -> int:
        return len(self.running) + self.waiting

    def entries(self) -> Iterator[GroupEntry]:
        yield from self.running.values()
        yield from self.queue
        yield from self.delayed.values()

    def remove(self, entry: GroupEntry) -> None:
        self.running.pop(entry.execution_id, None)
        self.delayed.pop(entry.execution_id, None)
        at = bisect_left(self.queue, entry.place, key=_place)
        while at < len(self.queue) and self.queue[at].place == entry.place:
            if self.queue[at] is entry:
                del self.queue[at]
                return
            at += 1


class JoinedStart:
    """A start that an existing execution answers; if `debounces`, the execution takes its input."""

    __slots__ = ("debounces", "entry")

    def __init__(self, entry: GroupEntry, *, debounces: bool = False) -> None:
        self.entry = entry
        self.debounces = debounces


Place = GroupEntry | JoinedStart | FlowmeshError


class ConcurrencyGroups:
    """The groups of the partitions that this process owns."""

    def __init__(self) -> None:
        self.by_key: dict[GroupKey, ConcurrencyGroup] = {}
        self.entries: dict[str, GroupEntry] = {}
        # Ended executions that still answer repeated starts, by the end of their windows.
        self._answering: list[tuple[int, str]] = []

    def place(
        self, name: GroupKey, execution_id: str, policy: StartPolicy, start: Start, now_us: int
    ) -> Place:
        """Place a start. An execution that is to be created is in its group from now on."""
        self._expire(now_us)
        group = self.by_key.get(name)
        if group is None:
            group = ConcurrencyGroup()
        if not is_next_run(start):
            instead = self._instead(group, policy, start, now_us)
            if instead is not None:
                return instead
            if group.waiting >= WAITING_MAX or len(self.entries) >= MEMBERS_MAX:
                return _full(name[2])
        first_run = start.link.first_run if start.link is not None else ""
        entry = GroupEntry(execution_id, name, first_run or execution_id)
        entry.concurrency, entry.debounces = policy.concurrency, not skips_debounce(start)
        entry.debounces &= bool(policy.debounce_us)
        entry.replaces = policy.on_conflict == plan_pb2.START_CONFLICT_REPLACE
        if policy.dedup_window_us:
            entry.answers_until = now_us + policy.dedup_window_us
        self.by_key[name] = group
        self.entries[execution_id] = entry
        if first_hold(policy, start):
            group.delayed[execution_id] = entry
        elif policy.concurrency and (
            len(group.running) >= policy.concurrency
            or (group.queue and group.queue[0].place < entry.place)
        ):
            start.waits = True
            insort(group.queue, entry, key=_place)
        else:
            group.running[execution_id] = entry
        if entry.answers_until:
            entry.previous, group.last = group.last, entry
        return entry

    def _instead(
        self, group: ConcurrencyGroup, policy: StartPolicy, start: Start, now_us: int
    ) -> JoinedStart | FlowmeshError | None:
        """Return the answer to a start that creates no execution; None if it creates one."""
        repeats_another, last = start.origin is not None, group.last
        if policy.debounce_us and not skips_debounce(start):
            waits = (each for each in (*group.delayed.values(), *group.queue) if each.debounces)
            waiting = next((each for each in waits if not each.asked_to_stop), None)
            if waiting is not None:
                return JoinedStart(waiting, debounces=True)
        repeated = policy.dedup_window_us and not repeats_another
        if repeated and last is not None and last.answers_until > now_us:
            return JoinedStart(last)
        if not policy.concurrency or group.size < policy.concurrency:
            return None
        if policy.on_conflict == plan_pb2.START_CONFLICT_JOIN and not repeats_another:
            return JoinedStart(max(group.entries(), key=_place))
        if policy.on_conflict in (
            plan_pb2.START_CONFLICT_JOIN,
            plan_pb2.START_CONFLICT_REJECT,
        ):
            return _rejected(sorted(group.entries(), key=_place))
        return None

    # --- commits ---

    def restore(self, row: StoredEntry) -> ConcurrencyGroup:
        """Enter an execution in its stored phase; return its group."""
        name = (row.namespace, row.workflow_id, row.key)
        entry = GroupEntry(row.execution_id, name, row.place)
        entry.concurrency, entry.phase = row.concurrency, row.phase
        entry.replaces, entry.debounces = row.replaces, row.debounces
        entry.answers_until = row.answers_until
        group = self.by_key.setdefault(name, ConcurrencyGroup())
        self.entries[entry.execution_id] = entry
        if entry.phase == QUEUED:
            insort(group.queue, entry, key=_place)
        elif entry.phase < QUEUED:
            group.delayed[entry.execution_id] = entry
        elif entry.phase == RUNNING:
            group.running[entry.execution_id] = entry
        last = group.last
        if entry.answers_until and (last is None or last.execution_id < entry.execution_id):
            group.last = entry
        if entry.phase == ENDED:
            heappush(self._answering, (entry.answers_until, entry.execution_id))
        return group

    def observe(self, state: State) -> ConcurrencyGroup | None:
        """Apply the committed state of an execution; return its group if its phase changed."""
        entry = self.entries.get(state.execution_id)
        phase = phase_of(state)
        if entry is None or phase == entry.phase:
            return None
        group = self.by_key[entry.name]
        before, entry.phase = entry.phase, phase
        if phase == ENDED:
            group.remove(entry)
            if self._current_last(group, committed=True) is entry:
                heappush(self._answering, (entry.answers_until, entry.execution_id))
            else:
                del self.entries[entry.execution_id]
                self._drop_if_empty(group, entry.name)
        elif phase == QUEUED and before < QUEUED and entry.execution_id in group.delayed:
            del group.delayed[entry.execution_id]
            insort(group.queue, entry, key=_place)
        elif phase == RUNNING and entry.execution_id not in group.running:
            group.remove(entry)
            group.running[entry.execution_id] = entry
        entry.previous = None
        return group

    def _current_last(
        self, group: ConcurrencyGroup, *, committed: bool = False
    ) -> GroupEntry | None:
        """Return the entry that answers repeated starts: the newest existing or committed one."""
        last = group.last
        while last is not None and (
            last.execution_id not in self.entries or (committed and not last.phase)
        ):
            last = last.previous
        return last

    def forget(self, execution_id: str) -> ConcurrencyGroup | None:
        """Remove an execution that was not created; the previous entry answers starts again."""
        entry = self.entries.pop(execution_id, None)
        group = self.by_key.get(entry.name) if entry is not None else None
        if entry is None or group is None:
            return None
        group.remove(entry)
        group.last = self._current_last(group)
        self._drop_if_empty(group, entry.name)
        return group

    def _expire(self, now_us: int) -> None:
        """Remove ended executions whose deduplication window is over."""
        while self._answering and self._answering[0][0] <= now_us:
            _, execution_id = heappop(self._answering)
            self.forget(execution_id)

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        for entry in [m for m in self.entries.values() if partition_of(m.execution_id) in gone]:
            del self.entries[entry.execution_id]
            self.by_key.pop(entry.name, None)

    def _drop_if_empty(self, group: ConcurrencyGroup, name: GroupKey) -> None:
        if not group.size and group.last is None:
            self.by_key.pop(name, None)


def next_steps(group: ConcurrencyGroup) -> list[tuple[GroupEntry, Command]]:
    """Return the commands that advance a group: cancellations of replaced executions, begins."""
    steps: list[tuple[GroupEntry, Command]] = []
    if group.queue and group.queue[-1].replaces:
        newest = group.queue[-1]
        alive = sorted((*group.running.values(), *group.queue), key=_place)
        for old in alive[: max(len(alive) - newest.concurrency, 0)]:
            if not old.asked_to_stop:
                old.asked_to_stop = True
                steps.append((old, _replaced_by(newest)))
    while (first := _first_of(group)) is not None and len(group.running) < first.concurrency:
        group.remove(first)
        group.running[first.execution_id] = first
        steps.append((first, Begin()))
    return steps


def _first_of(group: ConcurrencyGroup) -> GroupEntry | None:
    return next((each for each in group.queue if not each.asked_to_stop), None)


def _replaced_by(newest: GroupEntry) -> Cancel:
    text = f"replaced by {newest.execution_id}, which was started with the same key"
    return Cancel(text, f"{newest.execution_id}/replaces", newest.execution_id)


def _rejected(entries: list[GroupEntry]) -> WrongState:
    ids = ", ".join(each.execution_id for each in entries[:NAMED_MAX])
    more = f" and {len(entries) - NAMED_MAX} more" if len(entries) > NAMED_MAX else ""
    key = entries[0].name[2]
    where = f" with the key {key!r}" if key else ""
    return WrongState("START_REJECTED", f"no further execution may start{where} beside {ids}{more}")


def _full(key: str) -> Overloaded:
    where = f" with the key {key!r}" if key else ""
    text = f"{WAITING_MAX:,} executions{where} wait to start, the limit"
    return Overloaded("START_QUEUE_FULL", text, retry_after_ms=RETRY_AFTER_MS)
