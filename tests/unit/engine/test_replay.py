"""Replaying a history gives the state that live execution had, whatever the schedule."""

import inspect
import random
from typing import Any

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import (
    Cancel,
    DeliveryLost,
    Pause,
    Resume,
    Scope,
    Signal,
    State,
    TaskRuns,
    TimersDue,
    progress,
    restore_held,
)
from flowmesh.orchestrator.snapshots import restore, snapshot
from flowmesh.plan import Plan
from tests.unit.engine import factories
from tests.unit.engine.factories import (
    Run,
    each,
    edge,
    group,
    json,
    machine,
    node,
    plan,
)
from tests.unit.engine.factories import state as state_of

RETRY = {"max_attempts": 3, "initial_delay_ms": 10, "multiplier": 2}
CLASSES = ["ServerError", "ClientError"]
OUTPUTS = [b"null", b"false", b'{"a":1}', b'"yes"', b'["no","yes"]', b'{"next":""}']
STEPS_MAX = 40


def random_plan(rng: random.Random) -> Plan:
    """Up to twelve nodes of all kinds, maps below maps among them."""
    return plan(*random_nodes(rng, "n", 12, 2), parallelism=rng.choice([0, 0, 1, 2]))


def random_nodes(rng: random.Random, name: str, most: int, depth: int) -> list[dict[str, Any]]:
    """Each after some earlier ones."""
    nodes: list[dict[str, Any]] = []
    for number in range(rng.randint(1, most)):
        earlier = [f"{name}{i}" for i in range(number)]
        after = tuple(rng.sample(earlier, rng.randint(0, min(3, number))))
        if depth and rng.random() < 0.2:
            below = random_nodes(rng, f"{name}{number}_", 3, depth - 1)
            critical = rng.random() < 0.8
            if rng.random() < 0.5:
                race = rng.random() < 0.5
                made = group(f"{name}{number}", *below, after=after, race=race, critical=critical)
            else:
                below = [as_state(rng, one, below) for one in below]
                made = machine(f"{name}{number}", 7, *below, after=after, critical=critical)
            nodes.append(made)
            continue
        if depth and rng.random() < 0.15:
            items = list(range(rng.randint(0, 4)))
            body = random_nodes(rng, f"{name}{number}_", 3, depth - 1)
            nodes.append(
                each(
                    f"{name}{number}",
                    items,
                    *body,
                    after=after,
                    concurrency=rng.randint(1, 3),
                    critical=rng.random() < 0.8,
                )
            )
            continue
        kind = rng.choice([1, 1, 1, 1, 2, 3, 7])
        fields: dict[str, Any] = {"kind": kind, "critical": rng.random() < 0.8}
        fields["gate"] = rng.random() < 0.2
        if kind == plan_pb2.NODE_KIND_SIGNAL:
            fields["signal"] = "s"
        if after and rng.random() < 0.3:
            fields["join"] = rng.choice([plan_pb2.JOIN_ALL, plan_pb2.JOIN_ANY])
        if after and rng.random() < 0.3:
            place = rng.randrange(len(after))
            fields["edges"] = [rng.choice([edge(place, "yes"), edge(place, on_failure=True)])]
        if kind == plan_pb2.NODE_KIND_TIMER:
            fields["delay_ms"] = rng.randint(1, 20)
        if rng.random() < 0.6:
            fields["retry"] = RETRY
        if rng.random() < 0.3:
            fields["queue"] = rng.choice(["slow", "fast"])
        nodes.append(node(f"{name}{number}", *after, **fields))
    return nodes


def as_state(
    rng: random.Random, one: dict[str, Any], among: list[dict[str, Any]]
) -> dict[str, Any]:
    """A node of a machine: what follows it is any of them, or the end."""
    given = {key: value for key, value in one.items() if key not in ("after", "join", "edges")}
    then, caught = (rng.choice(["", "", *(each["id"] for each in among)]) for _ in range(2))
    catches = {rng.choice(["*", "ClientError"]): caught} if rng.random() < 0.5 else {}
    how = {"chooses": rng.random() < 0.2, "keeps": rng.random() < 0.2}
    return state_of(given.pop("id"), then, catches, **how, **given)


def step(run: Run, rng: random.Random) -> None:
    """One random command: results right, wrong and late, lost workers, time, signals."""
    state = run.state
    node_id = rng.choice(list(state.at_workers) or [state.plan.nodes[0].id])
    known = state.node(node_id)
    attempt = known.attempt if known is not None and rng.random() < 0.9 else rng.randint(1, 4)
    match rng.randint(0, 11):
        case 0 | 1 | 2 | 3:
            run.complete(node_id, rng.choice(OUTPUTS), attempt)
        case 4 | 5:
            run.fail(node_id, rng.choice(CLASSES), attempt)
        case 6:
            run.do(TaskRuns(node_id, attempt, "w", run.now))
        case 7:
            run.do(DeliveryLost(node_id, attempt))
        case 8:
            run.do(TimersDue(), after_us=rng.randint(0, 30_000))
        case 10 if not state.ended and not state.paused:
            run.do(Pause())
        case 10 | 11 if state.paused:
            run.do(Resume())
        case 9 if not state.ended:
            run.do(Signal("s", json(b"1"), request_id=rng.choice(["", "r1", "r2"])))


def facts(state: State) -> object:
    """Everything about a state that decisions depend on.

    When a map asks again is nobody's business but its own; what it asks with is fetched again.
    """
    nodes = [one for scope in state.all_scopes() for one in scope.nodes.values()]
    maps = {one.id for one in nodes if one.planned.body is not None}
    timers = {name: due for name, due in state.timers.items() if name not in maps}
    return (
        state.status, state.sequence, facts_of(state.scope), state.running_count,
        sorted(state.at_workers), sorted(state.open_lanes.items()), sorted(state.held),
        sorted((name, sorted(nodes)) for name, nodes in state.awaiting.items()),
        state.signals_taken,
        {} if state.ended else timers, state.requests, sorted(state.scopes),
        [one.SerializeToString() for one in state.signals], state.signals_bytes,
    )  # fmt: skip


def kept_by(kind: type) -> list[str]:
    """The attributes of its instances, whether it is compiled or not."""
    return [name for name, kept in vars(kind).items() if inspect.isdatadescriptor(kept)]


def facts_of(scope: Scope) -> object:
    nodes = []
    for _, one in sorted(scope.nodes.items()):
        values = {name: getattr(one, name) for name in kept_by(type(one))}
        values |= {"planned": one.planned.id, "scope": one.scope.prefix, "scopes": None}
        if one.machine is not None:
            kept = {name: getattr(one.machine, name) for name in kept_by(type(one.machine))}
            open_scopes = {item: facts_of(body) for item, body in one.machine.scopes.items()}
            values["machine"] = kept | {"scopes": open_scopes}
        if one.map is not None:
            kept = {name: getattr(one.map, name) for name in kept_by(type(one.map))}
            open_scopes = {item: facts_of(body) for item, body in sorted(one.map.scopes.items())}
            values["map"] = kept | {"items": None, "scopes": open_scopes}
        nodes.append(values)
    failed = scope.failed.id if scope.failed is not None else ""
    return nodes, scope.waiting, scope.open_count, failed


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that goes round without work asks early whether to go on."""
    monkeypatch.setattr(progress, "BEGUN_PER_STEP_MAX", 5)
    monkeypatch.setattr(factories, "SERVED_MAX", 20)


@pytest.mark.parametrize("seed", range(1000))
def test_replay_equals_live(seed: int) -> None:
    """State, snapshot and history agree after any schedule, and every execution comes to an end."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    for _ in range(400):
        if run.state.ended:
            break
        if rng.random() < 0.5:
            run.serve()
        else:
            step(run, rng)
        if rng.random() < 0.02 and not run.state.ended:
            run.do(Cancel("by chance"))
    for number in range(STEPS_MAX):
        if run.state.ended:
            break
        if run.state.paused:
            run.do(Resume())
        run.do(TimersDue(), after_us=2_000_000)
        run.serve()
        for one in list(run.state.at_workers.values()):
            # A machine may go round for ever.
            run.complete(one.id, rng.choice(OUTPUTS), attempt=one.attempt)
        if run.state.awaiting and not run.state.ended:
            run.do(Signal("s", json(b"1")))
        if number == STEPS_MAX // 2 and not run.state.ended:
            run.do(Cancel("it goes round"))
    assert run.state.ended

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
