"""The schemas for editors agree with what the reader of definitions accepts."""

import copy
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from flowmesh.definitions import check, errors_in
from flowmesh.definitions import read_source as read
from flowmesh.definitions.planning.compile import no_library
from flowmesh.definitions.reading.yaml_text import read_yaml
from flowmesh.dryrun.editor import SCHEMAS
from flowmesh.errors.explained import explanations
from tests.badinput.test_definitions import (
    FOLDER,
    INDEX,
    KINDS,
    RIGHT,
    definitions_written_here,
    kind_of,
    mutated,
    places_in,
)
from tests.draws import draws

VALIDATORS = {kind: jsonschema_rs.validator_for(schema()) for kind, schema in SCHEMAS.items()}
# Codes that come from the shape of a document; the rest is beyond a schema.
OF_SHAPE = {"ID_INVALID", "RETRY_INVALID", "TIMEOUT_INVALID", "GRAPH_EMPTY"}

# How long a duration is, what a built-in task gets, names across documents: not its business.
BEYOND = {
    "approval-escalates-never.yaml",
    "cache-of-an-effect.json",
    "library-function-handler-built-in.yaml",
    "library-grpc-descriptors.yaml",
    "library-statement-parameter-missing.yaml",
    "continue-in-a-body.yaml",
    "delay-boolean.yaml",
    "delay-fraction.yaml",
    "delay-instant-without-zone.yaml",
    "delay-list.yaml",
    "delay-negative.yaml",
    "delay-text.yaml",
    "delay-too-long.yaml",
    "delay-too-large-for-a-number.yaml",
    "delay-without-a-duration.yaml",
    "graph-delay-until-no-instant.yaml",
    "fallback-of-a-held-task.yaml",
    "join-count-too-high.yaml",
    "library-built-in-name.yaml",
    "library-decision-id-taken.yaml",
    "library-delay-too-long.yaml",
    "library-twice-in-a-source.yaml",
    "receive-with-an-unknown-field.yaml",
    "retry-delay-too-long.yaml",
    "subworkflow-beside-a-task.yaml",
    "subworkflow-credential-without-project.yaml",
    "subworkflow-detached-on-cancel.yaml",
    "timeout-too-long.yaml",
    "transform-without-a-pipeline.yaml",
    "undo-that-undoes-nothing.yaml",
    "workflow-timeout-too-long.yaml",
    "workflow-timeout-zero.yaml",
}


def refused_by_schema(document: Any) -> list[str]:
    errors = VALIDATORS[kind_of(document)].iter_errors(document)
    return [f"{error.instance_path}: {error.message}" for error in errors]


def accepted(document: Any) -> bool:
    """Whether the reader takes it; what checks of whole graphs find does not count."""
    reading = read(orjson.dumps(document), "application/json")
    shapes = [each for each in check(reading, no_library) if each.code == "SCHEMA_INVALID"]
    return not errors_in([*reading.problems, *shapes])


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_is_well_formed(kind: str) -> None:
    """By the metaschema of the draft it names."""
    schema = SCHEMAS[kind]()
    assert schema["$schema"].endswith("2020-12/schema")
    jsonschema_rs.meta.validate(schema)


def test_what_is_written_here_fits() -> None:
    """Examples, pages and the right examples of errors."""
    written = definitions_written_here()
    kinds = {kind_of(document) for _, document in written}
    assert kinds >= {"workflow", "task", "template", "steps"}
    for code, each in explanations().items():
        written += ((code, document) for document in read_yaml(each.right) if document)
    written += ((each.get("id", "right.yaml"), each) for each in RIGHT)
    assert all(accepted(each) for each in RIGHT)
    assert {kind_of(each) for each in RIGHT} == SCHEMAS.keys() - {"test"}
    refused = {name: refused_by_schema(d) for name, d in written if accepted(d)}
    assert {name: errors for name, errors in refused.items() if errors} == {}


@settings(
    max_examples=draws(600),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(mutated())
def test_what_the_reader_accepts_the_schema_accepts(document: Any) -> None:
    """An editor never marks what would run."""
    if kind_of(document) and accepted(document):
        assert refused_by_schema(document) == []


@pytest.mark.parametrize("kind", sorted(SCHEMAS.keys() - {"test"}))
def test_a_member_that_is_misspelled_is_marked_where_the_reader_refuses_it(kind: str) -> None:
    """Each member of the documents that have them all, one at a time."""
    told, missed = 0, []
    for document in (each for each in RIGHT if kind_of(each) == kind):
        for path in places_in(document):
            wrong = copy.deepcopy(document)
            around = wrong
            for key in path[:-1]:
                around = around[key]
            if isinstance(path[-1], int):
                continue
            around[f"{path[-1]}x"] = around.pop(path[-1])
            if kind_of(wrong) != kind:
                continue
            if refused_by_schema(wrong):
                told += 1
            elif misspelling_refused(wrong, f"{path[-1]}x"):
                missed.append(path)
    assert told > 3
    assert missed == []


def misspelling_refused(document: Any, name: str) -> bool:
    """Whether the reader says that it does not know the member, or misses another one."""
    found = errors_in(read(orjson.dumps(document), "application/json").problems)
    unknown = f"unknown field {name!r}"
    return any(each.message.startswith(unknown) or " is missing" in each.message for each in found)


def test_a_schema_finds_what_is_wrong_with_the_shape() -> None:
    """Of the wrong documents all that a schema can tell."""
    missed, told = set(), 0
    for name, line in INDEX.items():
        code = line.split(" ")[0]
        shape = code in OF_SHAPE or (code == "DEFINITION_INVALID" and "warned" not in name)
        reading = read((FOLDER / name).read_bytes(), KINDS[Path(name).suffix])
        if not shape or reading.source is None:
            continue
        documents = [each for each in reading.source.documents if kind_of(each)]
        if any(refused_by_schema(each) for each in documents):
            told += 1
        elif documents:
            missed.add(name)
    assert told > 100
    assert missed == BEYOND
