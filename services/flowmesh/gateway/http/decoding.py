"""Bodies of requests as structs; a refusal names the member that is wrong."""

import re
from typing import TypeVar

import msgspec

from flowmesh.errors import Invalid, Violation
from flowmesh.jsontext import parse_json

E_ = TypeVar("E_", bound=msgspec.Struct)


def decode(raw: bytes, envelope: type[E_]) -> E_:
    """Decode an envelope; an empty body has no members."""
    value = parse_json(raw) if raw.strip() else {}
    try:
        return msgspec.convert(value, envelope)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), envelope) from error


# The messages of msgspec for unknown and missing members, followed by the path.
_MEMBER = re.compile(r"^Object (?P<what>contains unknown|missing required) field `(?P<name>.*?)`")
_TYPE = re.compile(r"`(.*?)`")
_JSON_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


def _refusal(message: str, envelope: type[msgspec.Struct]) -> Invalid:
    place = _PLACE.search(message)
    path = place["path"] if place else ""
    problem = _PLACE.sub("", message)
    if member := _MEMBER.match(problem):
        path = f"{path}.{member['name']}" if path else member["name"]
        unknown = member["what"].startswith("contains")
        # Only the place of an inner object is known, not its struct.
        known = ", ".join(envelope.__struct_encode_fields__) or "none"
        problem = "required member is missing"
        if unknown:
            problem = "unknown member" if place else f"unknown member; known are {known}"
    problem = _TYPE.sub(lambda found: _JSON_NAMES.get(found[1], found[1]), problem)
    problem = problem[0].lower() + problem[1:]
    text = f"{path or 'body'}: {problem}."
    return Invalid(
        "REQUEST_INVALID", text, violations=(Violation(path, problem, "REQUEST_INVALID"),)
    )
