"""Whether a JSON Schema may be used: well-formed, bounded, pointing at nothing outside itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import orjson
import re2

from flowmesh.definitions import limits
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.reader import kind_of

Json = Any
_BY_NAME = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_BY_INDEX = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_DIRECT = frozenset(
    {
        "items",
        "additionalItems",
        "additionalProperties",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contains",
        "propertyNames",
        "not",
        "if",
        "then",
        "else",
    }
)
# Applied to the very value that the schema itself is applied to.
_IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_DRAFTS = frozenset(
    {
        "http://json-schema.org/draft-04/schema",
        "http://json-schema.org/draft-06/schema",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    }
)
_PROBLEMS_OF_ONE_MAX = 10
# What checking one value may cost in subschemas applied to it, references followed.
_EXPANSION_MAX = 10_000
_REFERENCE_CHAIN_MAX = 128


@dataclass(frozen=True, slots=True)
class _Place:
    schema: dict[str, Json]
    path: Path


def check_schema(schema: Json, path: Path, problems: Problems) -> bool:
    """Notes what is wrong with the schema at `path`; True where nothing is."""
    if schema is None or isinstance(schema, bool):
        return True
    if not isinstance(schema, dict):
        problems.add("SCHEMA_INVALID", f"a schema is an object, not {kind_of(schema)}", path)
        return False
    before = len(problems.found)
    size = len(orjson.dumps(schema))
    if size > limits.SCHEMA_BYTES_MAX:
        message = f"a schema has at most {limits.SCHEMA_BYTES_MAX} bytes, this one {size}"
        problems.add("SCHEMA_TOO_COMPLEX", message, path)
        return False
    places = list(islice(_places(schema, path), limits.SCHEMA_NODES_MAX + 1))
    if _bounded(places, problems) and _known_draft(places, problems):
        _check_references(schema, places, problems)
        _check_patterns(places, problems)
        if len(problems.found) == before:
            _check_meta(schema, path, problems)
        if len(problems.found) == before:
            _check_expansion(schema, places, problems)
        if len(problems.found) == before:
            _check_usable(schema, path, problems)
    return len(problems.found) == before


def _bounded(places: list[_Place], problems: Problems) -> bool:
    if len(places) <= limits.SCHEMA_NODES_MAX:
        return True
    message = f"a schema has at most {limits.SCHEMA_NODES_MAX} subschemas"
    problems.add("SCHEMA_TOO_COMPLEX", message, places[0].path)
    return False


def _known_draft(places: list[_Place], problems: Problems) -> bool:
    """Validators fetch a draft they do not know, so this comes before any of them is asked."""
    for place in places:
        draft = place.schema.get("$schema")
        if draft is not None and not (isinstance(draft, str) and draft.rstrip("#") in _DRAFTS):
            message = "$schema must name a published draft of JSON Schema, from 4 to 2020-12"
            problems.add("SCHEMA_REMOTE_REF", message, (*place.path, "$schema"))
            return False
    return True


def _places(schema: dict[str, Json], path: Path) -> Iterator[_Place]:
    """Every subschema that is an object, the schema itself first."""
    waiting = [_Place(schema, path)]
    while waiting:
        place = waiting.pop()
        yield place
        waiting.extend(
            _Place(child, (*place.path, *keys))
            for keys, child in _children(place.schema)
            if isinstance(child, dict)
        )


def _children(schema: dict[str, Json]) -> Iterator[tuple[Path, Json]]:
    for keyword, value in schema.items():
        if keyword in _BY_NAME and isinstance(value, dict):
            yield from (((keyword, name), child) for name, child in value.items())
        elif keyword in _BY_INDEX and isinstance(value, list):
            yield from (((keyword, index), child) for index, child in enumerate(value))
        elif keyword in _DIRECT:
            yield (keyword,), value


def _check_references(schema: dict[str, Json], places: list[_Place], problems: Problems) -> None:
    anchors = _anchors(places)
    for place in places:
        for keyword in _REFERENCES:
            target = place.schema.get(keyword)
            if not isinstance(target, str):
                continue
            path = (*place.path, keyword)
            if not target.startswith("#"):
                message = f"{keyword} must point into its own schema (#/…), not elsewhere"
                problems.add("SCHEMA_REMOTE_REF", message, path)
            elif _target(schema, target, anchors) is None:
                problems.add("SCHEMA_INVALID", f"{keyword} {target[:80]!r} points at nothing", path)
        # A base of its own would make `#/…` below it mean something else.
        if "$id" in place.schema and place.path != places[0].path:
            message = "$id is accepted at the root of a schema only"
            problems.add("SCHEMA_REMOTE_REF", message, (*place.path, "$id"))


def _anchors(places: list[_Place]) -> dict[str, dict[str, Json]]:
    return {
        anchor: place.schema
        for place in places
        for keyword in ("$anchor", "$dynamicAnchor")
        if isinstance(anchor := place.schema.get(keyword), str)
    }


def _target(schema: Json, reference: str, anchors: dict[str, dict[str, Json]]) -> Json:
    """What a reference into the schema points at; None where there is nothing."""
    pointer = unquote(reference[1:])
    if pointer and not pointer.startswith("/"):
        return anchors.get(pointer)
    value = schema
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value if isinstance(value, dict | bool) else None


def _check_patterns(places: list[_Place], problems: Problems) -> None:
    for place in places:
        pattern = place.schema.get("pattern")
        if isinstance(pattern, str):
            _check_pattern(pattern, (*place.path, "pattern"), problems)
        by_pattern = place.schema.get("patternProperties")
        if isinstance(by_pattern, dict):
            for name in by_pattern:
                _check_pattern(name, (*place.path, "patternProperties", name), problems)


def _check_pattern(pattern: str, path: Path, problems: Problems) -> None:
    code = "REGEX_UNSUPPORTED"
    if len(pattern) > limits.REGEX_CHARACTERS_MAX:
        message = f"a pattern has at most {limits.REGEX_CHARACTERS_MAX} characters"
        problems.add(code, message, path)
        return
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error:
        message = "the pattern is not RE2: no look-around, no back-references, no huge repeats"
        problems.add(code, message, path)


def _check_meta(schema: dict[str, Json], path: Path, problems: Problems) -> None:
    if jsonschema_rs.meta.is_valid(schema):
        return
    # Here: the Rust library judges, this one is only asked for words where something is wrong.
    from jsonschema import validators

    validator = validators.validator_for(schema, default=validators.Draft202012Validator)
    told: set[Path] = set()
    for error in validator(validator.META_SCHEMA).iter_errors(schema):
        place = (*path, *error.absolute_path)
        if place not in told:
            told.add(place)
            problems.add("SCHEMA_INVALID", _meta_message(error), place)
        if len(told) == _PROBLEMS_OF_ONE_MAX:
            return
    if not told:
        problems.add("SCHEMA_INVALID", "the schema is not well-formed", path)


def _meta_message(error: Any) -> str:
    keyword = str(error.absolute_path[-1]) if error.absolute_path else "a schema"
    given = error.instance
    shown = f" {given[:40]!r}" if isinstance(given, str) else ""
    if error.validator == "type":
        wanted = error.validator_value
        names = " or ".join(wanted) if isinstance(wanted, list) else str(wanted)
        return f"{keyword} must be of type {names}, not {kind_of(given)}{shown}"
    if keyword == "type":
        return (
            f"type{shown} must be array, boolean, integer, null, number, object, string, "
            "or a list of some of them"
        )
    if error.validator in ("minimum", "exclusiveMinimum", "minItems", "minLength"):
        return f"{keyword} is below what JSON Schema allows for it"
    return f"{keyword}{shown} is not what JSON Schema allows there"


def _check_expansion(schema: dict[str, Json], places: list[_Place], problems: Problems) -> None:
    """Refuses references in a circle and applicators that multiply: both are found by cost."""
    anchors = _anchors(places)
    costs: dict[int, int] = {}
    for place in places:
        if _cost(place.schema, schema, anchors, costs, 0) > _EXPANSION_MAX:
            message = "its references run in a circle or multiply without bound"
            problems.add("SCHEMA_TOO_COMPLEX", message, place.path)
            return


def _cost(
    part: Json,
    root: Json,
    anchors: dict[str, dict[str, Json]],
    costs: dict[int, int],
    depth: int,
) -> int:
    """How many schemas are applied to one value when `part` is; huge in a circle."""
    if not isinstance(part, dict):
        return 1
    if id(part) in costs:
        return costs[id(part)]
    if depth > _REFERENCE_CHAIN_MAX:
        return _EXPANSION_MAX + 1
    # Met again on the way down, it is its own reference: that never ends.
    costs[id(part)] = _EXPANSION_MAX + 1
    total = 1
    for keys, child in _children(part):
        if keys[0] in _IN_PLACE:
            total += _cost(child, root, anchors, costs, depth + 1)
    for keyword in _REFERENCES:
        reference = part.get(keyword)
        if isinstance(reference, str):
            target = _target(root, reference, anchors)
            total += _cost(target, root, anchors, costs, depth + 1)
        if total > _EXPANSION_MAX:
            break
    costs[id(part)] = min(total, _EXPANSION_MAX + 1)
    return costs[id(part)]


def _refuse_to_fetch(uri: str) -> Json:
    raise ValueError(uri)


def _check_usable(schema: dict[str, Json], path: Path, problems: Problems) -> None:
    """Compiles it as the worker will, so that nothing is left for run time."""
    options = jsonschema_rs.RegexOptions()
    try:
        jsonschema_rs.validator_for(schema, pattern_options=options, retriever=_refuse_to_fetch)
    except (ValueError, jsonschema_rs.ReferencingError):
        problems.add("SCHEMA_INVALID", "the schema cannot be compiled", path)
