"""The decision on each command."""

import pytest

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract import FINAL_BY_DEFAULT, NEVER_RETRIED, TEMPORARY
from flowmesh.engine import (
    DELIVERIES_MAX,
    Cancel,
    DeliveryLost,
    Ended,
    Pause,
    Resume,
    Signal,
    TaskEnded,
    TaskRuns,
    TimersDue,
)
from flowmesh.engine.state import state as s
from tests.unit.engine.factories import Run, failed, json, node, plan

RETRY = {"max_attempts": 3, "initial_delay_ms": 100, "multiplier": 2, "max_delay_ms": 150}


def test_a_start_schedules_the_roots_only() -> None:
    """Nodes with dependencies wait."""
    run = Run(plan(node("a"), node("b"), node("c", "a", "b")))
    assert run.kinds == ["workflow_started", "task_scheduled a", "task_scheduled b"]
    assert run.dispatched == ["a", "b"]


def test_a_join_waits_for_all_its_dependencies() -> None:
    """The last one to end schedules the join."""
    run = Run(plan(node("a"), node("b"), node("c", "a", "b")))
    run.complete("a")
    assert run.dispatched == []
    run.complete("b")
    assert run.dispatched == ["c"]


def test_the_first_result_brings_its_task_started() -> None:
    """TaskStarted precedes TaskCompleted though its delivery cost no commit of its own."""
    run = Run(plan(node("a")))
    run.complete("a")
    assert run.kinds[2:] == ["task_started a", "task_completed a", "workflow_completed"]


def test_a_task_that_runs_long_is_marked_once() -> None:
    """A later mark, or the result, adds no second TaskStarted."""
    run = Run(plan(node("a")))
    assert run.do(TaskRuns("a", 1, "w", 5))
    assert not run.do(TaskRuns("a", 1, "w", 5))
    run.complete("a")
    assert run.kinds.count("task_started a") == 1


def test_an_attempt_that_no_worker_begins_in_time_fails() -> None:
    """Without a retry, unless its policy names the class."""
    run = Run(plan(node("a", retry={"max_attempts": 3}, start_timeout_ms=20)))
    assert run.state.wake_at_us == run.now + 20_000
    run.do(TimersDue(), after_us=20_000)
    assert run.last.cancel == [("a", 1)]
    failure = run.state.failure
    assert failure is not None
    assert getattr(failure, "class") == "ScheduleToStartTimeout"
    assert failure.message == "no worker started it within 20 ms"


def test_a_policy_may_try_again_what_no_worker_began() -> None:
    """Each attempt has the whole time; what has begun is limited no more."""
    named = {"max_attempts": 3, "initial_delay_ms": 5, "retry_on": ["ScheduleToStartTimeout"]}
    run = Run(plan(node("a", retry=named, start_timeout_ms=20)))
    run.do(TimersDue(), after_us=20_000)
    run.do(TimersDue(), after_us=5_000)
    assert run.dispatched == ["a"]
    assert run.state.wake_at_us == run.now + 20_000
    assert run.do(TaskRuns("a", 2, "w", run.now))
    assert run.state.wake_at_us == run.replayed().wake_at_us == 0
    run.complete("a", attempt=2)
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_pause_counts_for_the_wait_for_a_worker() -> None:
    """It fails at the resume if its time is over by then."""
    run = Run(plan(node("a", start_timeout_ms=20)))
    run.do(Pause())
    run.do(TimersDue(), after_us=30_000)
    assert run.state.status == s.EXECUTION_PAUSED
    run.do(Resume())
    run.do(TimersDue())
    assert run.state.status == s.EXECUTION_FAILED


def test_a_result_is_applied_once() -> None:
    """A second delivery of the same result, and one of another attempt, change nothing."""
    run = Run(plan(node("a"), node("b", "a")))
    assert not run.complete("a", attempt=2)
    assert run.complete("a")
    before = len(run.events)
    assert not run.complete("a")
    assert not run.complete("no-such-node")
    assert len(run.events) == before


def test_a_failed_attempt_is_retried_after_its_delay() -> None:
    """Delays grow by the multiplier up to their bound; the attempt counts the first one too."""
    run = Run(plan(node("a", retry=RETRY)))
    run.fail("a")
    assert run.state.wake_at_us == run.now + 100_000
    run.do(TimersDue(), after_us=99_999)
    assert run.dispatched == []
    run.do(TimersDue(), after_us=1)
    assert run.dispatched == ["a"]
    run.fail("a", attempt=2)
    assert run.state.wake_at_us == run.now + 150_000
    run.do(TimersDue(), after_us=150_000)
    run.fail("a", attempt=3)
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure is not None
    assert run.state.failure.node == "a"


def test_a_late_result_of_an_attempt_that_is_being_retried_is_stale() -> None:
    """Between two attempts no result counts."""
    run = Run(plan(node("a", retry=RETRY)))
    run.fail("a", "Timeout")
    assert not run.complete("a")


@pytest.mark.parametrize("class_", [*FINAL_BY_DEFAULT, *NEVER_RETRIED])
@pytest.mark.parametrize("task_type", ["noop", "function", "charge-card"])
def test_what_another_try_cannot_mend_is_not_retried(task_type: str, class_: str) -> None:
    """A class that is final ends a task at once, built-in or a handler."""
    run = Run(plan(node("a", retry=RETRY), task_type=task_type))
    run.fail("a", class_)
    assert run.state.status == s.EXECUTION_FAILED


@pytest.mark.parametrize("class_", TEMPORARY)
@pytest.mark.parametrize("task_type", ["function", "charge-card"])
def test_a_temporary_failure_is_retried(task_type: str, class_: str) -> None:
    """Timeouts, network errors and the like are retried, of a built-in task or of a handler."""
    run = Run(plan(node("a", retry=RETRY), task_type=task_type))
    run.fail("a", class_)
    assert run.state.status == s.EXECUTION_RUNNING


@pytest.mark.parametrize("class_", ["ConnectionError", "Panic", "errorString", "CardDeclined"])
def test_an_error_of_a_handler_is_retried_and_that_of_sandboxed_code_is_not(class_: str) -> None:
    """Without `retryOn` the class of an exception is retried only if a handler raised it."""
    handled, sandboxed = (
        Run(plan(node("a", retry=RETRY), task_type=task_type))
        for task_type in ("charge-card", "function")
    )
    handled.fail("a", class_)
    sandboxed.fail("a", class_)
    assert handled.state.status == s.EXECUTION_RUNNING
    assert sandboxed.state.status == s.EXECUTION_FAILED


@pytest.mark.parametrize("class_", NEVER_RETRIED)
def test_no_policy_retries_what_is_final(class_: str) -> None:
    """Not even `["*"]`, or a policy that names the class."""
    for retry_on in (["*"], [class_]):
        run = Run(plan(node("a", retry={**RETRY, "retry_on": retry_on})))
        run.fail("a", class_)
        assert run.state.status == s.EXECUTION_FAILED


def test_retry_after_of_the_service_is_honoured() -> None:
    """A longer delay that the called service asked for wins over the policy's."""
    run = Run(plan(node("a", retry=RETRY)))
    run.do(TaskEnded("a", 1, failure=failed("RateLimitError", retry_after_ms=5_000)))
    assert run.state.wake_at_us == run.now + 5_000_000


def test_jitter_shortens_the_delay_by_the_draw() -> None:
    """The draw is passed in, so that the engine stays deterministic."""
    run = Run(plan(node("a", retry={**RETRY, "jitter": 1.0})))
    run.do(TaskEnded("a", 1, failure=failed(), draw=0.5))
    assert run.state.wake_at_us == run.now + 50_000


def test_dependents_of_a_failed_node_are_skipped_and_others_finish() -> None:
    """The skip goes through; the execution fails when everything has ended."""
    run = Run(plan(node("a"), node("b", "a"), node("c", "b"), node("free")))
    run.fail("a")
    assert run.state.status == s.EXECUTION_RUNNING
    run.complete("free")
    assert run.state.status == s.EXECUTION_FAILED
    statuses = [run.state.scope.nodes[i].status for i in range(4)]
    assert statuses == [s.FAILED, s.SKIPPED, s.SKIPPED, s.COMPLETED]


def test_a_failure_that_is_not_critical_does_not_fail_the_execution() -> None:
    """Its dependents are skipped nevertheless."""
    run = Run(plan(node("a", critical=False), node("b", "a"), node("c")))
    run.fail("a")
    run.complete("c")
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_false_gate_skips_what_is_behind_it() -> None:
    """The execution completes."""
    run = Run(plan(node("if", gate=True), node("b", "if"), node("c", "b")))
    run.complete("if", b"false")
    assert run.state.status == s.EXECUTION_COMPLETED
    assert run.kinds[-3:] == ["task_skipped b", "task_skipped c", "workflow_completed"]


def test_a_task_held_back_runs_once_though_two_dependencies_ended_together() -> None:
    """Both dependencies ended in the same step."""
    timer = {"kind": plan_pb2.NODE_KIND_TIMER, "delay_ms": 1}
    run = Run(
        plan(node("a"), node("t", **timer), node("u", **timer), node("b", "t", "u"), parallelism=1)
    )
    run.do(TimersDue(), after_us=1_000)
    run.complete("a")
    run.complete("b")
    assert run.state.status == s.EXECUTION_COMPLETED
    assert run.kinds.count("task_scheduled b") == 1


def test_parallelism_bounds_the_open_tasks() -> None:
    """Ready nodes beyond the limit wait, also after the history was replayed."""
    run = Run(plan(*(node(f"n{i}") for i in range(5)), parallelism=2))
    assert run.dispatched == ["n0", "n1"]
    assert list(run.replayed().held) == ["n2", "n3", "n4"]
    run.complete("n0")
    assert run.dispatched == ["n2"]


def test_a_timer_holds_no_worker() -> None:
    """It fires when due, and not before."""
    run = Run(plan(node("wait", kind=plan_pb2.NODE_KIND_TIMER, delay_ms=100), node("b", "wait")))
    assert run.dispatched == []
    run.do(TimersDue(), after_us=99_999)
    assert run.state.node("b") is None
    run.do(TimersDue(), after_us=1)
    assert run.dispatched == ["b"]


def test_a_no_op_ends_at_once() -> None:
    """A chain of them needs no worker and no second command."""
    noop = {"kind": plan_pb2.NODE_KIND_NOOP}
    run = Run(plan(node("a", **noop), node("b", "a", **noop)))
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_lost_delivery_goes_out_again_until_it_is_poison() -> None:
    """Each later delivery is committed with its number; after the fifth the node fails."""
    run = Run(plan(node("a", retry=RETRY)))
    for delivery in range(2, DELIVERIES_MAX + 1):
        run.do(DeliveryLost("a", 1))
        assert run.events[-1].task_started.delivery == delivery
        assert run.dispatched == ["a"]
    run.do(DeliveryLost("a", 1))
    failure = run.state.failure
    assert isinstance(failure, failure_pb2.Failure)
    assert getattr(failure, "class") == "POISON"


def test_a_cancel_ends_open_nodes_and_tells_their_workers() -> None:
    """Nothing follows from a result that comes later; a second cancel is refused."""
    run = Run(plan(node("a"), node("b", "a")))
    run.do(Cancel("enough"))
    assert run.last.cancel == [("a", 1)]
    assert run.state.status == s.EXECUTION_CANCELED
    assert not run.complete("a")
    with pytest.raises(Ended):
        run.do(Cancel("again"))


def test_a_command_with_a_known_request_id_changes_nothing() -> None:
    """The repeat of a cancel or signal finds that it was done."""
    run = Run(plan(node("a")))
    run.do(Signal("go", json(b"1"), request_id="r1"))
    run.do(Signal("go", json(b"1"), request_id="r1"))
    assert len(run.state.signals) == 1
    run.do(Cancel("", request_id="r2"))
    before = len(run.events)
    run.do(Cancel("", request_id="r2"))
    assert len(run.events) == before


def test_an_execution_over_its_time_fails() -> None:
    """Open nodes are canceled with it."""
    run = Run(plan(node("a"), timeout_ms=10))
    run.do(TimersDue(), after_us=10_000)
    assert run.state.status == s.EXECUTION_FAILED
    assert run.last.cancel == [("a", 1)]


def test_the_output_is_rendered_from_the_nodes() -> None:
    """`output` templates see the input and every output."""
    template = b'{"sum": "{{tasks.a.output.n}}", "who": "{{input.who}}"}'
    run = Run(plan(node("a"), output_template=template), b'{"who": "me"}')
    run.complete("a", b'{"n": 3}')
    assert run.state.output is not None
    assert run.state.output.data == b'{"sum":3,"who":"me"}'


def test_an_output_that_cannot_be_rendered_fails_the_execution() -> None:
    """The message names what is missing."""
    run = Run(plan(node("a"), output_template=b'"{{tasks.a.output.n}}"'))
    run.complete("a", b"{}")
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure is not None
    assert "n" in run.state.failure.message


def test_a_task_that_was_refused_never_began_and_is_not_tried_again() -> None:
    """It fails alone, with any retry policy."""
    run = Run(plan(node("a", retry={**RETRY, "retry_on": ["*"]})))
    run.do(TaskEnded("a", 1, failure=failed("PERMISSION_DENIED"), begun=False))
    assert run.kinds[-2:] == ["task_failed a", "workflow_failed"]
    assert "task_started a" not in run.kinds
