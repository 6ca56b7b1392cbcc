"""Values made from schemas."""

from typing import Any

import jsonschema_rs
import pytest

from flowmesh.dryrun.examples import example_of

SCHEMAS: tuple[Any, ...] = (
    {"type": "string"},
    {"type": "string", "minLength": 10},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "uuid"},
    {"type": "integer", "minimum": 5},
    {"type": "integer", "exclusiveMinimum": 5, "multipleOf": 4},
    {"type": "number", "exclusiveMaximum": 0},
    {"type": "number", "maximum": -3},
    {"type": ["null", "object"], "required": ["a"]},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 3},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}]},
    {"type": "array", "maxItems": 0, "items": {"type": "string"}},
    {"enum": ["b", "a"]},
    {"const": {"a": 1}},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a", "b"]},
    {"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}},
    {"allOf": [{"required": ["a"]}, {"properties": {"a": {"type": "integer"}}}]},
    {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "required": ["b"]}}},
    {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "below": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                },
            }
        },
    },
    True,
)


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_an_example_fits(schema: Any) -> None:
    """And is the same each time."""
    value = example_of(schema)
    assert jsonschema_rs.is_valid(schema, value), value
    assert example_of(schema) == value


def test_what_the_author_says_comes_first() -> None:
    """Examples before defaults before choices."""
    assert example_of({"examples": [7], "default": 8, "enum": [9]}) == 7
    assert example_of({"default": 8, "enum": [8, 9]}) == 8
