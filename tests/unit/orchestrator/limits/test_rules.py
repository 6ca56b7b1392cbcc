"""Limits and stops that are set at run time, and what a task needs of them."""

from typing import Any

import orjson
import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.orchestrator.limits.ready_queues import Need
from flowmesh.orchestrator.limits.rules import Kind, Rules, rule_parts, upstream_of
from flowmesh.orchestrator.storage.stores.limit_store import DispatchStop, LimitRow
from flowmesh.plan import Plan, PlanNode, compile_plan

DECLARED = Need("key:customer", "key:customer/7", concurrency=2)
HOST = "api.example:8080"


def limit(kind: Kind, subject: str = "", namespace: str = "default", **values: Any) -> LimitRow:
    numbers: dict[str, Any] = dict.fromkeys(
        ("concurrency", "rate", "burst", "weight", "max_size", "retries"), 0
    )
    who = {"actor": "ann", "reason": "", "updated_at": 0}
    return LimitRow(namespace=namespace, kind=kind, subject=subject, **numbers | who | values)


def stop(workflow: str, *, refuses_starts: bool = False) -> DispatchStop:
    return DispatchStop("default", workflow, "", "ann", 0, refuses_starts)


def spec(task_type: str = "http.request", **config: Any) -> plan_pb2.TaskSpec:
    return plan_pb2.TaskSpec(task_type=task_type, config=orjson.dumps(config), digest="s")


def task(retry_ratio: float = 0.0) -> tuple[Plan, PlanNode]:
    """Return a plan `w` with the task `a`, which calls HOST, and the task."""
    message = plan_pb2.Plan(digest="d", namespace="default", workflow_id="w", version=1)
    if retry_ratio:
        message.limits.retry_ratio = retry_ratio
    message.specs.append(spec(url=f"https://me@{HOST}/orders?all"))
    message.nodes.add(id="a", kind=plan_pb2.NODE_KIND_TASK, queue="slow")
    made = compile_plan(message)
    return made, made.nodes[0]


def test_a_task_needs_every_limit_that_names_it_the_widest_first() -> None:
    """Limits of other names, namespaces and queues are not its limits."""
    kinds = (
        (pb.LIMIT_KIND_UPSTREAM, HOST),
        (pb.LIMIT_KIND_NODE, "w/a"),
        (pb.LIMIT_KIND_TASK_TYPE, "http.request"),
        (pb.LIMIT_KIND_WORKFLOW, "w"),
        (pb.LIMIT_KIND_QUEUE, "slow"),
        (pb.LIMIT_KIND_NAMESPACE, ""),
    )
    others = (
        limit(pb.LIMIT_KIND_NODE, "w/b", concurrency=1),
        limit(pb.LIMIT_KIND_WORKFLOW, "w", namespace="other", concurrency=1),
    )
    rules = Rules([*(limit(*each, concurrency=1) for each in kinds), *others], version=3)
    found = rules.needs(*task(), (DECLARED,))
    assert [each.rule for each in found] == [
        *("namespace:", "queue:slow", "workflow:w", "type:http.request", "node:w/a"),
        *("key:customer", f"upstream:{HOST}"),
    ]
    assert {each.version for each in found} == {3}
    assert found[5].concurrency == 2
    assert [each.rule for each in Rules(others, version=3).needs(*task(), ())] == []


def test_a_declared_limit_is_needed_once() -> None:
    """The limit of the definition and that of run time have one name."""
    declared = Need("workflow:w", "workflow:w", concurrency=2)
    rules = Rules([limit(pb.LIMIT_KIND_WORKFLOW, "w", concurrency=1)], version=1)
    assert [each.rule for each in rules.needs(*task(), (declared,))] == ["workflow:w"]


def test_without_limits_the_declared_ones_are_needed() -> None:
    """A version that has none is the version of the need."""
    assert Rules().needs(*task(), (DECLARED,)) == (DECLARED,)
    assert [each.version for each in Rules(version=2).needs(*task(), (DECLARED,))] == [2]


def test_values_are_those_of_run_time_or_of_the_definition() -> None:
    """A need of a later version has none yet."""
    rules = Rules([limit(pb.LIMIT_KIND_WORKFLOW, "w", concurrency=5, rate=2.5, burst=3)], version=2)
    assert rules.limit_values("default", Need("workflow:w", "", version=2)) == (5, 2.5, 3)
    assert rules.limit_values("other", DECLARED) == (2, 0.0, 0)
    assert rules.limit_values("default", Need("workflow:w", "", version=3)) is None


def test_a_stop_holds_a_workflow_or_the_whole_namespace() -> None:
    """The stop of the namespace is found first; some refuse starts too."""
    both = Rules(stops=[stop(""), stop("w", refuses_starts=True)])
    assert both.stop_of("default", "w") == ("default", "")
    assert both.stop_of("other", "w") is None
    one = Rules(stops=[stop("w")])
    assert (one.stop_of("default", "w"), one.stop_of("default", "v")) == (("default", "w"), None)
    assert both.refuses_starts("default", "w")
    assert not both.refuses_starts("default", "v")
    assert not one.refuses_starts("default", "w")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(), False),
        (Rules(stops=[stop("w")]), True),
        (Rules([limit(pb.LIMIT_KIND_WORKFLOW, "w", concurrency=1)]), True),
        (Rules([limit(pb.LIMIT_KIND_WORKFLOW, "w", rate=0.5)]), True),
        (Rules([limit(pb.LIMIT_KIND_NAMESPACE, weight=2)]), False),
    ],
)
def test_tasks_are_checked_where_something_may_hold_them(rules: Rules, expected: bool) -> None:
    """A weight or a size holds no task back."""
    assert rules.any is expected


def test_weights_and_sizes() -> None:
    """Without a weight a namespace has 1; a size of 0 is none."""
    rows = [
        limit(pb.LIMIT_KIND_NAMESPACE, weight=4),
        limit(pb.LIMIT_KIND_NAMESPACE, namespace="other", concurrency=1),
        limit(pb.LIMIT_KIND_QUEUE, "slow", max_size=7),
        limit(pb.LIMIT_KIND_QUEUE, "quick", concurrency=1),
    ]
    rules = Rules(rows)
    assert [rules.weight(each) for each in ("default", "other", "third")] == [4, 1, 1]
    assert rules.sizes == {("default", "slow"): 7}


def test_retry_budgets_of_a_task() -> None:
    """The share of run time replaces that of the definition; that of the upstream is beside it."""
    workflow = limit(pb.LIMIT_KIND_WORKFLOW, "w", retries=0.5)
    upstream = limit(pb.LIMIT_KIND_UPSTREAM, HOST, retries=0.1)
    assert Rules().budgets(*task()) == ()
    assert Rules().budgets(*task(0.25)) == (("workflow:w", 0.25),)
    assert Rules([workflow]).budgets(*task(0.25)) == (("workflow:w", 0.5),)
    both = Rules([workflow, upstream]).budgets(*task())
    assert both == (("workflow:w", 0.5), (f"upstream:{HOST}", 0.1))
    elsewhere = limit(pb.LIMIT_KIND_UPSTREAM, "other.example", retries=0.1)
    counted = limit(pb.LIMIT_KIND_UPSTREAM, HOST, concurrency=1)
    assert Rules([elsewhere, counted]).budgets(*task()) == ()


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (spec(url="https://me:secret@API.example:443/x?y"), "api.example:443"),
        (spec(url="https://api.example?y=/z"), "api.example"),
        (spec(url="https://{{ input.host }}/x"), ""),
        (spec(url=7), ""),
        (spec(), ""),
        (spec("work", url="https://api.example"), ""),
        (plan_pb2.TaskSpec(task_type="http.request"), ""),
    ],
)
def test_the_upstream_of_a_task_is_its_literal_host(made: plan_pb2.TaskSpec, expected: str) -> None:
    """One with a template, or of a type that calls nothing, has none."""
    assert upstream_of(made) == expected


def test_names_of_rules() -> None:
    """A subject may have colons of its own."""
    assert rule_parts(f"upstream:{HOST}") == (pb.LIMIT_KIND_UPSTREAM, HOST)
