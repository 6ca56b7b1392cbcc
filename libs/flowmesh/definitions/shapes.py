"""What a JSON Schema says plainly of a value: its types and its members.

Where a schema says it in another way (`$ref`, `oneOf` and their kind) the answer is "unknown",
which fits everything.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Json = Any
TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_INDIRECT = ("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas")


def plain(schema: Json) -> bool:
    """Whether the schema speaks for itself."""
    return isinstance(schema, dict) and not any(keyword in schema for keyword in _INDIRECT)


def types_of(schema: Json) -> frozenset[str]:
    """The types a value may have; all where nothing is said."""
    if not plain(schema):
        return TYPES
    given = schema.get("type")
    if isinstance(given, str):
        return frozenset({given}) & TYPES or TYPES
    if isinstance(given, list):
        return frozenset(name for name in given if isinstance(name, str)) & TYPES or TYPES
    if "const" in schema:
        return frozenset({type_of_value(schema["const"])})
    values = schema.get("enum")
    if isinstance(values, list) and values:
        return frozenset(type_of_value(value) for value in values)
    return TYPES


def type_of_value(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def declared(schema: Json) -> Mapping[str, Json]:
    """The members an object is said to have."""
    if not plain(schema):
        return {}
    members = schema.get("properties")
    return members if isinstance(members, dict) else {}


def closed(schema: Json) -> bool:
    """Whether it has no other members than those."""
    return (
        plain(schema)
        and schema.get("additionalProperties") is False
        and "patternProperties" not in schema
    )


def required(schema: Json) -> Sequence[str]:
    names = schema.get("required") if plain(schema) else None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def step_into(schema: Json, key: str | int) -> Json:
    """The schema of a member or an item; None is unknown."""
    if not plain(schema):
        return None
    if isinstance(key, str):
        return declared(schema).get(key)
    items = schema.get("prefixItems")
    if isinstance(items, list) and key < len(items):
        return items[key]
    rest = schema.get("items")
    return rest if isinstance(rest, dict) else None


def items_of(schema: Json) -> Json:
    """The schema of every item of an array; None is unknown."""
    return None if plain(schema) and "prefixItems" in schema else step_into(schema, 0)


def at_path(schema: Json, path: Sequence[str | int]) -> Json:
    for key in path:
        schema = step_into(schema, key)
    return schema
