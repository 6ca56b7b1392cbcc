"""Defaults of an input schema."""

from typing import Any

import orjson
import pytest

from flowmesh.plan.defaults import defaults_of, with_defaults

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
