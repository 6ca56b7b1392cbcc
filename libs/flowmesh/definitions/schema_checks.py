"""Checks of JSON Schemas: well-formed, bounded, no reference outside the schema."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.reading.reader import kind_of
from flowmesh.expressions.patterns import ProgramTooLarge, compile_pattern
from flowmesh.plan.defaults import defaults_of, misfits
from flowmesh.plan.schemas import Schema
from flowmesh.schemas import DRAFT_NAMES, REFERENCES, Document, Place, children, draft_named, places
from flowmesh.schemas.compiling import compiled
from flowmesh.schemas.encrypted import with_sealed_forms

# Keywords whose subschemas apply to the same value as the schema itself.
_IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
_DRAFTS_SHOWN = " or ".join(DRAFT_NAMES[2:])
_PROBLEMS_OF_ONE_MAX = 10
# Limit of the subschemas applied to one value, references included.
_EXPANSION_MAX = 10_000
_REFERENCE_CHAIN_MAX = 128
# Limit of the compiled patterns of a schema together, which compile within 0.1 s at their first
# use; and what is counted for one at least, and for one that only the other compiler knows.
_INSTRUCTIONS_MAX = 100_000
_INSTRUCTIONS_OF_ONE, _INSTRUCTIONS_UNKNOWN = 50, 20_000


def check_schema(schema: Json, path: Path, problems: Problems) -> bool:
    """Note the problems of the schema at `path`; return True if there are none."""
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
    found = list(islice(places(schema, path), limits.SCHEMA_NODES_MAX + 1))
    if _bounded(found, problems) and _known_draft(found, problems):
        document = Document(schema, found)
        _check_references(document, found, problems)
        _check_patterns(found, problems)
        if len(problems.found) == before:
            _check_meta(schema, path, problems)
        if len(problems.found) == before:
            _check_expansion(document, found, problems)
        if len(problems.found) == before and not _compiles(schema):
            problems.add("SCHEMA_INVALID", "the schema cannot be compiled", path)
    return len(problems.found) == before


def check_defaults(schema: Json, path: Path, problems: Problems) -> None:
    """Warn of defaults of an input that their own schema refuses, which are not applied."""
    source = orjson.dumps(schema) if isinstance(schema, dict) else b""
    for place, reason in misfits(defaults_of(source), Schema(source).problems):
        at = [each for name in place for each in ("properties", name)]
        message = f"the default is not applied, as its schema refuses it: {reason}"
        problems.warn("SCHEMA_DEFAULT_INVALID", message, (*path, *at, "default"))


def _bounded(found: list[Place], problems: Problems) -> bool:
    if len(found) <= limits.SCHEMA_NODES_MAX:
        return True
    message = f"a schema has at most {limits.SCHEMA_NODES_MAX} subschemas"
    problems.add("SCHEMA_TOO_COMPLEX", message, found[0].path)
    return False


def _known_draft(found: list[Place], problems: Problems) -> bool:
    """Refuse unknown drafts before any validator runs, because validators would fetch them."""
    for place in found:
        draft = place.schema.get("$schema")
        if draft is not None and draft_named(draft) is None:
            shown = f", not {draft[:80]!r}" if isinstance(draft, str) else ""
            message = f"$schema must name a published draft of JSON Schema{shown}: {_DRAFTS_SHOWN}"
            problems.add("SCHEMA_REMOTE_REF", message, (*place.path, "$schema"))
            return False
    return True


def _check_references(document: Document, found: list[Place], problems: Problems) -> None:
    for place in found:
        for keyword in REFERENCES:
            reference = place.schema.get(keyword)
            if not isinstance(reference, str):
                continue
            if document.target(place.schema, reference) is not None:
                continue
            path = (*place.path, keyword)
            if reference.startswith("#"):
                message = f"{keyword} {reference[:80]!r} points at nothing"
                problems.add("SCHEMA_INVALID", message, path)
            else:
                message = f"{keyword} must point into its own schema (#/…), not elsewhere"
                problems.add("SCHEMA_REMOTE_REF", message, path)
    for place in document.repeated:
        message = "its $id or anchor also names another subschema"
        problems.add("SCHEMA_INVALID", message, place.path)


def _check_patterns(found: list[Place], problems: Problems) -> None:
    total = 0
    for pattern, path in _patterns(found):
        total += max(_check_pattern(pattern, path, problems), _INSTRUCTIONS_OF_ONE)
        if total > _INSTRUCTIONS_MAX:
            message = "the patterns of the schema have too large or too many repeats together"
            problems.add("SCHEMA_TOO_COMPLEX", message, path)
            return


def _patterns(found: list[Place]) -> Iterator[tuple[str, Path]]:
    for place in found:
        pattern = place.schema.get("pattern")
        if isinstance(pattern, str):
            yield pattern, (*place.path, "pattern")
        by_pattern = place.schema.get("patternProperties")
        if isinstance(by_pattern, dict):
            for name in by_pattern:
                yield name, (*place.path, "patternProperties", name)


def _check_pattern(pattern: str, path: Path, problems: Problems) -> int:
    """Note the problem of a pattern; return the size of its program."""
    code = "REGEX_UNSUPPORTED"
    if len(pattern) > limits.REGEX_CHARACTERS_MAX:
        message = f"a pattern has at most {limits.REGEX_CHARACTERS_MAX} characters"
        problems.add(code, message, path)
        return 0
    try:
        size, fits = compile_pattern(pattern).programsize, True
    except ProgramTooLarge:
        size, fits = _INSTRUCTIONS_UNKNOWN, False
    except ValueError:
        size, fits = _INSTRUCTIONS_UNKNOWN, True
    if not fits or not _compiles({"pattern": pattern}):
        message = "the pattern is not RE2: no look-around, no back-references, no huge repeats"
        problems.add(code, message, path)
    return size


def _check_meta(schema: dict[str, Json], path: Path, problems: Problems) -> None:
    if jsonschema_rs.meta.is_valid(schema):
        return
    # Imported here: the Rust library judges; this one only words the problems.
    from jsonschema import validators

    validator = validators.validator_for(schema, default=validators.Draft202012Validator)
    reported: set[Path] = set()
    for error in validator(validator.META_SCHEMA).iter_errors(schema):
        place = (*path, *error.absolute_path)
        if place not in reported:
            reported.add(place)
            problems.add("SCHEMA_INVALID", _meta_message(error), place)
        if len(reported) == _PROBLEMS_OF_ONE_MAX:
            return
    if not reported:
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


def _check_expansion(document: Document, found: list[Place], problems: Problems) -> None:
    """Refuse circular references and applicators that multiply; both show in the cost."""
    costs: dict[int, int] = {}
    for place in found:
        if _cost(place.schema, document, costs, 0) > _EXPANSION_MAX:
            message = "its references are circular or multiply without bound"
            problems.add("SCHEMA_TOO_COMPLEX", message, place.path)
            return


def _cost(part: Json, document: Document, costs: dict[int, int], depth: int) -> int:
    """Return the number of schemas applied to one value by `part`; huge if circular."""
    if not isinstance(part, dict):
        return 1
    if id(part) in costs:
        return costs[id(part)]
    if depth > _REFERENCE_CHAIN_MAX:
        return _EXPANSION_MAX + 1
    # A part met again on the way down refers to itself and never ends.
    costs[id(part)] = _EXPANSION_MAX + 1
    total = 1
    for keys, child in children(part):
        if keys[0] in _IN_PLACE:
            total += _cost(child, document, costs, depth + 1)
    for keyword in REFERENCES:
        reference = part.get(keyword)
        if isinstance(reference, str):
            target = document.target(part, reference)
            others = [t for t in document.dynamic_targets(keyword, reference) if t is not target]
            total += _cost(target, document, costs, depth + 1)
            total += max((_cost(each, document, costs, depth + 1) for each in others), default=0)
        if total > _EXPANSION_MAX:
            break
    costs[id(part)] = min(total, _EXPANSION_MAX + 1)
    return costs[id(part)]


def _compiles(schema: dict[str, Json]) -> bool:
    """Return whether the schema compiles; the same compiler is used at run time."""
    try:
        compiled(with_sealed_forms(schema))
    except ValueError:
        return False
    return True
