"""Replaying a history gives the state that live execution had, whatever the schedule."""

import random

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import (
    Cancel,
    DeliveryLost,
    Signal,
    State,
    TaskRuns,
    TimersDue,
    restore_held,
)
from flowmesh.orchestrator.snapshots import restore, snapshot
from tests.unit.engine.factories import Run, json, node, plan

RETRY = {"max_attempts": 3, "initial_delay_ms": 10, "multiplier": 2}
CLASSES = ["ServerError", "ClientError"]


def random_plan(rng: random.Random) -> object:
    """Up to twelve nodes of all kinds, each after some earlier ones."""
    nodes = []
    for number in range(rng.randint(1, 12)):
        earlier = [f"n{i}" for i in range(number)]
        after = rng.sample(earlier, rng.randint(0, min(3, number)))
        kind = rng.choice([1, 1, 1, 1, 2, 3])
        fields = {"kind": kind, "critical": rng.random() < 0.8, "gate": rng.random() < 0.2}
        if kind == plan_pb2.NODE_KIND_TIMER:
            fields["delay_ms"] = rng.randint(1, 20)
        if rng.random() < 0.6:
            fields["retry"] = RETRY
        if rng.random() < 0.3:
            fields["queue"] = rng.choice(["slow", "fast"])
        nodes.append(node(f"n{number}", *after, **fields))
    return plan(*nodes, parallelism=rng.choice([0, 0, 1, 2]))


def step(run: Run, rng: random.Random) -> None:
    """One random command: results right, wrong and late, lost workers, time, signals."""
    state = run.state
    nodes = state.plan.nodes
    index = rng.choice(list(state.scope.at_workers) or [0])
    known = state.node(index)
    attempt = known.attempt if known is not None and rng.random() < 0.9 else rng.randint(1, 4)
    match rng.randint(0, 9):
        case 0 | 1 | 2 | 3:
            run.complete(nodes[index].id, rng.choice([b"null", b"false", b'{"a":1}']), attempt)
        case 4 | 5:
            run.fail(nodes[index].id, rng.choice(CLASSES), attempt)
        case 6:
            run.do(TaskRuns(nodes[index].id, attempt, "w", run.now))
        case 7:
            run.do(DeliveryLost(nodes[index].id, attempt))
        case 8:
            run.do(TimersDue(), after_us=rng.randint(0, 30_000))
        case 9 if not state.ended:
            run.do(Signal("s", json(b"1"), request_id=rng.choice(["", "r1", "r2"])))


def facts(state: State) -> object:
    """Everything about a state that decisions depend on."""
    nodes = {
        index: [getattr(one, name) for name in type(one).__slots__]
        for index, one in sorted(state.scope.nodes.items())
    }
    scope = state.scope
    return (
        state.status, state.sequence, nodes, scope.waiting, scope.open_count, scope.running_count,
        sorted(scope.at_workers), sorted(scope.open_lanes.items()), sorted(scope.held),
        state.timers, state.requests, state.failed_node,
        [one.SerializeToString() for one in state.signals],
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(1000))
def test_replay_equals_live(seed: int) -> None:
    """State, snapshot and history agree after any schedule, and every execution comes to an end."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))  # type: ignore[arg-type]
    for _ in range(400):
        if run.state.ended:
            break
        step(run, rng)
        if rng.random() < 0.02 and not run.state.ended:
            run.do(Cancel("by chance"))
    while not run.state.ended:
        run.do(TimersDue(), after_us=100_000)
        for index in list(run.state.scope.at_workers):
            known = run.state.node(index)
            assert known is not None
            run.complete(run.state.plan.nodes[index].id, attempt=known.attempt)

    assert facts(run.replayed()) == facts(run.state)
    restored = restore("exec-1", run.state.plan, snapshot(run.state))
    assert facts(restored) == facts(run.state)
    assert [event.sequence for event in run.events] == list(range(1, len(run.events) + 1))


@pytest.mark.parametrize("seed", range(60))
def test_a_snapshot_in_the_middle_continues_alike(seed: int) -> None:
    """An execution restored half-way decides the same as the one that was never away."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))  # type: ignore[arg-type]
    for _ in range(rng.randint(0, 15)):
        if not run.state.ended:
            step(run, rng)
    restored = restore("exec-1", run.state.plan, snapshot(run.state))
    restore_held(restored)
    assert facts(restored) == facts(run.state)
