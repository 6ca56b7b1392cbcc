"""Bugs planted on purpose are found: a check that misses one of them would prove nothing."""

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.simulate import simulate

SEEDS_MAX = 1_000
"""Runs in which a planted bug must show itself."""


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str) -> None:
    """Some run violates an invariant, and none does without the bug."""
    found = None
    with PLANTED[name]():
        for seed in range(SEEDS_MAX):
            problems = simulate(seed).problems
            if any(problem.startswith("I") for problem in problems):
                found = seed
                break
    assert found is not None
    assert not simulate(found).problems
