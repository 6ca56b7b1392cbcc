"""The failure of a node: its effect on successors, on other nodes, and on completed work."""

from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import Cancel, Pause, Terminate, TimersDue, Unfit
from flowmesh.engine.state import state as s
from flowmesh.engine.state.compensation import compensation_status
from flowmesh.plan import decode, render_input
from tests.unit.engine.factories import Run, each, edge, group, node, plan, signal, undo

STOP, CANCEL = plan_pb2.FAILURE_POLICY_STOP, plan_pb2.FAILURE_POLICY_CANCEL
CONTINUE = plan_pb2.NODE_FAILURE_POLICY_CONTINUE
HOLD = plan_pb2.NODE_FAILURE_POLICY_HOLD
COMPENSATE = plan_pb2.NODE_FAILURE_POLICY_COMPENSATE
TIMER = {"kind": plan_pb2.NODE_KIND_TIMER, "delay_ms": 10}


def undoable(name: str, *after: str) -> dict[str, Any]:
    """A task that another one undoes."""
    return node(name, *after, undo=undo(name))


def chain(*names: str, **fields: Any) -> Run:
    """Tasks that follow one another, each with an undo, and a last one that has none."""
    nodes = [node(name, *names[:place][-1:], undo=undo(name)) for place, name in enumerate(names)]
    return Run(plan(*nodes, node("last", names[-1]), **fields))


# --- joins ---


def test_a_join_by_count_begins_with_the_edge_that_makes_it_full() -> None:
    """Two of three are enough; the third neither begins it again nor holds it back."""
    run = Run(
        plan(
            node("a"), node("b"), node("c"),
            node("z", "a", "b", "c", join=plan_pb2.JOIN_ANY, join_count=2),
        )
    )  # fmt: skip
    run.complete("a")
    assert run.dispatched == []
    run.complete("c")
    assert run.dispatched == ["z"]
    run.complete("b")
    assert run.dispatched == []


def test_a_join_that_cannot_be_full_any_more_is_skipped_when_all_have_ended() -> None:
    """One of two that are needed: no deadlock."""
    nodes = [node(name, critical=False) for name in "abc"]
    join = {"join": plan_pb2.JOIN_ANY, "join_count": 2}
    run = Run(plan(*nodes, node("z", "a", "b", "c", **join)))
    run.fail("a")
    run.complete("b")
    run.fail("c")
    assert run.kinds[-2:] == ["task_skipped z", "workflow_completed"]


def test_a_join_waits_for_those_it_requires() -> None:
    """However many others there are."""
    join = {"join": plan_pb2.JOIN_ANY, "join_required": [2]}
    run = Run(plan(node("a"), node("b"), node("c"), node("z", "a", "b", "c", **join)))
    run.complete("a")
    run.complete("b")
    assert run.dispatched == []
    run.complete("c")
    assert run.dispatched == ["z"]


def test_a_join_of_all_is_skipped_where_a_required_one_failed() -> None:
    """One edge that is taken would be enough without."""
    join = {"join": plan_pb2.JOIN_ALL, "join_required": [1]}
    nodes = [node("a"), node("b", critical=False)]
    run = Run(plan(*nodes, node("z", "a", "b", **join)))
    run.fail("b")
    run.complete("a")
    assert "task_skipped z" in run.kinds


# --- what the others do ---


def test_by_default_what_does_not_depend_on_it_is_finished() -> None:
    """Then the execution fails."""
    run = Run(plan(node("a"), node("b"), node("c", "b")))
    run.fail("a")
    run.complete("b")
    assert run.dispatched == ["c"]
    run.complete("c")
    assert run.state.status == s.EXECUTION_FAILED


def test_stop_lets_workers_end_and_begins_nothing() -> None:
    """Not what was ready to follow, no second attempt, no timer; then all else is canceled."""
    retry = {"max_attempts": 3, "initial_delay_ms": 10}
    run = Run(plan(node("a"), node("b", retry=retry), node("c", "b"), node("t", **TIMER),
                   on_failure=STOP))  # fmt: skip
    run.fail("a")
    assert not run.state.ended
    run.do(TimersDue(), after_us=60_000)
    run.fail("b")
    assert run.kinds[-3:] == ["task_failed b", "task_canceled t", "workflow_failed"]
    assert run.state.failure is not None
    assert run.state.failure.node == "a"


def test_cancel_ends_at_once() -> None:
    """The workers of the others are requested to stop."""
    run = Run(plan(node("a"), node("b"), on_failure=CANCEL))
    run.fail("a")
    assert run.last.cancel == [("b", 1)]
    assert run.kinds[-2:] == ["task_canceled b", "workflow_failed"]


@pytest.mark.parametrize("policy", [STOP, CANCEL])
def test_a_handled_failure_stops_no_other_node(policy: int) -> None:
    """With an error edge, not critical, or continuing with a fallback."""
    run = Run(plan(
        node("a"), node("h", "a", edges=[edge(0, on_failure=True)]), node("b", critical=False),
        node("c", on_failure=CONTINUE), on_failure=policy,
    ))  # fmt: skip
    for name in "abc":
        run.fail(name)
    run.complete("h")
    assert run.state.status == s.EXECUTION_COMPLETED


def test_those_behind_a_node_that_continues_see_its_fallback() -> None:
    """It has failed nevertheless, and its failure is kept."""
    given = {"input_mode": 2, "input_template": b'"{{tasks.a.output.price}}"'}
    first = node("a", on_failure=CONTINUE, fallback=b'{"price": 0}')
    run = Run(plan(first, node("b", "a", **given)))
    run.fail("a")
    assert run.dispatched == ["b"]
    assert decode(render_input(run.state, run.last.dispatch[0])) == 0
    run.complete("b")
    assert run.state.status == s.EXECUTION_COMPLETED
    assert run.state.reach("a").status == s.FAILED


def test_a_map_tolerates_as_many_failures_as_it_may() -> None:
    """Results stay in order, null where there is none; one too many fails it."""
    run = Run(plan(each("m", [1, 2, 3], node("a"), concurrency=3, tolerated=1)))
    run.serve()
    run.fail("m[1]/a")
    run.complete("m[0]/a", b"1")
    run.complete("m[2]/a", b"3")
    assert run.state.output is not None
    assert run.state.output.data == b"[1,null,3]"
    run = Run(plan(each("m", [1, 2, 3], node("a"), concurrency=3, tolerated=1)))
    run.serve()
    run.fail("m[0]/a")
    run.fail("m[1]/a")
    run.complete("m[2]/a")
    assert run.state.status == s.EXECUTION_FAILED


def test_no_attempt_begins_once_the_retries_have_taken_too_long() -> None:
    """However many are left."""
    retry = {"max_attempts": 9, "initial_delay_ms": 10, "max_elapsed_ms": 25}
    run = Run(plan(node("a", retry=retry)))
    run.fail("a")
    run.do(TimersDue(), after_us=10_000)
    run.now += 10_000
    run.fail("a", attempt=2)
    assert run.state.status == s.EXECUTION_FAILED


def test_a_class_that_is_never_retried_fails_at_once() -> None:
    """With any other setting of the policy."""
    retry = {"max_attempts": 9, "retry_on": ["*"], "never_on": ["CardDeclined"]}
    run = Run(plan(node("a", retry=retry)))
    run.fail("a", "CardDeclined")
    assert run.state.status == s.EXECUTION_FAILED


def test_all_attempts_together_have_a_limit() -> None:
    """Also while one is at a worker, which is canceled."""
    retry = {"max_attempts": 9, "initial_delay_ms": 10}
    run = Run(plan(node("a", retry=retry, total_timeout_ms=50)))
    run.fail("a")
    assert run.state.wake_at_us == run.now + 10_000
    run.do(TimersDue(), after_us=10_000)
    assert run.dispatched == ["a"]
    assert run.state.wake_at_us == run.now + 40_000
    run.do(TimersDue(), after_us=40_000)
    assert run.last.cancel == [("a", 2)]
    assert run.state.failure is not None
    assert getattr(run.state.failure, "class") == "Timeout"


# --- what was done is undone ---


def test_what_completed_last_is_undone_first() -> None:
    """One after the other; the execution fails when all of it is undone."""
    run = chain("a", "b")
    run.complete("a", b"1")
    run.complete("b", b"2")
    run.fail("last")
    assert run.state.status == s.EXECUTION_COMPENSATING
    assert run.dispatched == ["b:undo"]
    run.complete("b:undo")
    assert run.dispatched == ["a:undo"]
    run.complete("a:undo")
    assert run.kinds[-1] == "workflow_failed"
    assert run.state.failure is not None
    assert run.state.failure.node == "last"
    assert compensation_status(run.state) == 2


def test_an_undo_sees_what_its_node_got_and_answered() -> None:
    """As `undo.input` and `undo.output`, in the body of a map too."""
    template = b'{"in": "{{undo.input}}", "out": "{{undo.output.id}}"}'
    inner = node(
        "a", input_mode=2, input_template=b'"{{item}}"', undo=undo("a", input_template=template)
    )
    run = Run(plan(each("m", [5, 6], inner, concurrency=2), node("last", "m")))
    run.serve()
    run.complete("m[0]/a", b'{"id": 50}')
    run.complete("m[1]/a", b'{"id": 60}')
    run.fail("last")
    assert run.dispatched == ["m[1]/a:undo"]
    got = decode(render_input(run.state, run.last.dispatch[0]))
    assert got == {"in": 6, "out": 60}


def test_only_what_completed_is_undone() -> None:
    """Failed, canceled and unbegun nodes need no compensation."""
    run = Run(plan(undoable("a"), undoable("b"), undoable("c", "b"),
                   on_failure=CANCEL))  # fmt: skip
    run.complete("a")
    run.fail("b")
    assert run.dispatched == ["a:undo"]
    run.complete("a:undo")
    assert run.state.ended


def test_in_parallel_what_is_independent_is_undone_at_once() -> None:
    """And before what both were built on."""
    nodes = [
        undoable("a"),
        undoable("b", "a"),
        undoable("c", "a"),
    ]
    run = Run(plan(*nodes, node("z", "b", "c"), compensation={"parallel": True}))
    for name in "abc":
        run.complete(name)
    run.fail("z")
    assert sorted(run.dispatched) == ["b:undo", "c:undo"]
    run.complete("b:undo")
    assert run.dispatched == []
    run.complete("c:undo")
    assert run.dispatched == ["a:undo"]


def test_cancel_undoes_and_terminate_does_not_unless_asked() -> None:
    """Nor does a cancel that says so; the last event is that of the command."""
    for command, undoes in (
        (Cancel("no"), True), (Cancel("no", compensate=False), False),
        (Terminate("no"), False), (Terminate("no", compensate=True), True),
    ):  # fmt: skip
        run = chain("a")
        run.complete("a")
        run.do(command)
        assert run.state.compensating is undoes
        if undoes:
            run.complete("a:undo")
        last = "workflow_canceled" if isinstance(command, Cancel) else "workflow_terminated"
        assert run.kinds[-1] == last


def test_the_policy_says_when_nothing_is_undone() -> None:
    """Not on failure, not on cancel; on terminate."""
    policy = {"not_on_failure": True, "not_on_cancel": True, "on_terminate": True}
    ends: list[Callable[[Run], object]] = [
        lambda run: run.fail("last"),
        lambda run: run.do(Cancel()),
        lambda run: run.do(Terminate()),
    ]
    for end, undoes in zip(ends, (False, False, True), strict=True):
        run = chain("a", compensation=policy)
        run.complete("a")
        end(run)
        assert run.state.compensating is undoes


def test_a_node_may_undo_all_at_once_when_it_fails() -> None:
    """All other running nodes are canceled."""
    run = Run(plan(undoable("a"), node("b", on_failure=COMPENSATE), node("c")))
    run.complete("a")
    run.fail("b")
    assert run.last.cancel == [("c", 1)]
    assert run.dispatched == ["a:undo"]


def test_an_undo_is_retried_and_then_waits_for_a_decision() -> None:
    """Nothing before it is compensated until a caller decides its outcome."""
    retry = {"max_attempts": 2, "initial_delay_ms": 10}
    run = Run(plan(undoable("a"), node("b", "a", undo=undo("b", retry=retry)), node("z", "b")))
    run.complete("a")
    run.complete("b")
    run.fail("z")
    run.fail("b:undo")
    run.do(TimersDue(), after_us=10_000)
    run.fail("b:undo", attempt=2)
    assert compensation_status(run.state) == 3
    assert run.state.wake_at_us == s.FAR_US
    run.steer("b:undo", "RETRY", actor="ops")
    assert run.dispatched == ["b:undo"]
    run.fail("b:undo", "ClientError", attempt=3)
    run.steer("b:undo", "SKIP")
    assert run.dispatched == ["a:undo"]
    run.complete("a:undo")
    assert run.state.ended
    assert compensation_status(run.state) == 2


def test_what_is_being_undone_can_only_be_terminated() -> None:
    """It is neither paused nor canceled, and stays half undone."""
    run = chain("a", "b")
    run.complete("a")
    run.complete("b")
    run.fail("last")
    for command in (Pause(), Cancel()):
        with pytest.raises(Unfit):
            run.do(command)
    run.do(Terminate())
    assert run.kinds[-1] == "workflow_terminated"
    assert compensation_status(run.state) == 3


def test_nothing_starts_after_the_last_event() -> None:
    """A late result of an undo that was terminated changes nothing."""
    run = chain("a")
    run.complete("a")
    run.fail("last")
    run.do(Terminate())
    assert run.complete("a:undo") is False


def test_what_a_race_lost_is_undone_too_if_it_completed() -> None:
    """The bodies of nodes that have ended are kept for that."""
    first = undoable("a")
    race = group("r", first, node("b", "a"), node("c"), race=True)
    run = Run(plan(race, node("last", "r")))
    run.complete("r[0]/a")
    run.complete("r[0]/c")
    run.fail("last")
    assert run.dispatched == ["r[0]/a:undo"]


def test_a_node_that_waits_for_a_signal_does_not_keep_it_from_stopping() -> None:
    """It is canceled with the rest."""
    run = Run(plan(node("a"), signal("w", name="go"), on_failure=STOP))
    run.fail("a")
    assert run.kinds[-2:] == ["task_canceled w", "workflow_failed"]


def test_the_failure_of_the_last_event_is_that_of_the_node() -> None:
    """Also behind an undo that took long."""
    run = chain("a")
    run.complete("a")
    run.fail("last", "CardDeclined")
    run.complete("a:undo")
    event: history.WorkflowFailed = run.events[-1].workflow_failed
    assert getattr(event.failure, "class") == "CardDeclined"
