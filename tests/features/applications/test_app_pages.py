"""The applications that the pages of docs/apps show do what the tests beside them say."""

from pathlib import Path

import pytest

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.testing import run_tests
from tests.features.blocks import blocks

PAGES = Path(__file__).resolve().parents[3] / "docs" / "apps"


@pytest.mark.parametrize(
    ("page", "name"),
    [
        pytest.param("state-machines", "review", marks=pytest.mark.feature("S1-87")),
        pytest.param("schedules", "jobs", marks=pytest.mark.feature("S1-88")),
        pytest.param("messages", "welcome", marks=pytest.mark.feature("S1-86")),
    ],
)
async def test_an_example_of_a_page_passes_its_test(tmp_path: Path, page: str, name: str) -> None:
    """Saved under their names, the document and its test pass."""
    for block in blocks((PAGES / f"{page}.md").read_text()):
        if title := block.value("title"):
            (tmp_path / title).write_text(block.text)
    results = await run_tests(tmp_path / f"{name}.test.yaml", Loading(environment={}))
    assert results
    assert [each for each in results if each.failure] == []
