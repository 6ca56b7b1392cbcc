"""An execution that waits to begin has begun nothing, and can be steered like any other."""

from typing import Any

import pytest

from flowmesh.api.common.v1 import link_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import (
    Begin,
    Cancel,
    Debounce,
    Pause,
    Resume,
    Signal,
    Start,
    State,
    TimersDue,
    Transition,
    Unfit,
    decide,
)
from flowmesh.engine.decisions.starting import DEBOUNCE, DELAY, TURN
from flowmesh.engine.state import state as s
from flowmesh.orchestrator.storage.snapshots import restore, snapshot
from flowmesh.plan import Plan
from tests.unit.engine.factories import NOW, Run, json, node, plan

MS = 1_000


def one(timeout_ms: int = 0, **policy: Any) -> Plan:
    """A task, and when it begins."""
    return plan(node("a"), start=plan_pb2.StartPolicy(**policy), timeout_ms=timeout_ms)


def waits(of: Plan, **fields: object) -> Run:
    """An execution for which there is no room when it is started."""
    run = Run.__new__(Run)
    run.state, run.events, run.now = State("exec-1", of), [], NOW
    run.do(Start(json(b"{}"), key="k", waits=True, **fields))  # type: ignore[arg-type]
    return run


def hold(run: Run) -> tuple[int, int]:
    assert run.state.hold is not None
    return run.state.hold.reason, run.state.hold.until_us


def test_one_with_a_delay_begins_when_it_is_over() -> None:
    """Until then it is pending; nothing of it is at a worker."""
    run = Run(one(delay_ms=10))
    assert (run.dispatched, run.state.status) == ([], s.EXECUTION_PENDING)
    assert hold(run) == (DELAY, NOW + 10 * MS)
    assert run.state.wake_at_us == NOW + 10 * MS
    run.do(TimersDue(), after_us=9 * MS)
    assert run.dispatched == []
    run.do(TimersDue(), after_us=1 * MS)
    assert (run.dispatched, run.state.status) == (["a"], s.EXECUTION_RUNNING)
    run.complete("a")
    assert run.state.status == s.EXECUTION_COMPLETED


def test_after_its_delay_it_waits_for_its_turn() -> None:
    """The turn comes from outside: the engine does not know the queue."""
    run = Run(one(delay_ms=10, concurrency=1))
    run.do(TimersDue(), after_us=10 * MS)
    assert hold(run) == (TURN, 0)
    assert run.state.wake_at_us == s.FAR_US
    assert run.do(Begin())
    assert run.dispatched == ["a"]
    assert not run.do(Begin())


def test_no_start_begins_before_its_time() -> None:
    """A word that comes early is stale."""
    run = Run(one(delay_ms=10, concurrency=1))
    assert not run.do(Begin())
    assert run.dispatched == []


def test_another_start_gives_it_its_input_and_quiet_begins_anew() -> None:
    """As long as it is not quiet, it waits; the last input is what it runs with."""
    run = Run(one(debounce_ms=10))
    assert hold(run) == (DEBOUNCE, NOW + 10 * MS)
    assert run.do(Debounce(Start(json(b"2"), "r2")), after_us=6 * MS)
    run.do(TimersDue(), after_us=6 * MS)
    assert run.dispatched == []
    assert run.do(Debounce(Start(json(b"2"), "r2")))
    assert run.kinds.count("start_debounced") == 1
    run.do(TimersDue(), after_us=4 * MS)
    assert (run.dispatched, run.state.input.data) == (["a"], b"2")
    assert not run.do(Debounce(Start(json(b"3"), "r3")))


def test_it_begins_so_long_after_its_first_start_at_the_latest() -> None:
    """However many come."""
    run = Run(one(debounce_ms=10, max_wait_ms=15))
    run.do(Debounce(Start(json(b"2"))), after_us=9 * MS)
    assert hold(run)[1] == NOW + 15 * MS


def test_one_that_waits_for_its_turn_takes_a_newer_input() -> None:
    """And keeps its place."""
    run = Run(one(debounce_ms=10, concurrency=1))
    run.do(TimersDue(), after_us=10 * MS)
    assert run.do(Debounce(Start(json(b"2"))))
    assert hold(run) == (TURN, 0)
    run.do(Begin())
    assert run.state.input.data == b"2"


def test_its_own_limit_counts_from_when_it_begins() -> None:
    """Waiting is not running."""
    run = waits(one(timeout_ms=10, concurrency=1))
    run.do(TimersDue(), after_us=50 * MS)
    assert run.state.status == s.EXECUTION_PENDING
    run.do(Begin())
    assert run.state.wake_at_us == run.now + 10 * MS
    run.do(TimersDue(), after_us=10 * MS)
    assert run.state.status == s.EXECUTION_FAILED


def test_one_that_is_paused_has_its_turn_and_begins_when_it_is_resumed() -> None:
    """Its delay waits too."""
    run = waits(one(concurrency=1))
    run.do(Pause())
    run.do(Begin())
    assert (run.dispatched, run.state.status) == ([], s.EXECUTION_PAUSED)
    run.do(Resume())
    assert run.dispatched == ["a"]

    late = Run(one(delay_ms=10))
    late.do(Pause())
    late.do(TimersDue(), after_us=20 * MS)
    assert late.state.wake_at_us == s.FAR_US
    late.do(Resume())
    assert (late.dispatched, late.state.status) == ([], s.EXECUTION_PENDING)
    late.do(TimersDue())
    assert late.dispatched == ["a"]


def test_one_that_is_canceled_has_begun_nothing_and_undoes_nothing() -> None:
    """Results it would have taken over are those of another execution."""
    reused = history.ResultReused(node="a", output=json(b"1"))
    of = plan(
        node("a", undo=plan_pb2.PlanNode(id="a:undo", kind=plan_pb2.NODE_KIND_TASK)),
        start=plan_pb2.StartPolicy(concurrency=1),
    )
    run = waits(of, reused=[reused])
    assert run.state.undo
    run.do(Cancel("no"))
    assert (run.dispatched, run.state.status) == ([], s.EXECUTION_CANCELED)
    assert run.state.hold is None
    assert not run.do(Begin())


def test_commands_before_the_begin_are_kept() -> None:
    """A signal, and where it is to stop; a node that has not begun cannot be steered."""
    run = waits(one(concurrency=1))
    run.do(Signal("s", json(b"1")))
    with pytest.raises(Unfit):
        run.steer("a", "COMPLETE")
    run.do(Begin())
    assert [each.name for each in run.state.signals] == ["s"]


def test_the_next_run_of_a_chain_waits_for_its_turn_alone() -> None:
    """It continues with the result of the previous run."""
    link = link_pb2.Link(continued_from="exec-0", first_run="exec-0")
    run = Run(one(delay_ms=10, debounce_ms=10), link=link)
    assert run.dispatched == ["a"]


def test_what_waits_is_the_same_however_it_was_come_by() -> None:
    """From its history, and from a snapshot."""
    for run in (Run(one(debounce_ms=10)), waits(one(concurrency=1))):
        run.do(Pause())
        again = restore("exec-1", run.state.plan, snapshot(run.state))
        for state in (run.replayed(), again):
            assert (state.hold, state.status) == (run.state.hold, run.state.status)
            assert not state.held
            out = Transition(state)
            decide(state, Resume(), run.now, out)
            assert not out.dispatch
