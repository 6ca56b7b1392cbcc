"""Kinds of path, query and header parameters: check and description from one source."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowmesh.errors import Invalid, Violation
from flowmesh.gateway.http.ids import (
    ID_PATTERN,
    OPTIONAL_ID_PATTERN,
    VERSION_MAX,
    checked_id,
    checked_optional_id,
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

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_DIGEST = "[0-9a-f]{64}"


@dataclass(frozen=True, slots=True)
class Kind:
    """The values of a parameter: a JSON Schema, and a check whose error names the field."""

    schema: Mapping[str, Any]
    check: Callable[[str, str], object]


def whole(most: int = INT64_MAX, *, least: int = 0, default: int | None = None) -> Kind:
    """Return the kind of integers within bounds."""

    def check(name: str, text: str) -> None:
        # int() also accepts other digits and underscores.
        digits = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
        if not (digits and least <= int(text) <= most):
            raise invalid_field(name, f"must be an integer from {least} to {most}")

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(schema if default is None else schema | {"default": default}, check)


def number(least: float, most: float) -> Kind:
    """Return the kind of numbers within bounds."""

    def check(name: str, text: str) -> None:
        if not (_NUMBER.fullmatch(text) and least <= float(text) <= most):
            raise invalid_field(name, f"must be a number from {least:,} to {most:,}")

    return Kind({"type": "number", "minimum": least, "maximum": most}, check)


def one_of(*words: str, default: str = "") -> Kind:
    """Return the kind of a closed set of words with a default."""

    def check(name: str, text: str) -> None:
        if text not in words:
            raise invalid_field(name, f"must be one of {', '.join(words)}")

    schema = {"type": "string", "enum": list(words)}
    return Kind(schema | {"default": default} if default else schema, check)


def listed(words: tuple[str, ...], alike: Callable[[str], str]) -> Kind:
    """Return the kind of a filter by words; `alike` maps further spellings."""

    def check(name: str, text: str) -> None:
        if alike(text) not in words:
            what = f"must be one of {', '.join(words)}, not {text!r}"
            violation = Violation(name, what, "FILTER_INVALID")
            raise Invalid("FILTER_INVALID", f"{name}: {what}.", violations=(violation,))

    return Kind({"type": "string", "enum": list(words)}, check)


def _check_flag(name: str, text: str) -> None:
    if text not in ("true", "false", "1", "0"):
        raise invalid_field(name, "must be true or false")


def _check_digest(name: str, text: str) -> None:
    if not re.fullmatch(_DIGEST, text):
        what = "must be the SHA-256 of the payload in lower-case hex"
        violation = Violation(name, what, "ID_INVALID")
        raise Invalid("ID_INVALID", f"{name}: {what}.", violations=(violation,))


def _version(least: int, label: Kind) -> Kind:
    """Return the kind of versions: a number, or a label that is not a number."""
    number = whole(VERSION_MAX, least=least)

    def check(name: str, text: str) -> None:
        (number if text.isascii() and text.isdecimal() else label).check(name, text)

    return Kind({"anyOf": [number.schema, {**label.schema, "not": {"pattern": "^[0-9]+$"}}]}, check)


def _check_moment(name: str, text: str) -> None:
    if text.isascii() and text.isdecimal():
        EVENT.check(name, text)
    else:
        INSTANT.check(name, text)


def text(most: int = TEXT_CHARACTERS_MAX, *, least: int = 0) -> Kind:
    """Return the kind of text without NUL characters."""

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
# The token of an approval link is not checked here: the page reports its problem.
TOKEN = Kind({"type": "string"}, lambda _, value: value)
# The remaining segments of a path; its service checks them.
REST_PATH = Kind({"type": "string"}, lambda _, value: value)
ID = Kind({"type": "string", "pattern": ID_PATTERN}, checked_id)
# Optional in queries and headers: an empty value means none.
OPTIONAL_ID = Kind({"type": "string", "pattern": OPTIONAL_ID_PATTERN}, checked_optional_id)
FLAG = Kind({"type": "boolean", "default": False}, _check_flag)
INSTANT = Kind({"type": "string", "format": "date-time"}, instant_us)
# Quoted, as in the draft of the header, or unquoted.
KEY = Kind(
    {"type": "string", "pattern": f'^"?{OPTIONAL_ID_PATTERN[1:-1]}"?$'},
    lambda name, value: checked_id(name, value.strip('"')),
)
DIGEST = Kind({"type": "string", "pattern": f"^{_DIGEST}$"}, _check_digest)
EVENT = whole()
MOMENT = Kind({"oneOf": [EVENT.schema, INSTANT.schema]}, _check_moment)
NUMBER = whole(VERSION_MAX)
VERSION = _version(0, OPTIONAL_ID)
# A version in a path: required, from 1.
STORED = _version(1, ID)
PAGE_SIZE = whole(PAGE_SIZE_MAX)
# Path parameters that are not ids.
PATH_KINDS = {
    "node": NODE,
    "variable": NODE,
    "token": TOKEN,
    "digest": DIGEST,
    "version": STORED,
    # Virtual ones have a slash: `execution/<id>`.
    "stream": NODE,
}


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter.

    Only a `repeated` one may be given more than once or hold commas. One that is `same_as` another
    may be given instead of it.
    """

    name: str
    description: str
    kind: Kind = TEXT
    repeated: bool = False
    required: bool = False
    same_as: str = ""

    def values(self, text: str) -> list[str]:
        """Return the given values. Raise `Invalid` for a value that the kind does not accept."""
        given = [part for part in text.split(",") if part] if self.repeated else [text]
        for value in given:
            self.kind.check(self.name, value)
        return given


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """A request header of a route; an empty value means none."""

    name: str
    description: str
    kind: Kind = TEXT


NAMESPACE = RequestHeader("Flowmesh-Namespace", "The namespace (default: `default`).", OPTIONAL_ID)


@dataclass(frozen=True, slots=True)
class Rules:
    """The parameters of a route. If not strict, unknown query parameters are ignored."""

    paths: Mapping[str, Kind] = field(default_factory=dict)
    queries: Mapping[str, Query] = field(default_factory=dict)
    # By name in lower case.
    headers: Mapping[bytes, RequestHeader] = field(default_factory=dict)
    strict: bool = True
    required: frozenset[str] = frozenset()

    def check_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise `Invalid` for a header with an invalid value."""
        for name, value in headers:
            header = self.headers.get(name)
            if header is not None and value:
                header.kind.check(header.name, str(value, "latin-1").strip())

    def read(self, pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
        """Return the query by name. Raise `Invalid` for unknown, repeated or invalid parameters."""
        found: dict[str, list[str]] = {}
        for name, text in pairs:
            query = self.queries.get(name)
            if query is None:
                if self.strict:
                    names = ", ".join(sorted(self.queries)) or "none"
                    raise invalid_field(name, f"unknown query parameter; this route has {names}")
                continue
            values = found.setdefault(query.same_as or name, [])
            if values and not query.repeated:
                also = f" or as {query.same_as}" if query.same_as else ""
                raise invalid_field(name, f"is given more than once{also}; it accepts one value")
            values += query.values(text)
        for name in self.required:
            if not any(found.get(name, ())):
                raise invalid_field(name, "required query parameter is missing")
        return found
