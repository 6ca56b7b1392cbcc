"""`convert` and `graph`: other formats and drawings, without a suite."""

import json
from pathlib import Path

import pytest

from flowmesh.definitions.reading.yaml_text import read_yaml
from tests.unit.cli.conftest import Run
from tests.unit.definitions.factories import documents, http, node, steps, task, workflow


def write(path: Path, source: bytes) -> Path:
    path.write_bytes(source)
    return path


def read(path: Path) -> str:
    return path.read_text()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "flow.json", steps(http("a"), http("b", "a")))


async def test_a_definition_is_converted(flowmesh: Run, file: Path) -> None:
    """To standard output, or to a file with the syntax of its suffix."""
    outcome = await flowmesh("convert", "-f", str(file), "-t", "graph")
    assert outcome.code == 0
    assert [each["id"] for each in outcome.json["edges"]] == ["a->b"]
    out = file.with_name("flow.yaml")
    assert (await flowmesh("convert", "-f", str(file), "-t", "graph", "-o", str(out))).code == 0
    assert read_yaml(read(out)) == [outcome.json]


async def test_a_definition_is_converted_to_states(flowmesh: Run, file: Path) -> None:
    """One document of JSON."""
    outcome = await flowmesh("convert", "-f", str(file), "-t", "states")
    assert list(outcome.json["States"]) == ["w:input", "a", "b", "w:output"]


async def test_a_definition_is_converted_between_yaml_and_json(flowmesh: Run, file: Path) -> None:
    """YAML or JSON with the same content."""
    as_yaml = await flowmesh("convert", "-f", str(file), "-t", "yaml")
    assert read_yaml(as_yaml.out) == [json.loads(read(file))]
    two = write(file.with_name("two.yaml"), documents(task("t"), workflow(node("a", "t"))))
    refused = await flowmesh("convert", "-f", str(two), "-t", "json")
    assert refused.code == 1
    assert "a JSON file cannot contain 2 definitions" in refused.err


async def test_file_name_and_format_must_match(flowmesh: Run, tmp_path: Path) -> None:
    """Only Python is written to a Python file; a mismatch writes nothing."""
    file = write(tmp_path / "w.yaml", documents(workflow(node("a"))))
    for name, to in (("w.json", "python"), ("out.yaml", "python"), ("w.py", "native")):
        out = tmp_path / name
        refused = await flowmesh("convert", "-f", str(file), "-t", to, "-o", str(out))
        assert refused.code == 2
        assert f"the format {to} does not match the file name {out}" in refused.err
        assert not out.exists()


async def test_an_unsupported_feature_is_rejected_by_name(flowmesh: Run, file: Path) -> None:
    """In one line per feature, and as JSON."""
    write(file, documents(workflow(node("a", "t", condition="input.x"))))
    outcome = await flowmesh("convert", "-f", str(file), "-t", "steps", "--json")
    assert outcome.code == 1
    assert outcome.json["error"]["reason"] == "FEATURE_UNSUPPORTED"
    assert len(outcome.json["error"]["details"]) == 2
    assert "step JSON has no place for a condition of a node" in outcome.err


@pytest.mark.parametrize(
    ("kind", "begins"),
    [("svg", "<svg "), ("mermaid", "---\ntitle"), ("dot", "digraph "), ("json", "{")],
)
async def test_a_file_is_drawn(flowmesh: Run, file: Path, kind: str, begins: str) -> None:
    """In each format, to standard output or a file."""
    outcome = await flowmesh("graph", "-f", str(file), "-o", kind)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(begins)
    out = file.with_name("drawn")
    assert (await flowmesh("graph", "-f", str(file), "-o", kind, "--out", str(out))).code == 0
    assert read(out).rstrip("\n") == outcome.out.rstrip("\n")


async def test_a_drawing_that_fails_reports_the_reason(flowmesh: Run, file: Path) -> None:
    """A cycle, no workflow, neither file nor name, a folder as output file."""
    assert (await flowmesh("graph")).code == 2
    write(file, steps(http("a", "b"), http("b", "a")))
    outcome = await flowmesh("graph", "-f", str(file))
    assert (outcome.code, "Circular dependency: a → b → a" in outcome.err) == (1, True)
    write(file, documents(task("t")))
    assert (
        "the files must contain one workflow; they contain 0"
        in (await flowmesh("graph", "-f", str(file))).err
    )
    write(file, steps(http("a")))
    away = file.with_name("no") / "where.svg"
    assert (await flowmesh("graph", "-f", str(file), "--out", str(away))).code == 2
