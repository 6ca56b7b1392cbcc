"""Pages of errors: each wrong example gets its code, and the corrected one does not."""

import pytest

from flowmesh.definitions import Problem, check, read_source
from flowmesh.definitions.lint import lint
from flowmesh.definitions.planning.compile import no_library
from flowmesh.errors import REASONS
from flowmesh.errors.explained import explanations

WITH_EXAMPLE = sorted(code for code, each in explanations().items() if each.wrong)


def problems_of(source: str) -> list[Problem]:
    reading = read_source(source.encode())
    return [*reading.problems, *check(reading, no_library), *lint(reading, no_library)]


@pytest.mark.parametrize("code", WITH_EXAMPLE)
def test_a_wrong_example_gets_its_code(code: str) -> None:
    """And no other error beside it."""
    found = problems_of(explanations()[code].wrong)
    assert code in {problem.code for problem in found}
    assert {p.code for p in found if not p.warning} <= {code}


@pytest.mark.parametrize("code", WITH_EXAMPLE)
def test_a_right_example_is_right(code: str) -> None:
    """No error at all, and not that warning."""
    found = problems_of(explanations()[code].right)
    assert [problem for problem in found if not problem.warning] == []
    assert code not in {problem.code for problem in found}


def test_every_explanation_is_of_a_reason() -> None:
    """A renamed code takes its page along."""
    assert explanations().keys() <= REASONS.keys()
