"""Runs with three cells drawn from seeds: projects move, and what they have stays whole."""

import pytest

from tests.draws import draws
from tests.simulation.cells.planted import PLANTED
from tests.simulation.cells.simulate import simulate_cells

SEEDS_MAX = 200
"""Runs in which a planted bug must show itself."""


def test_no_seed_loses_what_moves() -> None:
    """For a few draws; the long test and `make simulate` cover more."""
    for seed in range(4):
        run = simulate_cells(seed)
        assert not run.problems, f"seed {seed}: {run.problems}"


def test_a_seed_is_one_run() -> None:
    """The same seed gives the same events."""
    assert simulate_cells(7).digest == simulate_cells(7).digest


@pytest.mark.long
def test_no_seed_of_many_loses_what_moves() -> None:
    """C1 to C5 hold for any draws, and some projects move while commands and gateways die."""
    runs = [simulate_cells(seed) for seed in range(100, 100 + draws(180))]
    failed = {each.seed: each.problems for each in runs if each.problems}
    assert not failed
    assert sum(each.moves for each in runs) > len(runs)
    assert sum(each.kills for each in runs) > len(runs) / 2


@pytest.mark.long
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_of_moves_is_found(name: str) -> None:
    """Some run violates an invariant, and none does without the bug."""
    found = None
    with PLANTED[name]():
        for seed in range(SEEDS_MAX):
            if any(each.startswith("C") for each in simulate_cells(seed).problems):
                found = seed
                break
    assert found is not None
    assert not simulate_cells(found).problems
