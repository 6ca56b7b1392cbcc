"""What a parameter of a path, a query or a header may be: checked and described from one source."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowmesh.errors import Invalid, Violation
from flowmesh.gateway.bodies.envelopes import VERSION_MAX
from flowmesh.gateway.http.ids import (
    ID_PATTERN,
    OPTIONAL_ID_PATTERN,
    checked_id,
    checked_text,
    invalid_field,
)
from flowmesh.gateway.http.instants import instant_us
from flowmesh.gateway.http.limits import (
    CHANGE_CHARACTERS_MAX,
    INT64_MAX,
    PAGE_SIZE_MAX,
    TEXT_CHARACTERS_MAX,
)

_DIGEST = "[0-9a-f]{64}"


@dataclass(frozen=True, slots=True)
class Kind:
    """The values of a parameter: its JSON Schema, and the check that names the field it refuses."""

    schema: Mapping[str, Any]
    check: Callable[[str, str], object]


def whole(most: int = INT64_MAX, *, least: int = 0, default: int | None = None) -> Kind:
    """An integer within bounds."""

    def check(name: str, text: str) -> None:
        # Python takes other digits and underscores too.
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not (digits and least <= int(text) <= most):
            raise invalid_field(name, f"must be an integer from {least} to {most}")

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(schema if default is None else schema | {"default": default}, check)


def one_of(*words: str, default: str = "") -> Kind:
    """One of some words; where it is left out it means the default."""

    def check(name: str, text: str) -> None:
        if text not in words:
            raise invalid_field(name, f"must be one of {', '.join(words)}")

    schema = {"type": "string", "enum": list(words)}
    return Kind(schema | {"default": default} if default else schema, check)


def listed(words: tuple[str, ...], alike: Callable[[str], str]) -> Kind:
    """One of the words that a list is filtered by, also in the spellings that `alike` maps."""

    def check(name: str, text: str) -> None:
        if alike(text) not in words:
            what = f"{text!r} is no {name}; known: {', '.join(words)}"
            violation = Violation(name, what, "FILTER_INVALID")
            raise Invalid("FILTER_INVALID", f"{name}: {what}.", violations=(violation,))

    return Kind({"type": "string", "enum": list(words)}, check)


def _check_flag(name: str, text: str) -> None:
    if text not in ("true", "false", "1", "0"):
        raise invalid_field(name, "must be true or false")


def _check_digest(name: str, text: str) -> None:
    if not re.fullmatch(_DIGEST, text):
        what = "must be the lower-case hex SHA-256 of the payload"
        violation = Violation(name, what, "ID_INVALID")
        raise Invalid("ID_INVALID", f"{name}: {what}.", violations=(violation,))


def _version(least: int, label: Kind) -> Kind:
    """A version by number or by label, which is no number."""
    number = whole(VERSION_MAX, least=least)

    def check(name: str, text: str) -> None:
        (number if text.isascii() and text.isdigit() else label).check(name, text)

    return Kind({"anyOf": [number.schema, {**label.schema, "not": {"pattern": "^[0-9]+$"}}]}, check)


def _check_moment(name: str, text: str) -> None:
    if text.isascii() and text.isdigit():
        EVENT.check(name, text)
    else:
        INSTANT.check(name, text)


def text(most: int = TEXT_CHARACTERS_MAX, *, least: int = 0) -> Kind:
    """Text without NUL."""

    def check(name: str, value: str) -> None:
        if len(value) < least:
            raise invalid_field(name, "must not be empty")
        checked_text(name, value, most)

    schema = {"type": "string", "maxLength": most, "pattern": "^[^\\u0000]*$"}
    return Kind(schema | ({"minLength": least} if least else {}), check)


TEXT = text()
CHANGE = text(CHANGE_CHARACTERS_MAX)
# Such as `each[3]/charge`, or `states/Ask for more`.
NODE = text(least=1)
# Whatever the token of an approval link is, the page answers what is wrong with it.
TOKEN = Kind({"type": "string"}, lambda _, value: value)
ID = Kind({"type": "string", "pattern": ID_PATTERN}, checked_id)
# In queries and headers, where an empty value is as none.
OPTIONAL_ID = Kind(
    {"type": "string", "pattern": OPTIONAL_ID_PATTERN},
    lambda name, value: value and checked_id(name, value),
)
FLAG = Kind({"type": "boolean", "default": False}, _check_flag)
INSTANT = Kind({"type": "string", "format": "date-time"}, instant_us)
# In quotes, as the draft of the header has it, or bare.
KEY = Kind(
    {"type": "string", "pattern": f'^"?{OPTIONAL_ID_PATTERN[1:-1]}"?$'},
    lambda name, value: checked_id(name, value.strip('"')),
)
DIGEST = Kind({"type": "string", "pattern": f"^{_DIGEST}$"}, _check_digest)
EVENT = whole()
MOMENT = Kind({"oneOf": [EVENT.schema, INSTANT.schema]}, _check_moment)
NUMBER = whole(VERSION_MAX)
VERSION = _version(0, OPTIONAL_ID)
# Of a path: it is there, and 0 is none.
STORED = _version(1, ID)
PAGE_SIZE = whole(PAGE_SIZE_MAX)
# Parameters of paths that are no ids.
PATH_KINDS = {
    "node": NODE,
    "variable": NODE,
    "token": TOKEN,
    "digest": DIGEST,
    "version": STORED,
}


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter. Only a repeated one may be given more than once, or hold commas; one that
    is the same as another may be given in its place."""

    name: str
    description: str
    kind: Kind = TEXT
    repeated: bool = False
    required: bool = False
    same_as: str = ""

    def values(self, text: str) -> list[str]:
        """What is given; raises `Invalid` for what the kind does not take."""
        given = [part for part in text.split(",") if part] if self.repeated else [text]
        for value in given:
            self.kind.check(self.name, value)
        return given


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """A request header with a meaning of its own on a route; an empty one is as none."""

    name: str
    description: str
    kind: Kind = TEXT


NAMESPACE = RequestHeader(
    "Flowmesh-Namespace", "The namespace; `default` without one.", OPTIONAL_ID
)


@dataclass(frozen=True, slots=True)
class Rules:
    """The parameters of a route. Where it is not strict, unknown ones of the query are ignored."""

    paths: Mapping[str, Kind] = field(default_factory=dict)
    queries: Mapping[str, Query] = field(default_factory=dict)
    # By their names in lower case.
    headers: Mapping[bytes, RequestHeader] = field(default_factory=dict)
    strict: bool = True
    required: frozenset[str] = frozenset()

    def check_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Refuses those whose value is of another kind than the route takes."""
        for name, value in headers:
            header = self.headers.get(name)
            if header is not None and value:
                header.kind.check(header.name, str(value, "latin-1").strip())

    def read(self, pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
        """The values of a query by name; refuses what is unknown, repeated or of another kind."""
        found: dict[str, list[str]] = {}
        for name, text in pairs:
            query = self.queries.get(name)
            if query is None:
                if self.strict:
                    names = ", ".join(sorted(self.queries)) or "none"
                    raise invalid_field(name, f"unknown query parameter; known here: {names}")
                continue
            values = found.setdefault(query.same_as or name, [])
            if values and not query.repeated:
                also = f" or as {query.same_as}" if query.same_as else ""
                raise invalid_field(name, f"given more than once{also}; it takes one value")
            values += query.values(text)
        for name in self.required:
            if not any(found.get(name, ())):
                raise invalid_field(name, "required query parameter is missing")
        return found
