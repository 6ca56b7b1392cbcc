"""The statement of a commit, composed of its parts."""

import re
from itertools import combinations
from pathlib import Path

import pytest

from flowmesh.orchestrator.storage.statements import PARAMETERS, PARTS, commit_statement

GOLDEN = Path(__file__).with_name("commit_statement.sql")
SUBSETS = [parts for count in range(len(PARTS) + 1) for parts in combinations(tuple(PARTS), count)]


def test_the_statement_with_all_parts_is_as_recorded() -> None:
    """A change of a part, of a marker or of their order shows as a difference of one file."""
    assert commit_statement(tuple(PARTS)) == GOLDEN.read_text()


@pytest.mark.parametrize("parts", SUBSETS, ids="+".join)
def test_parameters_are_numbered_without_gaps(parts: tuple[str, ...]) -> None:
    """Each part uses exactly the parameters that `PARTS` counts, behind those before it."""
    statement = "\n".join(
        line for line in commit_statement(parts).splitlines() if not line.startswith("--")
    )
    used = {int(number) for number in re.findall(r"\$(\d+)", statement)}
    assert used == set(range(1, PARAMETERS + sum(PARTS[part] for part in parts) + 1))


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_in_the_statement_once(part: str) -> None:
    """A part is added by its marker, and only by it."""
    shared = commit_statement(())
    names = re.findall(r"^(\w+) as ", commit_statement((part,)), re.MULTILINE)
    assert len(names) == len(set(names))
    assert shared.count(" -- parts\n") == shared.count(" -- starts\n") == 1
    assert commit_statement((part,)) != shared
