"""A paused execution begins nothing, loses nothing, and resumes in the same place."""

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import (
    Breakpoints,
    Cancel,
    DeliveryLost,
    Ended,
    Pause,
    Resume,
    Signal,
    TimersDue,
    Unfit,
    restore_held,
)
from flowmesh.engine.state import state as s
from flowmesh.orchestrator.storage.snapshots import restore, snapshot
from tests.unit.engine.factories import Run, each, json, machine, node, plan, signal, state

TIMER = {"kind": 3, "delay_ms": 10}


def test_nothing_begins_while_it_is_paused_and_all_of_it_after() -> None:
    """The result of what was at a worker counts; what it leads to waits."""
    run = Run(plan(node("a"), node("b", "a"), node("c", "a")))
    run.do(Pause("look", actor="ops"))
    run.complete("a", b"1")
    assert run.dispatched == []
    assert run.state.status == s.EXECUTION_PAUSED
    run.do(Resume())
    assert run.dispatched == ["b", "c"]
    assert run.kinds.count("workflow_paused") == 1


def test_a_task_that_reached_no_worker_is_sent_again() -> None:
    """The queue in memory dropped it during the pause."""
    run = Run(plan(node("a")))
    run.do(Pause())
    run.do(Resume())
    assert run.dispatched == ["a"]
    assert run.kinds.count("task_scheduled a") == 1


def test_timers_and_attempts_that_are_due_wait() -> None:
    """They fire at once after the resume; until then nothing wakes the execution."""
    retry = {"max_attempts": 2, "initial_delay_ms": 10}
    run = Run(plan(node("t", **TIMER), node("a", retry=retry)))
    run.fail("a")
    run.do(Pause())
    assert run.state.wake_at_us == s.FAR_US
    run.do(TimersDue(), after_us=20_000)
    assert run.last.history.events == []
    run.do(Resume())
    run.do(TimersDue())
    assert {"timer_fired t", "task_scheduled a"} <= set(run.kinds[-4:])


def test_its_own_limit_still_ends_it() -> None:
    """With a pause of any length."""
    run = Run(plan(node("a"), timeout_ms=10))
    run.do(Pause())
    assert run.state.wake_at_us == run.now + 10_000
    run.do(TimersDue(), after_us=10_000)
    assert run.state.status == s.EXECUTION_FAILED


def test_it_ends_when_nothing_is_left_to_begin() -> None:
    """The last result completes it, paused or not."""
    run = Run(plan(node("a")))
    run.do(Pause())
    run.complete("a")
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_pause_does_not_undo_a_stop() -> None:
    """Nodes waiting because of a failure do not begin after the resume either."""
    nodes = (node("a"), node("b"), node("c", "b"), node("d"))
    run = Run(plan(*nodes, parallelism=3, on_failure=plan_pb2.FAILURE_POLICY_STOP))
    run.fail("a")
    run.do(Pause())
    run.complete("b")
    run.do(Resume())
    assert set(run.state.at_workers) == {"d"}
    assert run.state.node("c") is None


def test_signals_are_kept() -> None:
    """Their nodes complete; what these lead to waits."""
    run = Run(plan(signal("w", name="go"), node("z", "w")))
    run.do(Pause())
    run.do(Signal("go", json(b"1")))
    assert run.dispatched == []
    run.do(Resume())
    assert run.dispatched == ["z"]


def test_bodies_wait_too() -> None:
    """Neither an item of a map nor the next node of a machine begins."""
    body = machine("m", 1, state("one", "two"), state("two"))
    run = Run(plan(each("e", [1, 2], node("x"), concurrency=1), body))
    run.serve()
    run.do(Pause())
    run.complete("e[0]/x")
    run.complete("m[0]/one")
    assert run.dispatched == []
    run.do(Resume())
    assert {"e[1]/x", "m[1]/two"} == set(run.dispatched)


def test_the_wrong_command_is_refused_and_changes_nothing() -> None:
    """A second pause, a resumption of what runs, both of what has ended."""
    run = Run(plan(node("a")))
    with pytest.raises(Unfit):
        run.do(Resume())
    run.do(Pause())
    with pytest.raises(Unfit):
        run.do(Pause())
    run.do(Cancel())
    for command in (Pause(), Resume()):
        with pytest.raises(Ended):
            run.do(command)


def test_a_repeat_under_its_request_id_changes_nothing() -> None:
    """With any commands since."""
    run = Run(plan(node("a")))
    run.do(Pause(request_id="r1"))
    run.do(Resume(request_id="r2"))
    run.do(Pause(request_id="r1"))
    assert run.state.status == s.EXECUTION_RUNNING


def test_a_snapshot_of_a_paused_execution_continues() -> None:
    """Waiting nodes are restored, and a worker lost meanwhile costs no attempt."""
    run = Run(plan(node("a"), node("b", "a"), node("c")))
    run.do(Pause())
    run.complete("a")
    run.do(DeliveryLost("c", 1))
    restored = restore("exec-1", run.state.plan, snapshot(run.state))
    restore_held(restored)
    assert list(restored.held) == ["b"]
    run.state = restored
    run.do(Resume())
    assert set(run.dispatched) == {"b", "c"}


def found_again(run: Run) -> list[str]:
    """Nodes that wait to begin after a crash."""
    run.state = restore("exec-1", run.state.plan, snapshot(run.state))
    restore_held(run.state)
    return list(run.state.held)


def test_the_next_node_of_a_machine_that_a_pause_has_kept_back_is_found_again() -> None:
    """Nothing of what follows has begun."""
    run = Run(plan(machine("m", "{{input}}", state("a", "b"), state("b"))))
    run.do(Pause())
    run.complete("m[0]/a")
    assert found_again(run) == ["m"]
    run.do(Resume())
    assert list(run.state.at_workers) == ["m[1]/b"]


def test_a_node_of_a_machine_behind_a_breakpoint_that_is_gone_is_found_again() -> None:
    """Others fill the plan when the breakpoint goes; its graph is open, and nothing in it runs."""
    run = Run(plan(node("y"), node("z"), machine("m", "{{input}}", state("a")), parallelism=1))
    run.do(Breakpoints(everywhere=True))
    run.complete("y")
    assert list(run.state.stopped) == ["z", "m[0]/a"]
    run.do(Breakpoints())
    assert list(run.state.at_workers) == ["z"]
    assert found_again(run) == ["m[0]/a"]
    run.complete("z")
    assert list(run.state.at_workers) == ["m[0]/a"]
