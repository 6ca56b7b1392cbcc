"""Pipelines tried at the command line, where no suite answers."""

from pathlib import Path

import pytest

from flowmesh.transforms import OPERATIONS
from tests.unit.cli.conftest import Run

ROWS = '[{"a": 2}, {"a": 1}]'


async def test_a_pipeline_is_run(flowmesh: Run, tmp_path: Path) -> None:
    """From JSON or a file, jq in its sandbox included."""
    file = tmp_path / "pipeline.json"
    file.write_text('[{"operation": "jq", "program": "map(.a)"}, {"operation": "sort"}]')
    outcome = await flowmesh("transform", f"@{file}", "--input", ROWS)
    assert (outcome.code, outcome.json) == (0, [1, 2])
    outcome = await flowmesh("transform", '[{"operation": "first"}]', "--input", ROWS)
    assert outcome.json == {"a": 2}


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ('[{"operation": "sotr"}]', "[0].operation: there is no operation 'sotr'; did you mean"),
        ('[{"operation": "keys"}]', "operation 1 (keys): needs objects, got an array"),
        ('[{"operation": "jq", "program": "("}]', "operation 1 (jq): syntax error"),
        ("[", "the pipeline is not JSON"),
    ],
)
async def test_an_error_is_one_line(flowmesh: Run, pipeline: str, words: str) -> None:
    """With the operation and the value."""
    outcome = await flowmesh("transform", pipeline, "--input", ROWS)
    assert outcome.code != 0
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


async def test_operations_are_listed_and_shown(flowmesh: Run) -> None:
    """All of them, those of a category, and one with its parameters and example."""
    listed = await flowmesh("list", "operations")
    assert len(listed.out.splitlines()) == len(OPERATIONS) + 1
    numbers = (await flowmesh("list", "operations", "--category", "math", "--json")).json
    assert {each["category"] for each in numbers} == {"math"}
    shown = await flowmesh("get", "operation", "limit")
    assert "count" in shown.out
    assert '{"operation":"limit","count":2}' in shown.out
    assert (await flowmesh("get", "operation", "limit", "--json")).json["name"] == "limit"
    missing = await flowmesh("get", "operation", "limt")
    assert (missing.code, "did you mean limit?" in missing.err) == (1, True)
