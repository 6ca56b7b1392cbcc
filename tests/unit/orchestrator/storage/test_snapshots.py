"""Snapshots of executions: as often as they save time for readers."""

from flowmesh.orchestrator.storage.snapshots import snapshot_due
from tests.unit.engine.factories import Run, node, plan

NODES = 6_000


def taken(run: Run, ids: list[str]) -> list[int]:
    """The sequences at which snapshots are taken while these nodes complete, one by one."""
    found = [0]
    for done in ("", *ids):
        if done:
            run.complete(done)
        if snapshot_due(run.state, found[-1]):
            found.append(run.state.sequence)
    return found[1:]


def test_a_wide_execution_is_not_written_down_again_and_again() -> None:
    """Each of its snapshots holds all its nodes, and takes longer to read than their events."""
    ids = [f"n{number}" for number in range(NODES)]
    run = Run(plan(*(node(each) for each in ids), node("join", *ids)))
    begun = run.state.sequence
    found = taken(run, ids)
    assert len(found) <= 1
    assert begun not in found


def test_a_long_execution_is_not_read_from_its_beginning() -> None:
    """A chain of nodes, one after the other."""
    chain = [node("n0"), *(node(f"n{i}", f"n{i - 1}") for i in range(1, NODES))]
    run = Run(plan(*chain))
    found = taken(run, [f"n{number}" for number in range(NODES)])
    assert len(found) >= 2
    for before, after in zip([0, *found], [*found, run.state.sequence], strict=False):
        assert after - before <= max(2_001, after * 0.85)
