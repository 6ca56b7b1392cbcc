"""Runs drawn from seeds: nothing that must not be, whatever goes wrong."""

import pytest

from tests.simulation.simulate import simulate


@pytest.mark.parametrize("seed", range(5))
def test_seeds(seed: int) -> None:
    """No invariant is violated."""
    outcome = simulate(seed)
    assert not outcome.problems, "\n".join(outcome.problems)


def test_a_seed_is_one_run() -> None:
    """The same seed gives the same run, event by event."""
    assert simulate(11) == simulate(11)
