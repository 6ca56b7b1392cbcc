"""JSON Schemas for `flowmesh schema`: of definitions and of test files."""

from collections.abc import Callable

from flowmesh.definitions.editor.parts import (
    ANYTHING,
    DURATION,
    ID,
    Schema,
    anything,
    choice,
    described,
    document,
    members,
    text,
    whole,
)
from flowmesh.definitions.formats import table
from flowmesh.dryrun.expectations import NODE_STATUSES, ROOTS, STATUSES
from flowmesh.dryrun.limits import MOCKS_MAX

_TIME: Schema = {
    "anyOf": [{"type": ["number", "null"], "minimum": 0}, DURATION],
    "description": "A duration with its unit, or a number of ms.",
}
_NAMES: Schema = {"type": "array", "items": {"type": "string"}}
_FILE_OF_TESTS = "Tests of workflows (*.test.yaml)"


def tests_schema() -> Schema:
    """Return the schema of a file of workflow tests."""
    shared: dict[str, Schema] = {
        "workflow": text(about="The workflow under test; required if the files contain several."),
        "mocks": {"$ref": "#/$defs/mocks"},
        "signals": {"type": "array", "items": _signal()},
        "now": text(about="The start time of the clock, such as 2026-01-01T00:00:00Z."),
    }
    case = members(
        {
            **shared,
            "name": {"type": "string", "pattern": r"\S"},
            "input": anything("The input; templates over fixtures."),
            "expect": {"anyOf": [{"$ref": "#/$defs/expect"}, {"type": "null"}]},
        },
        "name",
    )
    schema = members(
        {
            **shared,
            "description": text(),
            "files": described("Definition files or folders, relative to this file.", _NAMES),
            "fixtures": described(
                'Values by name, for "{{fixtures.name}}"; "@file" reads a file.',
                {"type": ["object", "null"]},
            ),
            "tests": {"type": "array", "items": case},
        },
        "files",
        "tests",
    )
    schema["$defs"] = {
        "mocks": {
            "type": ["object", "null"],
            "maxProperties": MOCKS_MAX,
            "additionalProperties": {
                "anyOf": [
                    {"$ref": "#/$defs/mock"},
                    {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/mock"}},
                ]
            },
            "description": "Answers by node, WorkflowTask or task type; a list by attempt.",
        },
        "mock": _mock(),
        "expect": _expect(),
        "failure": _failing(),
    }
    return document(_FILE_OF_TESTS, schema)


def _signal() -> Schema:
    key = text(about="The key of the wait.")
    return members({"name": ID, "key": key, "payload": ANYTHING, "after": _TIME}, "name")


def _mock() -> Schema:
    failure = members({"class": ID, "message": text(), "retryAfter": _TIME}, "class")
    schema = members(
        {
            "output": anything("The output; templates over input, attempt, fixtures."),
            "failure": failure,
            "after": _TIME,
        }
    )
    schema["oneOf"] = [{"required": ["output"]}, {"required": ["failure"]}]
    return schema


def _failing() -> Schema:
    return members({"class": text(), "message": text(about="A part of it."), "node": text()})


def _expect() -> Schema:
    node = members(
        {
            "status": choice(NODE_STATUSES, ""),
            "attempts": whole(0, 2**31),
            **_values("input"),
            **_values("output"),
            "call": anything(
                "Members that one of its calls must have: method, url, headers, body."
            ),
            "failure": {"anyOf": [{"$ref": "#/$defs/failure"}, {"type": "null"}]},
        }
    )
    bounds = members({"atLeast": _TIME, "atMost": _TIME})
    return members(
        {
            "status": choice(STATUSES, "completed"),
            "path": described("The nodes that ran, in the order in which they began.", _NAMES),
            "ran": described("Nodes that ran, among others.", _NAMES),
            "skipped": described("The nodes that were skipped.", _NAMES),
            **_values("output"),
            "failure": {"anyOf": [{"$ref": "#/$defs/failure"}, {"type": "null"}]},
            "duration": {"anyOf": [_TIME, bounds], "description": "On the virtual clock."},
            "nodes": {
                "type": ["object", "null"],
                "additionalProperties": {"anyOf": [node, {"type": "null"}]},
            },
            "check": {
                "type": "array",
                "items": {"type": "string"},
                "description": f"CEL over {', '.join(ROOTS)}.",
            },
        }
    )


def _values(name: str) -> dict[str, Schema]:
    return {
        name: anything(f"The {name}, equal to this."),
        f"{name}Matches": anything(f"Members that the {name} must have, among others."),
    }


SCHEMAS: dict[str, Callable[[], Schema]] = {
    **{kind: table.load_function(name) for kind, name in table.SCHEMA_FUNCTIONS.items()},
    "test": tests_schema,
}
