"""Actions on single nodes, breakpoints, and the plan of a rerun."""

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import (
    Breakpoints,
    Cancel,
    Ended,
    NodeMissing,
    NodeUnfit,
    Pause,
    Resume,
    Start,
    State,
    TimersDue,
    Transition,
    Unfit,
    decide,
    failed_nodes,
    plan_rerun,
    tries,
)
from flowmesh.engine.state import state as s
from flowmesh.orchestrator.model.messages import execution_message
from flowmesh.orchestrator.storage.snapshots import restore, snapshot
from flowmesh.plan import decode, render_input
from tests.unit.engine.factories import (
    Run,
    child,
    each,
    edge,
    json,
    machine,
    node,
    plan,
    signal,
    state,
    undo,
)
from tests.unit.engine.test_replay import facts

HOLD = plan_pb2.NODE_FAILURE_POLICY_HOLD
TIMER = {"kind": plan_pb2.NODE_KIND_TIMER, "delay_ms": 10}


def test_a_held_node_waits_for_a_decision() -> None:
    """Independent nodes continue; the execution does not end."""
    run = Run(plan(node("a", on_failure=HOLD), node("b"), node("c", "a")))
    run.fail("a")
    run.complete("b")
    assert run.kinds[-2:] == ["task_started b", "task_completed b"]
    assert not run.state.ended
    assert run.state.wake_at_us == s.FAR_US


def test_a_held_node_leaves_its_slot_to_others() -> None:
    """It does nothing until a caller continues it."""
    run = Run(plan(node("a", on_failure=HOLD), node("b"), parallelism=1))
    run.fail("a")
    assert run.dispatched == ["b"]
    run.steer("a", "RETRY")
    run.complete("b")
    run.complete("a", attempt=2)
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_retry_is_a_further_attempt_with_the_edited_input() -> None:
    """Actor and reason are in the history."""
    run = Run(plan(node("a", on_failure=HOLD, input_mode=2, input_template=b'"{{input.x}}"')))
    run.fail("a")
    run.steer("a", "RETRY", input=json(b'"right"'), actor="ann", reason="typo")
    assert decode(render_input(run.state, run.last.dispatch[0])) == "right"
    steered = run.last.history.events[0].node_steered
    assert (steered.actor, steered.reason) == ("ann", "typo")
    run.complete("a", attempt=2)
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_failed_node_is_retried_with_the_nodes_it_had_skipped() -> None:
    """As long as the execution runs and nothing behind it has begun."""
    run = Run(plan(node("a"), node("b", "a"), node("c", "b"), node("other")))
    run.fail("a")
    assert "task_skipped c" in run.kinds
    run.steer("a", "RETRY")
    run.complete("a", attempt=2)
    assert run.dispatched == ["b"]
    run.complete("b")
    run.complete("c")
    run.complete("other")
    assert run.state.status == s.EXECUTION_COMPLETED


def test_what_a_stop_kept_from_beginning_begins_when_the_failed_node_is_tried_again() -> None:
    """Nodes that became ready meanwhile, and the items of a map that were to follow."""
    items = each("m", [1, 2], node("x"), concurrency=1)
    nodes = (node("a"), node("b"), node("c", "b"), node("d"), items)
    run = Run(plan(*nodes, on_failure=plan_pb2.FAILURE_POLICY_STOP))
    run.serve()
    run.fail("a")
    run.complete("b")
    run.complete("m[0]/x")
    assert run.dispatched == []
    run.steer("a", "RETRY")
    assert set(run.dispatched) >= {"a", "c"}
    run.do(TimersDue(), after_us=2_000_000)
    run.serve()
    assert "m[1]/x" in run.state.at_workers
    for node_id in list(run.state.at_workers):
        run.complete(node_id, attempt=2 if node_id == "a" else 1)
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_failed_node_is_not_tried_again_once_something_began_because_of_it() -> None:
    """An error edge was taken; the message names what began."""
    run = Run(plan(node("a"), node("h", "a", edges=[edge(0, on_failure=True)]), node("other")))
    run.fail("a")
    with pytest.raises(NodeUnfit, match="h, which depends on a, is running"):
        run.steer("a", "RETRY")


def test_a_skipped_node_lets_those_behind_it_begin() -> None:
    """A waiting, running, held or failed node; its worker is canceled."""
    for prepared in ("waits", "runs", "is held", "failed"):
        hold = {"on_failure": HOLD} if prepared == "is held" else {}
        run = Run(plan(node("first"), node("a", "first", **hold), node("b", "a"), node("other")))
        if prepared != "waits":
            run.complete("first")
        if prepared in ("is held", "failed"):
            run.fail("a")
        run.steer("a", "SKIP")
        assert run.dispatched == ["b"]
        assert run.last.cancel == ([("a", 1)] if prepared == "runs" else [])


def test_a_node_completed_by_hand_has_the_output_given() -> None:
    """A task, a timer, a node that waits for a signal, which takes none then."""
    nodes = [node("t", **TIMER), node("task"), signal("w", name="go"), signal("v", name="go")]
    run = Run(plan(*nodes, node("z", "t", "task", "w")))
    for name in ("t", "task", "w"):
        run.steer(name, "COMPLETE", output=json(b'"%b"' % name.encode()))
    assert run.dispatched == ["z"]
    assert run.state.reach("task").output == json(b'"task"')
    assert run.state.signals_taken == {}


def test_a_late_result_of_a_node_completed_by_hand_changes_nothing() -> None:
    """The worker may not have heard yet."""
    run = Run(plan(node("a")))
    run.steer("a", "COMPLETE")
    assert run.complete("a", b"7") is False


def test_an_output_is_replaced_until_a_node_has_read_it() -> None:
    """Then a rerun is what there is."""
    run = Run(
        plan(node("a"), node("w"), node("b", "a", "w"), output_template=b'"{{tasks.a.output}}"')
    )
    run.complete("a", b"1")
    run.steer("a", "OVERRIDE", output=json(b"2"))
    run.complete("w")
    with pytest.raises(NodeUnfit, match="b is running with the output of a; rerun from a"):
        run.steer("a", "OVERRIDE", output=json(b"3"))
    run.complete("b")
    assert run.state.output is not None
    assert run.state.output.data == b"2"


def test_a_held_node_can_be_failed_for_good() -> None:
    """With the failure it had."""
    run = Run(plan(node("a", on_failure=HOLD)))
    run.fail("a", "CardDeclined")
    run.steer("a", "FAIL")
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "CardDeclined"


def test_a_map_begins_anew_when_it_is_tried_again() -> None:
    """With all its items."""
    run = Run(plan(each("m", [1, 2], node("a"), concurrency=2, on_failure=HOLD)))
    run.serve()
    run.complete("m[0]/a")
    run.fail("m[1]/a")
    run.steer("m", "RETRY")
    run.serve()
    assert sorted(run.state.at_workers) == ["m[0]/a", "m[1]/a"]


def test_no_attempt_of_a_body_that_began_anew_has_a_number_from_before() -> None:
    """A worker may still have that one: what it says of it is stale. All its retries are there."""
    retry = {"max_attempts": 2}
    inner = each("n", [1], node("a", retry=retry), child("c"), on_failure=HOLD)
    run = Run(plan(each("m", [1], inner, on_failure=HOLD)))
    run.serve()
    asked = run.state.reach("m[0]/n[0]/c").child
    assert asked is not None
    run.fail("m[0]/n[0]/a")
    run.do(TimersDue(), after_us=60_000_000)
    run.fail("m[0]/n[0]/a", attempt=2)
    run.steer("m[0]/n[0]/c", "SKIP")
    run.steer("m[0]/n", "RETRY")
    run.serve()
    for late in (1, 2):
        assert not run.complete("m[0]/n[0]/a", attempt=late)
    anew = run.state.reach("m[0]/n[0]/c").child
    assert anew is not None
    assert anew.request_id != asked.request_id
    run.fail("m[0]/n[0]/a", attempt=3)
    run.do(TimersDue(), after_us=60_000_000)
    assert run.dispatched == ["m[0]/n[0]/a"]
    run.fail("m[0]/n[0]/a", attempt=4)
    run.steer("m[0]/n[0]/c", "SKIP")
    run.steer("m[0]/n", "FAIL")
    run.steer("m", "RETRY")
    run.serve()
    again = run.state.reach("m[0]/n[0]/a")
    assert (again.attempt, tries(again)) == (5, 1)
    assert {one.attempts for one in execution_message(run.state).nodes} == {1, 2}
    assert facts(run.replayed()) == facts(run.state)
    assert facts(restore("exec-1", run.state.plan, snapshot(run.state))) == facts(run.state)


def test_no_state_of_a_machine_that_began_anew_has_an_attempt_from_before() -> None:
    """Though it began with the first of them."""
    run = Run(plan(machine("m", 0, state("a"), on_failure=HOLD)))
    run.serve()
    run.fail("m[0]/a")
    run.steer("m", "RETRY")
    run.serve()
    assert not run.complete("m[0]/a")
    assert run.complete("m[0]/a", attempt=2)


def test_all_that_failed_is_tried_again_at_once() -> None:
    """In bodies too; each is an event of its own, and a repeat changes nothing."""
    items = each("m", [1, 2], node("x", on_failure=HOLD))
    run = Run(plan(node("a"), node("b", "a"), node("h", on_failure=HOLD), items))
    run.serve()
    for failed in ("a", "h", "m[0]/x"):
        run.fail(failed)
    assert run.steer("", "RETRY_FAILED", request_id="r", reason="mended", actor="ann")
    assert run.dispatched == ["a", "h", "m[0]/x"]
    steered = [event.node_steered for event in run.events if event.HasField("node_steered")]
    told = [(one.node, one.action, one.actor, one.request_id) for one in steered]
    assert told == [
        ("a", execution_pb2.NODE_ACTION_RETRY, "ann", "r"),
        ("h", execution_pb2.NODE_ACTION_RETRY, "ann", ""),
        ("m[0]/x", execution_pb2.NODE_ACTION_RETRY, "ann", ""),
    ]
    run.fail("a", attempt=2)
    before = run.state.sequence
    run.steer("", "RETRY_FAILED", request_id="r")
    assert run.state.sequence == before


def test_where_nothing_failed_nothing_is_tried_again() -> None:
    """A node whose failure began others cannot be retried; the others are."""
    run = Run(plan(node("a"), node("h", "a", edges=[edge(0, on_failure=True)]), node("other")))
    run.fail("a")
    with pytest.raises(NodeUnfit, match="the execution has no failed node that can be retried"):
        run.steer("", "RETRY_FAILED")
    run.fail("other")
    run.steer("", "RETRY_FAILED")
    assert run.dispatched == ["other"]


def test_a_rerun_starts_at_the_failed_nodes() -> None:
    """Nodes canceled with it too, and no completed node."""
    of = plan(node("done"), node("a", "done"), node("b", "a"), node("open"))
    run = Run(of)
    run.complete("done")
    run.fail("a")
    run.do(Cancel())
    assert failed_nodes(run.state, of) == ["a", "open"]
    fine = Run(of)
    for node_id in ("done", "open", "a", "b"):
        fine.complete(node_id)
    assert failed_nodes(fine.state, of) == []


@pytest.mark.parametrize(
    ("node_id", "action", "message"),
    [
        ("a", "RETRY", "a is running; only a failed node can be retried"),
        ("b", "RETRY", "b has not begun; only a failed node can be retried"),
        ("done", "SKIP", "done has completed; its outcome is final"),
        ("a", "OVERRIDE", "a is running; only a completed node has an output"),
        ("a", "CONTINUE", "a has not stopped at a breakpoint"),
        ("a", "FAIL", "a is running; only a held node can be failed"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    node_id: str, action: str, message: str
) -> None:
    """With the state the node is in."""
    run = Run(plan(node("done"), node("a"), node("b", "a")))
    run.complete("done")
    before = run.state.sequence
    with pytest.raises(NodeUnfit, match=message):
        run.steer(node_id, action)
    assert run.state.sequence == before


def test_unknown_nodes_and_wrong_times_are_refused() -> None:
    """A node that is not there, an execution that is paused or has ended, an undo not begun."""
    run = Run(plan(node("a", undo=undo("a"))))
    for name in ("nobody", "a[0]/b", "a:undo", ""):
        with pytest.raises(NodeMissing):
            run.steer(name, "SKIP")
    run.do(Pause())
    with pytest.raises(Unfit):
        run.steer("a", "SKIP")
    run.do(Resume())
    run.do(Cancel())
    with pytest.raises(Ended):
        run.steer("a", "SKIP")


def test_again_under_the_same_request_id_it_changes_nothing() -> None:
    """A client that got no answer asks again."""
    run = Run(plan(node("a", on_failure=HOLD)))
    run.fail("a")
    run.steer("a", "RETRY", request_id="r")
    before = run.state.sequence
    run.steer("a", "RETRY", request_id="r")
    assert run.state.sequence == before


# --- breakpoints ---


def test_it_stops_before_every_node() -> None:
    """Each begins when a caller continues it, with the edited input."""
    run = Run(plan(node("a"), node("b", "a")))
    run.do(Breakpoints(everywhere=True))
    run.complete("a")
    assert run.kinds[-1] == "breakpoint_reached b"
    assert run.state.wake_at_us == s.FAR_US
    run.steer("b", "CONTINUE", input=json(b"5"))
    assert decode(render_input(run.state, run.last.dispatch[0])) == 5
    run.complete("b")
    assert run.state.status == s.EXECUTION_COMPLETED


def test_it_stops_before_chosen_nodes_from_the_start() -> None:
    """Of a node in a body, for each item."""
    of = plan(each("m", [1, 2], node("a"), concurrency=2))
    run = Run.__new__(Run)
    run.state, run.events, run.now = State("exec-1", of), [], 1_000_000
    run.last = Transition(run.state)
    run.do(Start(json(b"{}"), breakpoints=Breakpoints(nodes=frozenset({"m/a"}))))
    run.serve()
    assert sorted(run.state.stopped) == ["m[0]/a", "m[1]/a"]
    run.steer("m[1]/a", "CONTINUE")
    assert run.dispatched == ["m[1]/a"]
    assert sorted(run.replayed().stopped) == ["m[0]/a"]


def test_a_loop_stops_in_each_round() -> None:
    """A round is a node of its own."""
    again = state("a", "a")
    run = Run(plan(machine("loop", 1, again, steps_max=5)))
    run.serve()
    run.do(Breakpoints(nodes=frozenset({"loop/a"})))
    run.complete("loop[0]/a")
    assert list(run.state.stopped) == ["loop[1]/a"]


def test_all_nodes_continue_when_breakpoints_are_removed() -> None:
    """The stopped nodes begin."""
    run = Run(plan(node("x"), node("a", "x"), node("b", "x")))
    run.do(Breakpoints(nodes=frozenset({"a", "b"})))
    run.complete("x")
    assert run.dispatched == []
    run.do(Breakpoints())
    assert run.dispatched == ["a", "b"]


def test_one_that_waits_for_a_slot_stops_once() -> None:
    """Continued while all slots are taken, it begins when one is free."""
    run = Run(plan(node("x"), node("a"), parallelism=1))
    run.do(Breakpoints(nodes=frozenset({"a"})))
    run.complete("x")
    assert list(run.state.stopped) == ["a"]
    run.steer("a", "CONTINUE")
    assert run.dispatched == ["a"]


# --- reruns ---


def rerun(run: Run, *from_nodes: str) -> Run:
    """A new execution that takes over what is not to run again."""
    of = run.state.plan
    reused = [one.reused for one in plan_rerun(run.state, of, from_nodes) if one.reused is not None]
    new = Run.__new__(Run)
    new.state, new.events, new.now = State("exec-2", of), [], run.now
    new.last = Transition(new.state)
    decide(new.state, Start(run.state.input, reused=reused), new.now, new.last)
    new.events = list(new.last.history.events)
    return new


def test_a_rerun_takes_over_what_is_before_the_node() -> None:
    """The node and all behind it run, with the outputs there were."""
    given = {"input_mode": 2, "input_template": b'"{{tasks.a.output}}"'}
    run = Run(plan(node("a"), node("b", "a", **given), node("c", "b"), node("d")))
    for name, output in (("a", b"1"), ("b", b"2"), ("d", b"4")):
        run.complete(name, output)
    run.fail("c")
    new = rerun(run, "b")
    assert new.dispatched == ["b"]
    assert new.kinds == [
        "workflow_started",
        "result_reused a",
        "result_reused d",
        "task_scheduled b",
    ]
    assert decode(render_input(new.state, new.last.dispatch[0])) == 1
    assert new.replayed().scope.nodes.keys() == new.state.scope.nodes.keys()


def test_the_plan_of_a_rerun_says_what_happens_again() -> None:
    """And which of it did something to others before."""
    run = Run(plan(node("a"), node("b", "a"), node("n", "b", kind=plan_pb2.NODE_KIND_NOOP)))
    run.complete("a")
    run.complete("b")
    told = [
        (one.planned.id, one.reused is not None, one.reason, one.effect)
        for one in plan_rerun(run.state, run.state.plan, ["b"])
    ]
    assert told == [
        ("a", True, "its result is reused", False),
        ("b", False, "it was named", True),
        ("n", False, "a node before it runs again", False),
    ]
    with pytest.raises(KeyError):
        plan_rerun(run.state, run.state.plan, ["nobody"])


def test_failed_and_undone_nodes_run_again_even_if_not_named() -> None:
    """Its result is none to build on."""
    run = Run(plan(node("a", undo=undo("a")), node("b"), node("c", critical=False)))
    run.complete("a")
    run.fail("c")
    run.fail("b")
    run.complete("a:undo")
    reasons = {one.planned.id: one.reason for one in plan_rerun(run.state, run.state.plan, ["c"])}
    assert reasons == {"a": "its work was compensated", "b": "it failed", "c": "it was named"}


def test_a_rerun_without_a_node_runs_all_of_it() -> None:
    """As the first one did."""
    run = Run(plan(node("a"), node("b", "a")))
    run.complete("a")
    run.complete("b")
    assert rerun(run).dispatched == ["a"]


def test_what_was_skipped_is_decided_again() -> None:
    """By results that are taken over, so with the same outcome."""
    decision = node("d")
    edges = [edge(0, "yes")], [edge(0, "no")]
    run = Run(plan(decision, node("y", "d", edges=edges[0]), node("n", "d", edges=edges[1])))
    run.complete("d", b'"yes"')
    run.fail("y")
    new = rerun(run, "y")
    assert new.dispatched == ["y"]
    assert "task_skipped n" in new.kinds
