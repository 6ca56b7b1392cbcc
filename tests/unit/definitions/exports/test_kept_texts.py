"""Plans, exports, drawings and schemas for editors stay equal across releases.

Exports and drawings stand in repositories of users, in which a new release is to change nothing.
After an intended change, `python -m tests.unit.definitions.kept.texts` writes the texts again.
"""

import pytest

from flowmesh.dryrun.editor import SCHEMAS
from tests.unit.definitions.kept.texts import (
    DIFFERENCE,
    FOLDER,
    difference,
    digests_of,
    everything,
    kept,
    samples,
    schema_digest,
    whole,
)

EVERYTHING = everything()
SAMPLES = EVERYTHING | samples()


@pytest.mark.parametrize("name", EVERYTHING)
def test_the_exports_of_a_definition_are_as_kept(name: str) -> None:
    """In each format, or the list of what the format has no place for; and a drawing."""
    assert whole(EVERYTHING[name]) == (FOLDER / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_plan_and_the_drawings_of_a_definition_are_as_kept(name: str) -> None:
    """By their digests."""
    assert digests_of(SAMPLES[name]) == kept(name)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_schema_for_editors_is_as_kept(kind: str) -> None:
    """By its digest; tests of what it accepts stand with those of wrong definitions."""
    assert schema_digest(kind) == kept("schemas")[kind]


def test_the_differences_of_two_versions_are_as_kept() -> None:
    """Each policy that is added, removed or changed."""
    assert difference() == DIFFERENCE.read_text()
