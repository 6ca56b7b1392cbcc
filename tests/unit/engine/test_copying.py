"""A copy of a state is complete and independent."""

import random

import pytest

from flowmesh.engine import Cancel, Erase, Resume, State, apply, copy_state, restore_held
from flowmesh.engine.decisions import progress
from tests.unit.engine import factories
from tests.unit.engine.drawn import random_plan, step
from tests.unit.engine.factories import Run
from tests.unit.engine.test_replay import facts, kept_by

STEPS = 60
REFERRING = {
    "_timer_heap", "asking", "at_workers", "awaiting", "held", "on_hold", "scope", "scopes",
    "stopped", "undo",
}  # fmt: skip
"""What of a state refers to its own nodes, which a copy has others of."""


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that loops without work continues early in a later command."""
    monkeypatch.setattr(progress, "BEGUN_PER_STEP_MAX", 5)
    monkeypatch.setattr(factories, "SERVED_MAX", 20)


def ended_run(rng: random.Random) -> Run:
    """One of any kind, erased in the end."""
    run = Run(random_plan(rng))
    run.serve()
    for _ in range(STEPS):
        if not run.state.ended:
            step(run, rng)
            run.serve()
    if run.state.paused:
        run.do(Resume())
    if not (run.state.ended or run.state.compensating):
        run.do(Cancel("enough"))
    for one in list(run.state.at_workers.values()):
        run.complete(one.id, attempt=one.attempt)
    if run.state.ended:
        run.do(Erase("asked for", "e1"))
    return run


@pytest.mark.parametrize("seed", range(300))
def test_a_copy_is_independent(seed: int) -> None:
    """Taken anywhere: it has every attribute, comes to the same end, and the other one stays."""
    rng = random.Random(seed)
    run = ended_run(rng)
    state = State("exec-1", run.state.plan)
    cut = rng.randint(0, len(run.events))
    for event in run.events[:cut]:
        apply(state, event)
    copy = copy_state(state)
    before = facts(state)
    assert facts(copy) == before
    for name in set(kept_by(State)) - REFERRING:
        assert getattr(copy, name) == getattr(state, name), name
    for name in ("at_workers", "on_hold", "asking", "stopped", "awaiting"):
        assert list(getattr(copy, name)) == list(getattr(state, name)), name
    for event in run.events[cut:]:
        apply(copy, event)
    assert facts(state) == before
    restore_held(copy)
    assert facts(copy) == facts(run.replayed())


@pytest.mark.parametrize("seed", range(100))
def test_a_copy_refers_to_nothing_of_the_other(seed: int) -> None:
    """Its nodes are in its own graphs, wherever they are named."""
    rng = random.Random(seed)
    run = Run(random_plan(rng))
    for _ in range(STEPS // 4):
        if not run.state.ended:
            step(run, rng)
            run.serve()
    state, copy = run.state, copy_state(run.state)
    others = {id(scope) for scope in state.all_scopes()}
    others |= {id(node) for scope in state.all_scopes() for node in scope.nodes.values()}
    named = [*copy.at_workers.values(), *copy.asking.values(), *copy.on_hold.values(), *copy.undo]
    named += [node for nodes in copy.awaiting.values() for node in nodes.values()]
    named += [node for scope in copy.all_scopes() for node in scope.nodes.values()]
    places = [*copy.held.values(), *copy.stopped.values()]
    scopes = [*copy.all_scopes(), *(node.scope for node in named), *(each for each, _ in places)]
    owners = [scope.owner for scope in scopes if scope.owner is not None]
    assert not others & {id(each) for each in (*named, *scopes, *owners)}
    for node in named:
        assert node.scope.nodes[node.planned.index] is node
