"""The replay of a history gives the same state as the live execution, for any schedule."""

import inspect
import random
from collections import Counter

import pytest

from flowmesh.engine import (
    Cancel,
    Erase,
    Resume,
    Scope,
    Signal,
    State,
    TimersDue,
    replay,
    restore_held,
)
from flowmesh.engine.decisions import progress
from flowmesh.engine.state.compensation import compensation_status
from flowmesh.orchestrator.storage.redacted_events import without_values
from flowmesh.orchestrator.storage.snapshots import restore, snapshot
from tests.draws import draws
from tests.unit.engine import factories
from tests.unit.engine.drawn import OUTPUTS, STEPS_MAX, people, random_plan, step
from tests.unit.engine.factories import (
    Run,
    json,
)


def facts(state: State) -> object:
    """Everything about a state that decisions depend on.

    Left out: the time at which a map repeats its request, a hold in place of a request, fetched
    items, and nodes that wait while a failure stops the execution.
    """
    nodes = [one for scope in state.all_scopes() for one in scope.nodes.values()]
    maps = {
        one.id
        for one in nodes
        if one.planned.body is not None or (one.planned.waits and not one.due_at_us)
    }
    timers = {name: due for name, due in state.timers.items() if name not in maps}
    return (
        state.status, state.sequence, facts_of(state.scope), state.running_count,
        sorted(state.at_workers), sorted(state.open_lanes.items()),
        sorted(name for name in state.held if name not in maps and not state.stopping),
        sorted((name, sorted(nodes)) for name, nodes in state.awaiting.items()),
        state.signals_taken, state.link,
        {} if state.ended else timers, state.requests, sorted(state.scopes),
        [one.SerializeToString() for one in state.signals], state.signals_bytes,
        sorted(state.on_hold), sorted(state.stopped), sorted(state.passed), state.edits,
        state.breakpoints, state.stops_everywhere, compensation_status(state), state.closing,
        [one.id for one in state.undo], dict(state.search), state.erasure, state.input,
        state.output, state.failure, state.variables, state.variables_set,
        state.hold, state.begun_at_us, state.joined_by,
        sorted(name for name, one in state.scopes.items() if one.kept),
    )  # fmt: skip


def not_once(run: Run) -> list[tuple[str, int]]:
    """Attempts that began twice: a message on the first could be taken for the second."""
    begun = [one.task_scheduled for one in run.events if one.HasField("task_scheduled")]
    planned = ((one, run.state.plan.at(one.node)) for one in begun)
    named = Counter((one.node, one.attempt) for one, of in planned if of.is_task or of.waits)
    return [name for name, times in named.items() if times > 1]


def kept_by(kind: type) -> list[str]:
    """The attributes of its instances, whether it is compiled or not."""
    return [name for name, kept in vars(kind).items() if inspect.isdatadescriptor(kept)]


def facts_of(scope: Scope) -> object:
    nodes = []
    for _, one in sorted(scope.nodes.items()):
        values = {name: getattr(one, name) for name in kept_by(type(one))}
        values |= {"planned": one.planned.id, "scope": one.scope.prefix}
        values |= {"scopes": None, "inner": None}
        if one.child is not None:
            values["child"] = {name: getattr(one.child, name) for name in kept_by(type(one.child))}
        if one.machine is not None:
            kept = {name: getattr(one.machine, name) for name in kept_by(type(one.machine))}
            open_scopes = {item: facts_of(body) for item, body in one.machine.scopes.items()}
            values["machine"] = kept | {"scopes": open_scopes}
        if one.map is not None:
            kept = {name: getattr(one.map, name) for name in kept_by(type(one.map))}
            open_scopes = {item: facts_of(body) for item, body in sorted(one.map.scopes.items())}
            values["map"] = kept | {"items": None, "scopes": open_scopes}
        if one.journal is not None:
            kept = {name: getattr(one.journal, name) for name in kept_by(type(one.journal))}
            calls = {item: facts_of(body) for item, body in sorted(one.journal.scopes.items())}
            values["journal"] = kept | {"scopes": calls}
        nodes.append(values)
    failed = scope.failed.id if scope.failed is not None else ""
    return nodes, scope.waiting, scope.open_count, scope.tried, failed


def history_of(seed: int) -> Run:
    """An execution in which much has happened that the seed draws."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    run.serve()
    for _ in range(STEPS_MAX):
        step(run, rng)
        run.serve()
    return run


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that loops without work continues early in a later command."""
    monkeypatch.setattr(progress, "BEGUN_PER_STEP_MAX", 5)
    monkeypatch.setattr(factories, "SERVED_MAX", 20)


@pytest.mark.parametrize("seed", range(draws(1_000)))
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
        if rng.random() < 0.02 and not run.state.ended and not run.state.compensating:
            run.do(Cancel("by chance"))
    for number in range(STEPS_MAX):
        if run.state.ended:
            break
        if run.state.paused:
            run.do(Resume())
        people(run, rng)
        run.do(TimersDue(), after_us=2_000_000)
        run.serve()
        for one in list(run.state.at_workers.values()):
            # A machine may go round for ever.
            run.complete(one.id, rng.choice(OUTPUTS), attempt=one.attempt)
        if run.state.awaiting and not run.state.ended:
            run.do(Signal("s", json(b"1")))
        if number == STEPS_MAX // 2 and not run.state.ended and not run.state.compensating:
            run.do(Cancel("it goes round"))
    assert run.state.ended

    assert facts(run.replayed()) == facts(run.state)
    restored = restore("exec-1", run.state.plan, snapshot(run.state))
    assert facts(restored) == facts(run.state)
    assert [event.sequence for event in run.events] == list(range(1, len(run.events) + 1))
    assert not_once(run) == []

    run.do(Erase("asked for", "e1"))
    run.do(Erase("again", "e2"))
    assert facts(run.replayed()) == facts(run.state)
    bare = replay("exec-1", run.state.plan, map(without_values, run.events))
    assert facts(bare) == facts(run.state)


@pytest.mark.parametrize("seed", range(draws(1_000)))
def test_a_snapshot_in_the_middle_continues_alike(seed: int) -> None:
    """An execution restored half-way decides the same as the one that was never away."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    for _ in range(rng.randint(0, 15)):
        if not run.state.ended:
            step(run, rng)
    restored = restore("exec-1", run.state.plan, snapshot(run.state))
    restore_held(restored)
    assert facts(restored) == facts(run.state)
