"""Who has begun, and who waits, of the executions that one key puts in a line. No I/O.

A start is placed before it is committed, and forgotten if it is not; everything else about a line
follows from what was committed.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import Begin, Cancel, Command, Start, State, goes_on, is_own, waits_first
from flowmesh.errors import FlowmeshError, Overloaded, WrongState
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.plan import StartPolicy

WAITING_MAX = 10_000
"""Executions of one key that may wait to begin."""

MEMBERS_MAX = 500_000
"""Executions of all keys that one process keeps in mind."""

NAMED_MAX = 10
"""Executions that a refusal names."""

RETRY_AFTER_MS = 1_000
BEGUN = 4
ENDED = 5
"""Phases as they are stored; those before are the reasons of a hold."""

TURN = execution_pb2.HOLD_REASON_TURN
_place = attrgetter("place")

LineName = tuple[str, str, str]
"""Namespace, workflow and key."""


def phase_of(state: State) -> int:
    """What a row says of an execution."""
    if state.ended:
        return ENDED
    return state.hold.reason if state.hold is not None else BEGUN


class Member:
    """One execution of a line. `place` orders them: the id of the first run of its chain.

    `phase` is as committed, 0 before; `stopped` says that it was asked to make room. `former` is
    who answered further starts before it, until it is committed.
    """

    __slots__ = (
        "answers_until",
        "concurrency",
        "debounces",
        "execution_id",
        "former",
        "name",
        "phase",
        "place",
        "replaces",
        "stopped",
    )

    def __init__(self, execution_id: str, name: LineName, place: str) -> None:
        self.execution_id = execution_id
        self.name = name
        self.place = place
        self.concurrency = 0
        self.replaces = self.debounces = False
        self.answers_until = 0
        self.phase = 0
        self.stopped = False
        self.former: Member | None = None


class Line:
    """Executions with one key: those that have begun, those whose turn is to come, in order, and
    those for which a time passes first. `last` answers starts within its window.
    """

    __slots__ = ("begun", "last", "timed", "turn")

    def __init__(self) -> None:
        self.begun: dict[str, Member] = {}
        self.turn: list[Member] = []
        self.timed: dict[str, Member] = {}
        self.last: Member | None = None

    @property
    def waiting(self) -> int:
        return len(self.turn) + len(self.timed)

    @property
    def taken(self) -> int:
        return len(self.begun) + self.waiting

    def members(self) -> Iterator[Member]:
        yield from self.begun.values()
        yield from self.turn
        yield from self.timed.values()

    def take_out(self, member: Member) -> None:
        self.begun.pop(member.execution_id, None)
        self.timed.pop(member.execution_id, None)
        at = bisect_left(self.turn, member.place, key=_place)
        while at < len(self.turn) and self.turn[at].place == member.place:
            if self.turn[at] is member:
                del self.turn[at]
                return
            at += 1


class Joins:
    """A start that an execution answers which was there before; `debounces`: it has its input."""

    __slots__ = ("debounces", "member")

    def __init__(self, member: Member, *, debounces: bool = False) -> None:
        self.member = member
        self.debounces = debounces


Place = Member | Joins | FlowmeshError


class Lines:
    """The lines of the partitions that are owned here."""

    def __init__(self) -> None:
        self.by_name: dict[LineName, Line] = {}
        self.members: dict[str, Member] = {}
        # Those that have ended and answer further starts, the first to be forgotten first.
        self._answering: list[tuple[int, str]] = []

    def place(
        self, name: LineName, execution_id: str, policy: StartPolicy, start: Start, now_us: int
    ) -> Place:
        """Where a start belongs; one that is to be created is in its line from now on."""
        self._expire(now_us)
        line = self.by_name.get(name)
        if line is None:
            line = Line()
        if not goes_on(start):
            instead = self._instead(line, policy, start, now_us)
            if instead is not None:
                return instead
            if line.waiting >= WAITING_MAX or len(self.members) >= MEMBERS_MAX:
                return _full(name[2])
        first_run = start.link.first_run if start.link is not None else ""
        member = Member(execution_id, name, first_run or execution_id)
        member.concurrency, member.debounces = policy.concurrency, not is_own(start)
        member.debounces &= bool(policy.debounce_us)
        member.replaces = policy.on_conflict == plan_pb2.START_CONFLICT_REPLACE
        if policy.dedup_window_us:
            member.answers_until = now_us + policy.dedup_window_us
        self.by_name[name] = line
        self.members[execution_id] = member
        if waits_first(policy, start):
            line.timed[execution_id] = member
        elif policy.concurrency and (
            len(line.begun) >= policy.concurrency
            or (line.turn and line.turn[0].place < member.place)
        ):
            start.waits = True
            insort(line.turn, member, key=_place)
        else:
            line.begun[execution_id] = member
        if member.answers_until:
            member.former, line.last = line.last, member
        return member

    def _instead(
        self, line: Line, policy: StartPolicy, start: Start, now_us: int
    ) -> Joins | FlowmeshError | None:
        """What answers a start that creates no execution."""
        repeats_another, last = start.origin is not None, line.last
        if policy.debounce_us and not is_own(start):
            waits = (each for each in (*line.timed.values(), *line.turn) if each.debounces)
            waiting = next((each for each in waits if not each.stopped), None)
            if waiting is not None:
                return Joins(waiting, debounces=True)
        repeated = policy.dedup_window_us and not repeats_another
        if repeated and last is not None and last.answers_until > now_us:
            return Joins(last)
        if not policy.concurrency or line.taken < policy.concurrency:
            return None
        if policy.on_conflict == plan_pb2.START_CONFLICT_JOIN and not repeats_another:
            return Joins(max(line.members(), key=_place))
        if policy.on_conflict in (
            plan_pb2.START_CONFLICT_JOIN,
            plan_pb2.START_CONFLICT_REJECT,
        ):
            return _rejected(sorted(line.members(), key=_place))
        return None

    # --- what was committed ---

    def restore(self, row: Mapping[str, Any]) -> Line:
        """Puts an execution where its row says it is."""
        name = (row["namespace"], row["workflow_id"], row["key"])
        member = Member(row["execution_id"], name, row["place"])
        member.concurrency, member.phase = row["concurrency"], row["phase"]
        member.replaces, member.debounces = row["replaces"], row["debounces"]
        member.answers_until = row["answers_until"]
        line = self.by_name.setdefault(name, Line())
        self.members[member.execution_id] = member
        if member.phase == TURN:
            insort(line.turn, member, key=_place)
        elif member.phase < TURN:
            line.timed[member.execution_id] = member
        elif member.phase == BEGUN:
            line.begun[member.execution_id] = member
        last = line.last
        if member.answers_until and (last is None or last.execution_id < member.execution_id):
            line.last = member
        if member.phase == ENDED:
            heappush(self._answering, (member.answers_until, member.execution_id))
        return line

    def observe(self, state: State) -> Line | None:
        """What was committed of an execution; its line if that has changed."""
        member = self.members.get(state.execution_id)
        phase = phase_of(state)
        if member is None or phase == member.phase:
            return None
        line = self.by_name[member.name]
        before, member.phase = member.phase, phase
        if phase == ENDED:
            line.take_out(member)
            if self._last_of(line, committed=True) is member:
                heappush(self._answering, (member.answers_until, member.execution_id))
            else:
                del self.members[member.execution_id]
                self._drop_if_empty(line, member.name)
        elif phase == TURN and before < TURN and member.execution_id in line.timed:
            del line.timed[member.execution_id]
            insort(line.turn, member, key=_place)
        elif phase == BEGUN and member.execution_id not in line.begun:
            line.take_out(member)
            line.begun[member.execution_id] = member
        member.former = None
        return line

    def _last_of(self, line: Line, *, committed: bool = False) -> Member | None:
        """Who answers further starts, of those that are there, or that are committed."""
        last = line.last
        while last is not None and (
            last.execution_id not in self.members or (committed and not last.phase)
        ):
            last = last.former
        return last

    def forget(self, execution_id: str) -> Line | None:
        """One that was placed was not created after all; who answered before it does so again."""
        member = self.members.pop(execution_id, None)
        line = self.by_name.get(member.name) if member is not None else None
        if member is None or line is None:
            return None
        line.take_out(member)
        line.last = self._last_of(line)
        self._drop_if_empty(line, member.name)
        return line

    def _expire(self, now_us: int) -> None:
        """Lets go of those that have ended and answer no further start."""
        while self._answering and self._answering[0][0] <= now_us:
            _, execution_id = heappop(self._answering)
            self.forget(execution_id)

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        for member in [m for m in self.members.values() if partition_of(m.execution_id) in gone]:
            del self.members[member.execution_id]
            self.by_name.pop(member.name, None)

    def _drop_if_empty(self, line: Line, name: LineName) -> None:
        if not line.taken and line.last is None:
            self.by_name.pop(name, None)


def next_steps(line: Line) -> list[tuple[Member, Command]]:
    """What is to be done so that the line moves on: who begins, and who makes room."""
    steps: list[tuple[Member, Command]] = []
    if line.turn and line.turn[-1].replaces:
        newest = line.turn[-1]
        alive = sorted((*line.begun.values(), *line.turn), key=_place)
        for old in alive[: max(len(alive) - newest.concurrency, 0)]:
            if not old.stopped:
                old.stopped = True
                steps.append((old, _replaced_by(newest)))
    while (first := _first_of(line)) is not None and len(line.begun) < first.concurrency:
        line.take_out(first)
        line.begun[first.execution_id] = first
        steps.append((first, Begin()))
    return steps


def _first_of(line: Line) -> Member | None:
    return next((each for each in line.turn if not each.stopped), None)


def _replaced_by(newest: Member) -> Cancel:
    text = f"replaced by {newest.execution_id}, which was started with the same key"
    return Cancel(text, f"{newest.execution_id}/replaces", newest.execution_id)


def _rejected(members: list[Member]) -> WrongState:
    ids = ", ".join(each.execution_id for each in members[:NAMED_MAX])
    more = f" and {len(members) - NAMED_MAX} more" if len(members) > NAMED_MAX else ""
    key = members[0].name[2]
    where = f" with the key {key!r}" if key else ""
    return WrongState("START_REJECTED", f"no further execution may begin{where} beside {ids}{more}")


def _full(key: str) -> Overloaded:
    where = f" with the key {key!r}" if key else ""
    text = f"as many executions{where} wait to begin as may ({WAITING_MAX:,})"
    return Overloaded("START_QUEUE_FULL", text, retry_after_ms=RETRY_AFTER_MS)
