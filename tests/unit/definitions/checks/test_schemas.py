"""Accepted and refused JSON Schemas."""

from typing import Any

import pytest

from tests.unit.definitions.factories import documents, problems, refusals, task


def refused(schema: Any) -> list[tuple[str, str]]:
    return refusals(documents(task("t", inputSchema=schema)))


@pytest.mark.parametrize(
    "schema",
    [
        {},
        True,
        {"...": None},
        {"type": "object", "properties": {"amount": {"type": "number", "minimum": 0.01}}},
        {"enum": ["USD", "EUR", "GBP"]},
        {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"},
        {"$ref": "#/definitions/a~1b", "definitions": {"a/b": {}}},
        {"$ref": "#/$defs/a%22b%25", "$defs": {'a"b%': {}}},
        {"$defs": {"a": {"$anchor": "here"}}, "items": {"$ref": "#here"}},
        {"properties": {"child": {"$ref": "#"}}},
        {"properties": {"$ref": {"type": "string"}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]},
        {"pattern": "^[a-z]+$", "patternProperties": {"^x-": {}}},
        {"const": {"$ref": "http://example.com/"}},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"items": {"$id": "http://x/", "$ref": "#/$defs/a", "$defs": {"a": {}}}},
        {"$defs": {"a": {"$id": "http://x/a", "$anchor": "here"}}, "$ref": "http://x/a#here"},
        {"$id": "http://x/b", "$defs": {"a": {"$id": "a.json"}}, "items": {"$ref": "#"}},
        {"$ref": "#/$defs/no", "$defs": {"no": False}},
        {"pattern": "^\\p{Letter}+$"},
    ],
)
def test_schemas_that_are_well_formed_may_be_declared(schema: Any) -> None:
    """Placeholders, references to what is in them or published, recursion, older drafts."""
    assert refused(schema) == []


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ([], ("SCHEMA_INVALID", "inputSchema")),
        ("x", ("SCHEMA_INVALID", "inputSchema")),
        ({"type": "strin"}, ("SCHEMA_INVALID", "inputSchema.type")),
        ({"minimum": "0"}, ("SCHEMA_INVALID", "inputSchema.minimum")),
        ({"properties": {"a": 5}}, ("SCHEMA_INVALID", "inputSchema.properties.a")),
        ({"required": "a"}, ("SCHEMA_INVALID", "inputSchema.required")),
        ({"minLength": -1}, ("SCHEMA_INVALID", "inputSchema.minLength")),
        ({"$ref": "#/$defs/a"}, ("SCHEMA_INVALID", "inputSchema.$ref")),
        ({"$ref": "http://127.0.0.1:9/x"}, ("SCHEMA_REMOTE_REF", "inputSchema.$ref")),
        (
            {"items": {"$ref": "file:///etc/passwd"}},
            ("SCHEMA_REMOTE_REF", "inputSchema.items.$ref"),
        ),
        ({"$ref": "other.json"}, ("SCHEMA_REMOTE_REF", "inputSchema.$ref")),
        ({"$dynamicRef": "http://x/"}, ("SCHEMA_REMOTE_REF", "inputSchema.$dynamicRef")),
        ({"$schema": "http://127.0.0.1:9/x"}, ("SCHEMA_REMOTE_REF", "inputSchema.$schema")),
        ({"items": {"$schema": "http://x/"}}, ("SCHEMA_REMOTE_REF", "inputSchema.items.$schema")),
        (
            {"$defs": {"a": {"$id": "http://x/a"}}, "$ref": "http://x/b"},
            ("SCHEMA_REMOTE_REF", "inputSchema.$ref"),
        ),
        (
            {"$defs": {"a": {"$id": "http://x/"}, "b": {"$id": "http://x/"}}},
            ("SCHEMA_INVALID", "inputSchema.$defs.a"),
        ),
        ({"pattern": "(?=a)"}, ("REGEX_UNSUPPORTED", "inputSchema.pattern")),
        ({"pattern": r"(a)\1"}, ("REGEX_UNSUPPORTED", "inputSchema.pattern")),
        ({"pattern": "x" * 1_025}, ("REGEX_UNSUPPORTED", "inputSchema.pattern")),
        ({"pattern": "(((a{1000}){1000}){1000})"}, ("REGEX_UNSUPPORTED", "inputSchema.pattern")),
        (
            {"patternProperties": {"(?!a)": {}}},
            ("REGEX_UNSUPPORTED", 'inputSchema.patternProperties["(?!a)"]'),
        ),
        ({"$ref": "#"}, ("SCHEMA_TOO_COMPLEX", "inputSchema")),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}},
            ("SCHEMA_TOO_COMPLEX", "inputSchema.$defs.b"),
        ),
        ({"enum": ["x" * 300_000]}, ("SCHEMA_TOO_COMPLEX", "inputSchema")),
    ],
)
def test_wrong_schemas_are_refused_at_their_place(schema: Any, expected: tuple[str, str]) -> None:
    """Nothing is fetched, for any reference."""
    assert refused(schema) == [expected]


def test_references_that_double_sixty_times_are_refused() -> None:
    """Their cost is added up, not tried."""
    definitions: dict[str, Any] = {"a0": {}}
    for level in range(1, 61):
        target = f"#/$defs/a{level - 1}"
        definitions[f"a{level}"] = {"allOf": [{"$ref": target}, {"$ref": target}]}
    ((code, _),) = refused({"$defs": definitions, "$ref": "#/$defs/a60"})
    assert code == "SCHEMA_TOO_COMPLEX"


def test_each_problem_of_a_schema_has_a_plain_message() -> None:
    """The message names the expected and the given type."""
    found = problems(documents(task("t", outputSchema={"type": "strin", "required": "a"})))
    messages = {problem.place: problem.message for problem in found}
    assert messages["outputSchema.type"].startswith("type 'strin' must be array, boolean, ")
    assert messages["outputSchema.required"] == ("required must be of type array, not a string 'a'")
