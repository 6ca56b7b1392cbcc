"""Explanations: each cause is found in its case and in no other."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import Breakpoints, Cancel, NodeState, Pause, State, TaskRuns
from flowmesh.insight import cases
from flowmesh.insight.cases import Case, Lease, Queue
from flowmesh.insight.causes import TEXTS, Cause, Explanation
from flowmesh.insight.diagnosing import diagnose
from flowmesh.insight.explaining import NoSuchNode, explain
from flowmesh.insight.rules import STATES_MIN
from flowmesh.plan import Plan, PlanNode
from tests.unit.engine.drawn import STEPS_MAX, random_plan, step
from tests.unit.engine.factories import (
    Run,
    each,
    edge,
    machine,
    node,
    plan,
    signal,
    state,
    undo,
)
from tests.unit.engine.test_approvals import approval, decide
from tests.unit.engine.test_durable import Handled, calls, sleeps, waits

HOLD = plan_pb2.NODE_FAILURE_POLICY_HOLD
RETRY = {"max_attempts": 3, "initial_delay_ms": 60_000}


@dataclass
class Owner:
    """The live data of an orchestrator: one queue for all tasks, and the leases."""

    workers: int = 1
    free: int = 1
    leases: dict[str, Lease] | None = None
    limit: str = ""

    def lease(self, _state: State, at: NodeState) -> Lease | None:
        return (self.leases or {}).get(at.id)

    def held_by(self, _state: State, _node: NodeState) -> str:
        return self.limit

    def queue(self, _plan: Plan, _node: PlanNode) -> Queue:
        return Queue(self.workers, self.free, waiting=3)


def why(run: Run, task: str = "", live: Owner | None = None, **case: Any) -> Explanation:
    return explain(Case(run.state, run.now, live or Owner(), **case), task)


def causes(report: Explanation) -> list[tuple[Cause, str]]:
    return [(each.cause, each.task_id or "") for each in report.findings]


def test_a_task_without_a_worker_names_its_queue_and_type() -> None:
    """Without a worker the text names the queue, the remedy the worker to start."""
    report = why(Run(plan(node("a", queue="gpu"))), live=Owner(workers=0))
    assert causes(report) == [(Cause.NO_WORKER, "a")]
    assert report.findings[0].text == "no worker takes work from queue gpu"
    assert report.findings[0].remedy.startswith("start a worker for work")


def test_busy_workers_and_a_free_one_are_distinguished() -> None:
    """All slots taken is a wait; a free slot means that it leaves now."""
    run = Run(plan(node("a")))
    assert causes(why(run, live=Owner(free=0))) == [(Cause.WORKERS_BUSY, "a")]
    assert causes(why(run, live=Owner(free=1))) == [(Cause.DISPATCHING, "a")]


def test_a_limit_that_holds_a_task_back_is_named() -> None:
    """The limit precedes the workers, which may be free."""
    (found,) = why(Run(plan(node("a"))), live=Owner(limit="the limit key/ada")).findings
    assert (found.cause, "the limit key/ada" in found.text) == (Cause.LIMIT, True)


def test_a_task_at_a_worker_says_until_when() -> None:
    """With a limit it is over by itself; without one nothing ends it; a lost worker is named."""
    limited, free = Run(plan(node("a", timeout_ms=1_000))), Run(plan(node("a")))
    lease = Lease("w-1", since_us=free.now, until_us=free.now + 1_000_000, there=True)
    found = why(limited, live=Owner(leases={"a": lease})).findings[0]
    assert (found.cause, found.text) == (Cause.RUNNING, "attempt 1 runs at w-1")
    again = Run(plan(node("a", timeout_ms=1_000, repeatable=True)))
    said = [why(again, live=Owner(leases={"a": lease})).findings[0].text]
    again.do(TaskRuns("a", 1, "w-1", again.now, 2))
    said.append(why(again, live=Owner(leases={"a": lease})).findings[0].text)
    assert [text.removeprefix("attempt 1 runs at w-1") for text in said] == [
        " (repeatable: it may run again)",
        " in delivery 2, as a run before was lost or discarded",
    ]
    assert found.until
    assert causes(why(free, live=Owner(leases={"a": lease}))) == [
        (Cause.RUNNING_WITHOUT_LIMIT, "a")
    ]
    away = Lease("w-1", free.now, 0, there=False)
    assert causes(why(free, live=Owner(leases={"a": away}))) == [(Cause.WORKER_AWAY, "a")]


def test_a_retry_says_why_and_when() -> None:
    """The error of the last attempt, which attempt it was, and when the next is due."""
    run = Run(plan(node("a", retry=RETRY)))
    run.fail("a")
    (found,) = why(run).findings
    assert (found.cause, bool(found.until)) == (Cause.RETRY_BACKOFF, True)
    assert "attempt 1 of 3 failed (ServerError: it broke)" in found.text
    assert why(run).next_at == found.until


def test_timers_and_signals_are_named() -> None:
    """A timer with its time, a signal with the command that sends it."""
    nap = node("nap", kind=plan_pb2.NODE_KIND_TIMER, delay_ms=5_000)
    run = Run(plan(nap, signal("wait", name="go"), timeout_ms=60_000))
    report = why(run)
    assert causes(report) == [(Cause.TIMER, "nap"), (Cause.SIGNAL, "wait")]
    assert "flowmesh signal exec-1 go" in report.findings[1].remedy
    assert report.ends_by


def test_a_pause_names_its_actor_and_reason() -> None:
    """Only the pause is reported, not the nodes that wait because of it."""
    run = Run(plan(node("a")))
    run.do(Pause("a look", "", "ada"))
    report = why(run, pause=run.events[-1])
    assert causes(report) == [(Cause.PAUSED, "")]
    assert report.findings[0].text == "it is paused by ada (a look)"


def test_a_partition_without_owner_is_the_cause() -> None:
    """Without an owner nothing more is known of the workers."""
    run = Run(plan(node("a")))
    report = explain(Case(run.state, run.now, None, partition=7))
    assert causes(report) == [(Cause.PARTITION_UNOWNED, "")]
    assert "partition 7" in report.findings[0].text


def test_a_pending_task_leads_to_what_its_dependencies_wait_for() -> None:
    """Along the chain to the innermost: c waits for b, b for a, and a for a worker."""
    run = Run(plan(node("a"), node("b", "a"), node("c", "b")))
    assert causes(why(run, "c", Owner(workers=0))) == [
        (Cause.DEPENDENCY, "c"),
        (Cause.DEPENDENCY, "b"),
        (Cause.NO_WORKER, "a"),
    ]


def test_a_join_of_any_waits_for_one_of_its_edges() -> None:
    """It names the edges that may still be taken."""
    rules = [edge(0, on_failure=True)]
    made = plan(node("a"), node("b"), node("c", "a", "b", join=plan_pb2.JOIN_ANY, edges=rules))
    run = Run(made)
    run.complete("a")
    found = why(run, "c").findings[0]
    assert (found.cause, found.because_of) == (Cause.JOIN, ["b"])


def test_a_task_of_an_item_that_is_over_has_ended() -> None:
    """Also while other items of the map run, and after the map."""
    run = Run(plan(each("m", [1, 2], node("x"), concurrency=1), node("after", "m")))
    run.serve()
    run.complete("m[0]/x")
    assert causes(why(run, "m[0]/x")) == [(Cause.NODE_ENDED, "m[0]/x")]
    run.complete("m[1]/x")
    assert causes(why(run, "m[1]/x")) == [(Cause.NODE_ENDED, "m[1]/x")]


def test_limits_of_the_execution_and_of_a_map() -> None:
    """Ready tasks beyond the parallelism, and items of a map beyond its concurrency."""
    run = Run(plan(node("a"), node("b"), parallelism=1))
    assert causes(why(run)) == [(Cause.DISPATCHING, "a"), (Cause.PARALLELISM, "b")]
    assert causes(why(run, "b")) == [(Cause.PARALLELISM, "b")]
    run = Run(plan(each("m", [1, 2, 3], node("x"), concurrency=2)))
    run.serve()
    assert causes(why(run)) == [(Cause.DISPATCHING, "m[0]/x"), (Cause.DISPATCHING, "m[1]/x")]
    assert causes(why(run, "m"))[0] == (Cause.MAP_CONCURRENCY, "m")
    assert causes(why(run, "m[2]/x"))[:2] == [
        (Cause.NOT_REACHED, "m[2]/x"),
        (Cause.MAP_CONCURRENCY, "m"),
    ]
    run.complete("m[0]/x")
    assert (Cause.BODY_RUNS, "m") in causes(why(run, "m"))


def test_a_map_whose_items_are_not_known_yet() -> None:
    """It asked for them and they have not come."""
    assert causes(why(Run(plan(each("m", [1], node("x")))))) == [(Cause.INPUT_PREPARED, "m")]


def test_a_looping_machine_is_named_with_its_states() -> None:
    """Long before its bound: a circle at run time is what never ends."""
    run = Run(plan(machine("loop", 1, state("a", "b"), state("b", "a"))))
    run.serve()
    for _ in range(STATES_MIN):
        (open_one,) = run.state.at_workers
        run.complete(open_one)
    report = why(run)
    assert (Cause.GOES_ROUND, "loop") in causes(report)
    assert "among a, b" in report.findings[0].text


def test_what_has_ended_waits_for_nothing() -> None:
    """An execution, and a node of a running one; an unknown node is refused."""
    run = Run(plan(node("a"), node("b", "a")))
    run.complete("a")
    assert causes(why(run, "a")) == [(Cause.NODE_ENDED, "a")]
    with pytest.raises(NoSuchNode):
        why(run, "zzz")
    run.do(Cancel("enough"))
    assert causes(why(run)) == [(Cause.ENDED, "")]


def test_a_definition_is_diagnosed_before_it_runs() -> None:
    """No worker, no limit, one that is too short, a signal that may never come."""
    made = plan(node("a"), signal("s", name="go"))
    found = diagnose(made, Owner(workers=0)).findings
    assert [each.cause for each in found] == [
        Cause.NO_WORKER,
        Cause.LIMIT_MISSING,
        Cause.SIGNAL_WITHOUT_LIMIT,
    ]
    short = plan(node("a", timeout_ms=3_000), timeout_ms=2_000)
    (found_one,) = diagnose(short, None).findings
    assert (found_one.cause, found_one.details["needed_ms"]) == (Cause.LIMIT_TOO_SHORT, 3_000)


def test_every_cause_has_its_texts() -> None:
    """The enum and the table say the same."""
    assert set(TEXTS) == set(Cause)


@pytest.mark.parametrize("seed", range(40))
def test_every_open_execution_has_a_cause(seed: int) -> None:
    """For any schedule: never no finding, never an unknown state."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    for _ in range(STEPS_MAX):
        found = causes(why(run, live=Owner(leases={})))
        assert found
        assert not {cause for cause, _ in found} & {Cause.OTHER, Cause.NOTHING_OPEN}
        for planned in run.state.plan.all_nodes():
            if planned.id in run.state.plan.by_id:
                assert why(run, planned.id).findings
        step(run, rng)
        run.serve()


def test_one_long_explanation_is_cut() -> None:
    """The counts are of all findings."""
    run = Run(plan(*(node(f"n{i}") for i in range(cases.FINDINGS_MAX + 5))))
    report = why(run, live=Owner(workers=0))
    assert len(report.findings) == cases.FINDINGS_MAX
    assert report.counts == {Cause.NO_WORKER: cases.FINDINGS_MAX + 5}
    assert report.truncated


def test_a_started_task_without_a_lease_is_queued_again() -> None:
    """After a change of owner without a claim it waits for a worker."""
    run = Run(plan(node("a")))
    run.do(TaskRuns("a", 1, "w", run.now))
    assert causes(why(run)) == [(Cause.DISPATCHING, "a")]


def test_people_are_waited_for_by_name() -> None:
    """The people left, and the command to approve."""
    run = Run(plan(approval()))
    decide(run, "ann")
    (found,) = why(run).findings
    assert (found.cause, found.text) == (
        Cause.APPROVAL,
        "it waits for approval by bob (1 left)",
    )
    assert "flowmesh approve exec-1 ok" in found.remedy


def test_nodes_that_wait_for_a_decision_are_reported() -> None:
    """A task that failed and is held, a breakpoint, and what stands behind them."""
    run = Run(plan(node("a", on_failure=HOLD), node("b", "a")))
    run.fail("a", "ClientError")
    assert causes(why(run)) == [(Cause.ON_HOLD, "a")]
    assert causes(why(run, "b")) == [(Cause.DEPENDENCY, "b"), (Cause.ON_HOLD, "a")]
    assert "flowmesh retry exec-1 a" in why(run).findings[0].remedy
    run = Run(plan(node("a"), node("b", "a")))
    run.do(Breakpoints(everywhere=True))
    run.complete("a")
    assert causes(why(run)) == causes(why(run, "b")) == [(Cause.BREAKPOINT, "b")]


def test_what_is_undone_holds_back_the_end() -> None:
    """The nodes left to compensate, their undo nodes, and the failed one."""
    run = Run(plan(node("a", undo=undo("a")), node("b", "a")))
    assert causes(why(run, "a:undo")) == [(Cause.UNDO, "a:undo")]
    run.complete("a")
    run.fail("b", "ClientError")
    assert causes(why(run)) == [(Cause.COMPENSATING, ""), (Cause.DISPATCHING, "a:undo")]
    run.fail("a:undo", "ClientError")
    assert causes(why(run)) == [(Cause.COMPENSATING, ""), (Cause.UNDO_FAILED, "a:undo")]


def test_a_durable_handler_waits_for_what_it_asked_for() -> None:
    """The sleep with its end, the signal by its name; the task that it called says for itself."""
    run = Handled()
    run.leave(sleeps(0), waits(1, "go"))
    (found,) = why(run).findings
    assert (found.cause, found.text) == (
        Cause.HANDLER,
        "its handler waits for a sleep, the signal go",
    )
    assert found.until
    run = Handled()
    run.leave(calls(0))
    assert causes(why(run)) == [(Cause.DISPATCHING, "h[0]/other")]
    assert causes(why(run, "h[0]/other")) == [(Cause.DISPATCHING, "h[0]/other")]
