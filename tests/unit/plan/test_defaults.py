"""Defaults of an input schema."""

from typing import Any

import orjson
import pytest

from flowmesh.plan.defaults import defaults_of, misfits, with_defaults, without
from flowmesh.plan.schemas import Schema

SCHEMA: Any = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "default": "eu"},
        "none": {"default": None},
        "limits": {
            "default": {"days": 1},
            "properties": {"days": {"type": "integer"}, "tries": {"default": 3}},
        },
        "customer": {"properties": {"kind": {"default": "person"}}},
        "lines": {"items": {"properties": {"count": {"default": 1}}}},
    },
    "anyOf": [{"properties": {"other": {"default": 1}}}],
}
WHOLE = {"region": "eu", "none": None, "limits": {"days": 1, "tries": 3}}


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ({}, WHOLE),
        ({"region": None, "lines": [{}]}, {**WHOLE, "region": None, "lines": [{}]}),
        ({"limits": {"days": 9}}, {**WHOLE, "limits": {"days": 9, "tries": 3}}),
        ({"customer": {}, "limits": 7}, {**WHOLE, "customer": {"kind": "person"}, "limits": 7}),
        (None, None),
        ([], []),
    ],
)
def test_absent_members_of_objects_get_their_default(given: Any, whole: Any) -> None:
    """At any depth of `properties`; an absent object without default stays absent."""
    assert with_defaults(given, defaults_of(orjson.dumps(SCHEMA))) == whole


def test_a_schema_without_defaults_has_none() -> None:
    """Neither a property of that name, nor a schema that is no object."""
    assert not defaults_of(b"")
    assert not defaults_of(b"true")
    assert not defaults_of(b'{"properties":{"default":{"type":"string"}}}')


def test_a_default_that_its_schema_refuses_is_found() -> None:
    """Also below another member, and inside the default; that of a neighbor is not."""
    schema: Any = {
        "required": ["other"],
        "properties": {
            "right": {"type": "integer", "default": 1},
            "wrong": {"type": "integer", "default": "1"},
            "above": {"properties": {"below": {"maximum": 3, "default": 5}}},
            "list": {"items": {"type": "string"}, "default": ["a", 1]},
            "wrongest": {"default": 1},
        },
    }
    source = orjson.dumps(schema)
    defaults = defaults_of(source)
    found = [path for path, _ in misfits(defaults, Schema(source).problems)]
    assert found == [("wrong",), ("above", "below"), ("list",)]
    for path in found:
        defaults = without(defaults, path)
    whole = {"right": 1, "above": {}, "wrongest": 1}
    assert with_defaults({"above": {}}, defaults) == whole
