"""Bugs planted on purpose are found: a check that misses one of them would prove nothing."""

import pytest

from tests.simulation.checks.planted import PLANTED
from tests.simulation.simulate import simulate

pytestmark = pytest.mark.long

SEEDS_MAX = 1_000
"""Runs in which a planted bug must show itself."""

FIRST = {
    "a stale attempt is applied": 100,
    "ends are not reported to joined nodes": 140,
    "messages are forgotten": 60,
}
"""Where the search begins for those that show in few runs: less of it is in vain."""

NOT_PLANTED = "the planted bug no longer fits the code it replaces: the failure is another bug"


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str) -> None:
    """Some run violates an invariant, and none does without the bug."""
    found = None
    with PLANTED[name]():
        first = FIRST.get(name, 0)
        for seed in range(first, first + SEEDS_MAX):
            problems = simulate(seed).problems
            assert not [problem for problem in problems if "TypeError" in problem], NOT_PLANTED
            if any(problem.startswith("I") for problem in problems):
                found = seed
                break
    assert found is not None
    assert not simulate(found).problems
