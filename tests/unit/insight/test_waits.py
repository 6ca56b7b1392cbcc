"""The waits of each node, and the costs over many executions."""

import random
from itertools import pairwise

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import (
    Breakpoints,
    Decide,
    Pause,
    Resume,
    Signal,
    Steer,
    TaskEnded,
    TaskRuns,
    TimersDue,
)
from flowmesh.insight.bottlenecks import Ranking, percentiles
from flowmesh.insight.times import read
from flowmesh.insight.traces import Trace, Tracing, trace_of
from tests.unit.engine.drawn import STEPS_MAX, random_plan, step
from tests.unit.engine.factories import Run, each, json, node, plan, signal, undo
from tests.unit.engine.test_approvals import approval
from tests.unit.engine.test_durable import Handled, calls

MS = 1_000
HOLD = plan_pb2.NODE_FAILURE_POLICY_HOLD
RETRY = {"max_attempts": 2, "initial_delay_ms": 40, "retry_on": ["*"]}


def work(run: Run, name: str, *, waits: int = 0, runs: int = 0, attempt: int = 1) -> None:
    """A task that a worker has after `waits` ms, for `runs` ms."""
    run.do(TaskRuns(name, attempt, "w", run.now + waits * MS), after_us=waits * MS)
    run.do(TaskEnded(name, attempt, output=json(b"1")), after_us=runs * MS)


def waits(run: Run, name: str) -> list[tuple[str, float]]:
    report = trace_of("exec-1", run.state.plan, run.events, now_us=run.now)
    task = next(each for each in report.tasks if each.id == name)
    return [(each.reason, each.to_ms - each.from_ms) for each in task.waits]


def test_a_task_waits_for_others_and_for_a_worker() -> None:
    """Until the end of its dependency, then until a worker starts it."""
    run = Run(plan(node("a"), node("b", "a")))
    work(run, "a", waits=5, runs=20)
    work(run, "b", waits=7, runs=3)
    assert waits(run, "a") == [("worker", 5)]
    assert waits(run, "b") == [("dependency", 25), ("worker", 7)]


def test_limits_of_parallelism_and_of_maps_are_waits() -> None:
    """A task that was ready while another had the only place; an item beyond the concurrency."""
    run = Run(plan(node("a"), node("b"), parallelism=1))
    work(run, "a", runs=30)
    work(run, "b")
    assert waits(run, "b") == [("parallelism", 30)]
    run = Run(plan(each("m", [1, 2], node("x"), concurrency=1)))
    run.serve()
    work(run, "m[0]/x", runs=12)
    work(run, "m[1]/x")
    assert waits(run, "m[1]/x") == [("items", 12)]


def test_retries_pauses_and_signals_are_waits() -> None:
    """Each period has one reason; a pause is separate from the wait that it extends."""
    run = Run(plan(node("a", retry=RETRY), signal("s", name="go")))
    run.fail("a")
    run.do(TimersDue(), after_us=40 * MS)
    work(run, "a", attempt=2)
    assert waits(run, "a") == [("retry", 40)]
    run.do(Signal("go", json(b"1")), after_us=10 * MS)
    assert waits(run, "s") == [("signal", 50)]

    run = Run(plan(node("a")))
    run.do(Pause(), after_us=5 * MS)
    run.do(Resume(), after_us=20 * MS)
    work(run, "a", waits=2)
    assert waits(run, "a") == [("worker", 5), ("pause", 20), ("worker", 2)]


def test_the_bottleneck_is_what_cost_most_on_the_critical_path() -> None:
    """A slow task beside a slower one has slack and is not to blame."""
    run = Run(plan(node("a"), node("slow", "a"), node("quick", "a"), node("z", "slow", "quick")))
    work(run, "a", runs=10)
    work(run, "quick", runs=20)
    work(run, "slow", waits=5, runs=65)
    work(run, "z", runs=10)
    report = trace_of("exec-1", run.state.plan, run.events, now_us=run.now)
    assert report.critical_path == ["a", "slow", "z"]
    assert report.bottleneck
    assert (report.bottleneck.task_id, report.bottleneck.reason) == ("slow", "run")
    slack = {task.id: task.slack_ms for task in report.tasks}
    assert slack == {"a": 0, "slow": 0, "quick": 70, "z": 0}
    assert [task.id for task in report.tasks if task.critical] == ["a", "slow", "z"]


def test_the_critical_path_goes_through_the_item_that_ended_last() -> None:
    """A container costs nothing itself."""
    run = Run(plan(each("m", [1, 2], node("x"), concurrency=2), node("z", "m")))
    run.serve()
    work(run, "m[1]/x", runs=5)
    work(run, "m[0]/x", runs=50)
    run.serve()
    work(run, "z", runs=1)
    report = trace_of("exec-1", run.state.plan, run.events, now_us=run.now)
    assert report.critical_path == ["m", "m[0]/x", "z"]
    assert report.bottleneck
    assert report.bottleneck.task_id == "m[0]/x"


def test_many_executions_rank_their_tasks() -> None:
    """By what each cost on critical paths, with percentiles; items of maps are one task."""
    ranking = Ranking("w")
    for number in range(10):
        run = Run(plan(node("a"), each("m", [1, 2], node("x"), after=("a",), concurrency=1)))
        work(run, "a", runs=1 + number)
        run.serve()
        work(run, "m[0]/x", runs=10)
        work(run, "m[1]/x", runs=10)
        ranking.add(Tracing(run.state.plan, read(run.events), 0))
    report = ranking.report(truncated=False)
    first = report.nodes[0]
    assert (first.id, first.rank, first.runs, first.critical_in) == ("m[]/x", 1, 20, 10)
    a = next(each for each in report.nodes if each.id == "a")
    assert (a.run.p50_ms, a.run.p99_ms, a.run.count) == (6, 10, 10)
    assert report.executions == 10


def test_percentiles_are_samples() -> None:
    """None of nothing is zero."""
    found = percentiles(range(100))
    assert (found.p50_ms, found.p95_ms, found.p99_ms, found.max_ms) == (50, 95, 99, 99)
    assert percentiles([]).p99_ms == 0


@pytest.mark.parametrize("seed", range(60))
def test_waits_and_runs_fill_the_time_of_every_task(seed: int) -> None:
    """No stretch twice and none of a negative length; costs are within the duration."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    for _ in range(STEPS_MAX):
        run.serve()
        step(run, rng)
    report = trace_of("exec-1", run.state.plan, run.events, now_us=run.now)
    for task in report.tasks:
        assert all(each.to_ms > each.from_ms for each in task.waits), task
        assert all(a.to_ms <= b.from_ms for a, b in pairwise(task.waits)), task
        assert (task.slack_ms or 0) >= 0
    if report.bottleneck:
        assert report.bottleneck.ms <= report.duration_ms + 0.001
    assert len(set(report.critical_path)) == len(report.critical_path)


def test_people_are_a_reason_to_wait() -> None:
    """Held after a failure, at a breakpoint, for an approval."""
    run = Run(plan(node("a", on_failure=HOLD)))
    run.fail("a", "ClientError")
    run.do(Steer("a", execution_pb2.NODE_ACTION_RETRY), after_us=30 * MS)
    work(run, "a", attempt=2)
    assert waits(run, "a") == [("people", 30)]
    run = Run(plan(node("a"), node("b", "a")))
    run.do(Breakpoints(everywhere=True))
    work(run, "a", runs=10)
    run.do(Steer("b", execution_pb2.NODE_ACTION_CONTINUE), after_us=25 * MS)
    work(run, "b")
    assert waits(run, "b") == [("dependency", 10), ("people", 25)]
    run = Run(plan(approval()))
    run.do(Decide("ok", "ann", True), after_us=5 * MS)
    run.do(Decide("ok", "bob", True), after_us=5 * MS)
    assert waits(run, "ok") == [("people", 10)]


def undone(*, run_ms: int, failing_ms: int) -> tuple[Run, Trace]:
    """A task that ran so long, a second one that failed, and an undo of the first of 40 ms."""
    run = Run(plan(node("a", undo=undo("a")), node("b", "a")))
    work(run, "a", runs=run_ms)
    run.do(TaskRuns("b", 1, "w", run.now))
    run.now += failing_ms * MS
    run.fail("b", "ClientError")
    work(run, "a:undo", runs=40)
    return run, trace_of("exec-1", run.state.plan, run.events, now_us=run.now)


def test_undoing_is_part_of_the_critical_path() -> None:
    """It begins when what was done is to be undone, not before."""
    run, report = undone(run_ms=10, failing_ms=10)
    assert report.critical_path == ["a", "b", "a:undo"]
    assert report.bottleneck
    assert (report.bottleneck.task_id, report.bottleneck.ms) == ("a:undo", 40)
    assert waits(run, "a:undo") == []


def test_what_ran_before_an_undo_can_be_the_bottleneck() -> None:
    """The path leads through the node that failed to the undo."""
    report = undone(run_ms=500, failing_ms=0)[1]
    assert report.critical_path == ["a", "b", "a:undo"]
    assert report.bottleneck
    assert (report.bottleneck.task_id, report.bottleneck.ms) == ("a", 500)


def test_a_running_execution_names_what_it_waits_for() -> None:
    """However short the task is that ended last, beside it."""
    run = Run(plan(node("a"), node("answer", "a", signal="answer"), node("b", "a")))
    work(run, "a", runs=5)
    work(run, "b", runs=9)
    now_us = run.now + 20_000 * MS
    report = trace_of("exec-1", run.state.plan, run.events, now_us=now_us)
    assert report.critical_path == ["a", "answer"]
    assert report.bottleneck
    assert (report.bottleneck.task_id, report.bottleneck.reason) == ("answer", "signal")
    assert report.bottleneck.ms > 20_000


def test_a_durable_handler_waits_between_its_attempts() -> None:
    """Not as a retry; what it called is a task of its own."""
    run = Handled()
    run.leave(calls(0))
    work(run, "h[0]/other", runs=30)
    work(run, "h", attempt=2)
    assert waits(run, "h") == [("handler", 30)]
    report = trace_of("exec-1", run.state.plan, run.events, now_us=run.now)
    assert [task.id for task in report.tasks] == ["h", "h[0]/other"]
