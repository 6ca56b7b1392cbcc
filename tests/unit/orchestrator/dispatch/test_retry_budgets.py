"""Retry budgets of workflows and of called hosts."""

from typing import Any

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.engine import TaskEnded
from flowmesh.orchestrator.limits.retry_budgets import RetryBudgets
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.storage.stores.limit_store import LimitRow
from flowmesh.plan import Plan, compile_plan
from flowmesh.runtime import Clock
from tests.unit.engine.factories import Run, failed, node, plan, undo

LIMITS = plan_pb2.Limits(retry_ratio=0.1)


def limit(kind: int, subject: str, **numbers: Any) -> LimitRow:
    """Return a limit with some numbers, the others 0."""
    row = LimitRow("default", kind, subject, 0, 0.0, 0, 0, 0, 0.0, "", "", 0)
    return row._replace(**numbers)


async def test_retries_beyond_the_budget_of_a_workflow_are_not_made() -> None:
    """A share of the tasks that began, and always a few; the failure carries the decision."""
    retry = failure_pb2.RetryPolicy(max_attempts=3)
    run = Run(plan(node("pay", retry=retry), limits=LIMITS))
    budgets = RetryBudgets(Clock())
    (begun,) = run.state.at_workers.values()
    of, rules, failure = run.state.plan, Rules(), failed("ServerError")
    for _ in range(200):
        budgets.begun(rules, of, begun.planned)
    spent = [budgets.spent(rules, of, begun, failure) for _ in range(25)]
    assert spent == [False] * 20 + [True] * 5
    assert not budgets.spent(rules, of, begun, failed("ClientError"))

    run.do(TaskEnded("pay", 1, failure=failure, spent=True))
    assert [event.WhichOneof("event") for event in run.last.history.events][-2:] == [
        "task_failed",
        "workflow_failed",
    ]


class Minutes(Clock):
    """A clock that a test sets, in seconds."""

    seconds = 0.0

    def monotonic_ms(self) -> float:
        return self.seconds * 1_000


async def test_a_budget_is_of_the_last_minute() -> None:
    """What was spent in the half before counts; after a minute without tasks nothing does."""
    run = Run(plan(node("pay", retry=failure_pb2.RetryPolicy(max_attempts=3)), limits=LIMITS))
    clock, failure = Minutes(), failed("ServerError")
    budgets, rules, of = RetryBudgets(clock), Rules(), run.state.plan
    (begun,) = run.state.at_workers.values()
    for _ in range(200):
        budgets.begun(rules, of, begun.planned)
    spent = [budgets.spent(rules, of, begun, failure) for _ in range(15)]
    clock.seconds = 31
    spent += [budgets.spent(rules, of, begun, failure) for _ in range(6)]
    assert spent == [False] * 20 + [True]
    clock.seconds = 62
    assert [budgets.spent(rules, of, begun, failure) for _ in range(6)] == [False] * 5 + [True]
    clock.seconds = 125
    assert [budgets.spent(rules, of, begun, failure) for _ in range(11)] == [False] * 10 + [True]


async def test_an_undo_is_retried_beyond_the_budget() -> None:
    """Nothing else would undo it, and no budget comes back to what has failed for good."""
    undoing = undo("pay", retry=failure_pb2.RetryPolicy(max_attempts=100))
    run = Run(plan(node("pay", undo=undoing), node("ship", "pay"), limits=LIMITS))
    run.complete("pay")
    run.do(TaskEnded("ship", 1, failure=failed("ClientError")))
    (begun,) = run.state.at_workers.values()
    assert begun.id == "pay:undo"
    budgets = RetryBudgets(Clock())
    spent = [budgets.spent(Rules(), run.state.plan, begun, failed()) for _ in range(20)]
    assert spent == [False] * 20


def calling(retry: failure_pb2.RetryPolicy | None = None) -> Plan:
    """A workflow with a budget whose only task calls api.example."""
    message = plan_pb2.Plan(namespace="default", workflow_id="w", limits=LIMITS)
    config = b'{"url": "https://me:secret@Api.example/pay"}'
    message.specs.add(digest="d", task_type="http.request", config=config)
    message.nodes.add(id="pay", kind=plan_pb2.NODE_KIND_TASK, retry=retry)
    return compile_plan(message)


UPSTREAM = limit(pb.LIMIT_KIND_UPSTREAM, "api.example", retries=0.1)


def test_retries_are_counted_by_what_is_called_too() -> None:
    """For all workflows that call it; a limit set at run time replaces the defined one."""
    calls = calling()
    (pay,) = calls.nodes
    workflow = limit(pb.LIMIT_KIND_WORKFLOW, "w", retries=2.0)
    assert Rules().budgets(calls, pay) == (("workflow:w", 0.1),)
    both = Rules([UPSTREAM, workflow]).budgets(calls, pay)
    assert both == (("workflow:w", 2.0), ("upstream:api.example", 0.1))
    assert Rules([limit(pb.LIMIT_KIND_WORKFLOW, "w", concurrency=3)]).budgets(calls, pay) == ()


def test_one_budget_that_is_spent_is_enough() -> None:
    """And a retry that is not made counts for none."""
    calls = calling(failure_pb2.RetryPolicy(max_attempts=3))
    (begun,) = Run(calls).state.at_workers.values()
    workflow = limit(pb.LIMIT_KIND_WORKFLOW, "w", retries=1.0)
    both, one = Rules([UPSTREAM, workflow]), Rules([workflow])
    budgets, failure = RetryBudgets(Clock()), failed("ServerError")
    for _ in range(100):
        budgets.begun(both, calls, begun.planned)
    spent = [budgets.spent(both, calls, begun, failure) for _ in range(15)]
    assert spent == [False] * 10 + [True] * 5
    left = [budgets.spent(one, calls, begun, failure) for _ in range(91)]
    assert left == [False] * 90 + [True]
