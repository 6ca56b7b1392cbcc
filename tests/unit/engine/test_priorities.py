"""Ready tasks start by priority, then by waiting time, if slots are scarce."""

import random
from typing import Any

import pytest

from flowmesh.api.common.v1 import priority_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import Pause, Resume, TimersDue
from flowmesh.engine.state import state as s
from tests.draws import draws
from tests.unit.engine.factories import Run, each, group, machine, node, plan, state

LOW = priority_pb2.PRIORITY_LOW
NORMAL = priority_pb2.PRIORITY_NORMAL
HIGH = priority_pb2.PRIORITY_HIGH
CRITICAL = priority_pb2.PRIORITY_CRITICAL


def started(run: Run) -> list[str]:
    """The tasks in the order in which they were scheduled, each completed before the next."""
    order: list[str] = []
    while not run.state.ended:
        run.serve()
        (now,) = run.state.at_workers
        order.append(now)
        run.complete(now)
        assert list(run.replayed().at_workers) == list(run.state.at_workers)
    return order


def test_the_first_slot_goes_to_the_highest_priority() -> None:
    """Nodes that are ready together start by priority, those of one priority as defined."""
    given = {"low": LOW, "one": NORMAL, "critical": CRITICAL, "two": NORMAL, "high": HIGH}
    run = Run(plan(*(node(name, priority=p) for name, p in given.items()), parallelism=1))
    assert started(run) == ["critical", "high", "one", "two", "low"]


def test_what_becomes_ready_later_competes_by_priority() -> None:
    """A successor takes the slot of its predecessor only if none above it waits."""
    nodes = (
        node("a", priority=CRITICAL),
        node("low", "a", priority=LOW),
        node("urgent", "a", priority=CRITICAL),
        node("b", priority=HIGH),
    )
    assert started(Run(plan(*nodes, parallelism=1))) == ["a", "urgent", "b", "low"]


def test_priorities_hold_after_a_restart() -> None:
    """The history does not name what waits; the state made from it starts the same node."""
    nodes = [node("low", priority=LOW), node("a"), node("high", priority=HIGH), node("b")]
    run = Run(plan(*nodes, parallelism=2))
    assert run.dispatched == ["high", "a"]
    run.state = run.replayed()
    run.complete("high")
    assert run.dispatched == ["b"]


def test_items_of_a_map_wait_with_the_priority_of_their_tasks() -> None:
    """A node above them overtakes the items, one below waits until all of them have begun."""
    items = each("m", [1, 2, 3], node("x", priority=HIGH), concurrency=3)
    after = node("urgent", "first", priority=CRITICAL)
    first = node("first", priority=CRITICAL)
    run = Run(plan(node("low", priority=LOW), items, first, after, parallelism=1))
    assert started(run) == ["first", "urgent", "m[0]/x", "m[1]/x", "m[2]/x", "low"]


def test_a_group_and_a_machine_wait_with_the_priority_of_what_comes_next() -> None:
    """Their later nodes compete anew."""
    states = machine("s", 1, state("top", "rest", priority=CRITICAL), state("rest", priority=LOW))
    inner = group("g", node("x", priority=HIGH), node("y", "x", priority=LOW))
    run = Run(plan(node("a"), inner, states, parallelism=1))
    assert started(run) == ["s[0]/top", "g[0]/x", "a", "s[1]/rest", "g[0]/y"]


def test_a_resumed_execution_starts_by_priority() -> None:
    """So do nodes that became ready while it was paused."""
    timer: dict[str, Any] = {"kind": plan_pb2.NODE_KIND_TIMER, "delay_ms": 1}
    nodes = (node("t", **timer), node("low", "t", priority=LOW), node("high", "t", priority=HIGH))
    run = Run(plan(*nodes, parallelism=1))
    run.do(Pause())
    run.do(Resume())
    run.do(TimersDue(), after_us=1_000)
    assert run.dispatched == ["high"]


def test_a_plan_of_one_priority_keeps_its_order() -> None:
    """The successor of the ended node takes its slot."""
    run = Run(plan(node("a"), node("b"), node("after", "a"), parallelism=1))
    assert started(run) == ["a", "after", "b"]


@pytest.mark.parametrize("seed", range(draws(100)))
def test_no_task_starts_before_a_ready_one_above_it(seed: int) -> None:
    """In any graph: the task that starts has the highest priority of the ready ones."""
    rng = random.Random(seed)
    nodes = []
    for number in range(12):
        after = rng.sample([f"n{i}" for i in range(number)], rng.randint(0, min(2, number)))
        nodes.append(node(f"n{number}", *after, priority=rng.choice([LOW, NORMAL, HIGH])))
    run = Run(plan(*nodes, parallelism=1))
    while not run.state.ended:
        (now,) = run.state.at_workers
        planned = run.state.plan.by_id[now]
        assert all(one.priority <= planned.priority for _, one in run.state.held.values())
        assert list(run.replayed().held) == sorted(run.state.held, key=_place(run))
        run.complete(now)
    assert run.state.status == s.EXECUTION_COMPLETED


def _place(run: Run) -> Any:
    by_id = run.state.plan.by_id
    return lambda node_id: (-by_id[node_id].priority, by_id[node_id].index)
