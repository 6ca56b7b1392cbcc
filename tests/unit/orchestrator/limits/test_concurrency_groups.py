"""A line of starts with one key: who begins, who waits, and what answers a start instead."""

from typing import Any

import pytest

from flowmesh.api.common.v1 import link_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import Begin, Cancel, Start, State, Transition, decide
from flowmesh.errors import Overloaded, WrongState
from flowmesh.orchestrator.model import concurrency_groups as module
from flowmesh.orchestrator.model.concurrency_groups import (
    ConcurrencyGroup,
    ConcurrencyGroups,
    GroupEntry,
    JoinedStart,
    Place,
    StoredEntry,
    next_steps,
)
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.plan import Plan
from tests.unit.engine.factories import node, plan

JOIN, REJECT, REPLACE = (
    plan_pb2.START_CONFLICT_JOIN,
    plan_pb2.START_CONFLICT_REJECT,
    plan_pb2.START_CONFLICT_REPLACE,
)
NAME = ("default", "w", "k")


class Keyed:
    """One key: starts are decided, committed or not, and what follows is done."""

    def __init__(self, **policy: Any) -> None:
        self.plan: Plan = plan(node("a"), start=plan_pb2.StartPolicy(**policy))
        self.groups = ConcurrencyGroups()
        self.states: dict[str, State] = {}
        self.now, self._ids = 1_000_000, ExecutionIds(1)

    def place(self, **fields: Any) -> Place:
        self.now += 1_000
        execution_id = self._ids.make(self.now, 1)
        self.start = Start(payload_pb2.Payload(data=b"{}"), key="k", **fields)
        assert self.plan.start is not None
        return self.groups.place(NAME, execution_id, self.plan.start, self.start, self.now)

    def started(self, **fields: Any) -> str:
        """A start that is created and committed."""
        place = self.place(**fields)
        assert isinstance(place, GroupEntry)
        self.states[place.execution_id] = State(place.execution_id, self.plan)
        self.do(place.execution_id, self.start)
        return place.execution_id

    def do(self, execution_id: str, command: Any) -> None:
        state = self.states[execution_id]
        decide(state, command, self.now, Transition(state))
        self.groups.observe(state)

    @property
    def group(self) -> ConcurrencyGroup:
        return self.groups.by_key[NAME]

    def steps(self) -> list[tuple[str, type]]:
        """Apply the next steps; return them by execution."""
        told = []
        for entry, command in next_steps(self.group):
            told.append((entry.execution_id, type(command)))
            self.do(entry.execution_id, command)
        return told

    def running(self) -> list[str]:
        return [i for i, state in self.states.items() if state.hold is None and not state.ended]


def test_so_many_begin_and_the_others_have_their_turn_in_order() -> None:
    """One at a time for each that ends."""
    keyed = Keyed(concurrency=2)
    ids = [keyed.started() for _ in range(5)]
    assert keyed.running() == ids[:2]
    assert keyed.steps() == []
    keyed.do(ids[1], Cancel())
    assert keyed.steps() == [(ids[2], Begin)]
    keyed.do(ids[3], Cancel())
    keyed.do(ids[0], Cancel())
    assert keyed.steps() == [(ids[4], Begin)]


def test_no_execution_is_asked_twice_to_begin() -> None:
    """An execution that received its begin has its place before the commit."""
    keyed = Keyed(concurrency=1)
    ids = [keyed.started() for _ in range(3)]
    keyed.do(ids[0], Cancel())
    first = [entry.execution_id for entry, _ in next_steps(keyed.group)]
    assert (first, next_steps(keyed.group)) == ([ids[1]], [])


def test_one_that_was_not_created_leaves_no_trace() -> None:
    """Those behind it have their turn."""
    keyed = Keyed(concurrency=1)
    phantom = keyed.place()
    assert isinstance(phantom, GroupEntry)
    behind = keyed.started()
    assert keyed.running() == []
    keyed.groups.forget(phantom.execution_id)
    assert keyed.steps() == [(behind, Begin)]
    keyed.do(behind, Cancel())
    assert not keyed.groups.by_key
    assert not keyed.groups.entries


def test_a_start_is_refused_or_joins_where_there_is_no_room() -> None:
    """The refusal names those that are there; a child joins as well, a repeat never does."""
    keyed = Keyed(concurrency=1, on_conflict=REJECT)
    first = keyed.started()
    refused = keyed.place()
    assert isinstance(refused, WrongState)
    assert first in refused.message

    single = Keyed(concurrency=1, on_conflict=JOIN)
    first = single.started()
    joins = single.place()
    assert isinstance(joins, JoinedStart)
    assert joins.entry.execution_id == first
    child = single.place(link=link_pb2.Link(parent_id="p"))
    again = single.place(origin=execution_pb2.Origin(execution_id=first))
    assert isinstance(child, JoinedStart)
    assert isinstance(again, WrongState)


def test_the_newest_stay_where_they_replace() -> None:
    """As many as may run; all older ones make room, those too that have not begun."""
    keyed = Keyed(concurrency=2, on_conflict=REPLACE)
    ids = [keyed.started() for _ in range(5)]
    assert keyed.steps() == [(ids[0], Cancel), (ids[1], Cancel), (ids[2], Cancel)]
    assert keyed.steps() == [(ids[3], Begin), (ids[4], Begin)]
    assert keyed.running() == ids[3:]
    assert not any(keyed.states[each].begun_at_us for each in ids[:3])


def test_the_next_run_of_a_chain_is_as_old_as_the_first() -> None:
    """It goes before those that came while the first one ran."""
    queue = Keyed(concurrency=1)
    first = queue.started()
    waiting = queue.started()
    queue.do(first, Cancel())
    assert queue.steps() == [(waiting, Begin)]
    last = queue.started()
    link = link_pb2.Link(continued_from=first, first_run=first)
    goes_on = queue.started(link=link)
    assert queue.running() == [waiting]
    queue.do(waiting, Cancel())
    assert queue.steps() == [(goes_on, Begin)]
    queue.do(goes_on, Cancel())
    assert queue.steps() == [(last, Begin)]


def test_a_debounced_start_goes_to_the_one_that_waits() -> None:
    """Not to a child's, and not once that has begun."""
    keyed = Keyed(debounce_ms=10)
    first = keyed.started()
    joins = keyed.place()
    assert isinstance(joins, JoinedStart)
    assert joins.debounces
    assert joins.entry.execution_id == first
    child = keyed.place(link=link_pb2.Link(parent_id="p"))
    assert isinstance(child, GroupEntry)
    keyed.do(first, Cancel())
    assert isinstance(keyed.place(), GroupEntry)


def test_the_last_start_answers_within_its_window() -> None:
    """This holds after its end too; after the window no entry is kept."""
    keyed = Keyed(dedup_window_ms=10)
    first = keyed.started()
    assert isinstance(keyed.place(), JoinedStart)
    keyed.do(first, Cancel())
    joins = keyed.place()
    assert isinstance(joins, JoinedStart)
    assert joins.entry.execution_id == first
    keyed.now += 10_000
    again = keyed.started()
    assert list(keyed.groups.entries) == [again]


@pytest.mark.parametrize(("name", "value"), [("WAITING_MAX", 2), ("MEMBERS_MAX", 3)])
def test_a_line_is_bounded(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    """So are all groups of a process; later starts get OVERLOADED."""
    monkeypatch.setattr(module, name, value)
    keyed = Keyed(concurrency=1)
    for _ in range(3):
        keyed.started()
    assert isinstance(keyed.place(), Overloaded)


def test_a_line_is_the_same_from_its_rows() -> None:
    """As a new owner reads them, in any order."""
    keyed = Keyed(concurrency=2)
    ids = [keyed.started() for _ in range(4)]
    rows = [
        StoredEntry(
            execution_id=entry.execution_id,
            namespace=NAME[0],
            workflow_id=NAME[1],
            key=NAME[2],
            phase=entry.phase,
            place=entry.place,
            concurrency=entry.concurrency,
            replaces=entry.replaces,
            debounces=entry.debounces,
            answers_until=entry.answers_until,
        )
        for entry in keyed.groups.entries.values()
    ]
    read = ConcurrencyGroups()
    for row in reversed(rows):
        group = read.restore(row)
    assert sorted(group.running) == ids[:2]
    assert [entry.execution_id for entry in group.queue] == ids[2:]
    assert next_steps(group) == []


def test_the_previous_execution_answers_when_the_next_is_not_created() -> None:
    """Ended before, or in the very commit in which the next one is refused; until its time is
    over, which passes without a word.
    """
    again = execution_pb2.Origin(execution_id="exec-0")
    for ends_first in (True, False):
        keyed = Keyed(dedup_window_ms=1_000)
        first = keyed.started()
        if ends_first:
            keyed.do(first, Cancel())
        placed = [keyed.place(origin=again) for _ in range(2)]
        if not ends_first:
            keyed.do(first, Cancel())
        for one in placed:
            assert isinstance(one, GroupEntry)
            keyed.groups.forget(one.execution_id)
        answered = keyed.place()
        assert isinstance(answered, JoinedStart)
        assert answered.entry.execution_id == first
        keyed.now += 1_000_000
        assert isinstance(keyed.place(), GroupEntry)
        assert first not in keyed.groups.entries


def test_the_last_ended_execution_outlives_its_queue() -> None:
    """The next one of another version may answer for a shorter time; nothing is left of either."""
    keyed = Keyed(dedup_window_ms=1_000)
    keyed.do(keyed.started(), Cancel())
    keyed.plan = plan(node("a"), start=plan_pb2.StartPolicy(dedup_window_ms=100))
    keyed.do(keyed.started(origin=execution_pb2.Origin(execution_id="exec-0")), Cancel())
    for _ in range(2):
        keyed.now += 600_000
        place = keyed.place()
        assert isinstance(place, GroupEntry)
        keyed.groups.forget(place.execution_id)
    assert (keyed.groups.entries, keyed.groups.by_key) == ({}, {})
