"""Members that a schema marks as sensitive, as JSON pointers into the values of the schema."""

from collections.abc import Iterator

import orjson

from flowmesh.contract.json_value import Json

# A pointer's part for every item of a list, and every member of an object.
EVERY = "*"
DEPTH_MAX = 40
PATHS_MAX = 256
_WORDS = (b"x-sensitive", b"writeOnly")
_HERE = ("allOf", "anyOf", "oneOf")
_ALSO_HERE = ("if", "then", "else", "not")
_INSIDE = (
    *("items", "contains", "additionalProperties", "additionalItems"),
    *("unevaluatedItems", "unevaluatedProperties"),
)


def sensitive_paths(source: bytes) -> tuple[str, ...]:
    """Return the pointers to the members marked by `x-sensitive` or `writeOnly`, sorted.

    Above `PATHS_MAX`, and for a schema nested too deep, the whole value is sensitive.
    """
    if not any(word in source for word in _WORDS):
        return ()
    schema: Json = orjson.loads(source)
    try:
        found = set()
        for path in _paths(schema, schema, "", 0):
            found.add(path)
            if len(found) > PATHS_MAX:
                return ("",)
    except RecursionError:
        return ("",)
    return tuple(sorted(found))


def _paths(schema: Json, root: Json, path: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    if schema.get("x-sensitive") is True or schema.get("writeOnly") is True:
        yield path
        return
    if depth > DEPTH_MAX:
        # A recursive schema marks members at every depth: the value below is sensitive.
        yield path
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        yield from _paths(_at(root, reference), root, path, depth + 1)
    for inner, where in _parts(schema):
        yield from _paths(inner, root, path + where, depth + 1)


def _parts(schema: dict[str, Json]) -> Iterator[tuple[Json, str]]:
    """Yield the schemas inside a schema, each with the place of its values."""
    for word in _HERE:
        choices = schema.get(word)
        yield from ((each, "") for each in choices) if isinstance(choices, list) else ()
    yield from ((schema[word], "") for word in _ALSO_HERE if word in schema)
    for word in _INSIDE:
        inner = schema.get(word)
        yield from ((each, f"/{EVERY}") for each in (inner if isinstance(inner, list) else [inner]))
    row = schema.get("prefixItems")
    yield from ((each, f"/{n}") for n, each in enumerate(row)) if isinstance(row, list) else ()
    for word in ("properties", "patternProperties", "dependentSchemas"):
        members = schema.get(word)
        for name, inner in members.items() if isinstance(members, dict) else ():
            escaped = name.replace("~", "~0").replace("/", "~1")
            place = {"properties": f"/{escaped}", "patternProperties": f"/{EVERY}"}
            yield inner, place.get(word, "")


def _at(root: Json, reference: str) -> Json:
    """Return the part of a schema at a local reference; None if there is none."""
    part = root
    for name in reference.removeprefix("#").split("/")[1:]:
        name = name.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list) and name.isdecimal() and int(name) < len(part):
            part = part[int(name)]
        else:
            part = part.get(name) if isinstance(part, dict) else None
    return part
