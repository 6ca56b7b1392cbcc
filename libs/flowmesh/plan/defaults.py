"""Defaults of a JSON Schema: values of absent members of objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Default:
    """The default of a member, if it `has` one, and those of its own members."""

    has: bool
    value: Any
    members: Mapping[str, Default]


def defaults_of(source: bytes) -> Mapping[str, Default]:
    """Return the defaults in the `properties` of a schema, by name, and in objects inside them.

    Those elsewhere, as in choices, items and behind references, are annotations.
    """
    return _members(orjson.loads(source)) if b'"default"' in source else {}


def with_defaults(value: Any, defaults: Mapping[str, Default]) -> Any:
    """Return the value with the defaults of absent members; it is not changed itself."""
    if not defaults or not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, default in defaults.items():
        if name in filled:
            filled[name] = with_defaults(filled[name], default.members)
        elif default.has:
            filled[name] = with_defaults(default.value, default.members)
    return filled


def _members(schema: Any) -> Mapping[str, Default]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    found = {}
    for name, part in properties.items():
        if isinstance(part, dict):
            default = Default("default" in part, part.get("default"), _members(part))
            if default.has or default.members:
                found[name] = default
    return found
