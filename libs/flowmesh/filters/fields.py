"""Fields of filters: fixed ones, and families with names that users choose."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum

from flowmesh.api.execution.v1 import execution_pb2


class Kind(Enum):
    """The kind of values in a field; it determines the allowed operators."""

    TEXT = "text"
    STATUS = "a status"
    NUMBER = "a number"
    TIME = "a time"
    DURATION = "a duration"
    ERROR = "text of an error"
    NEED = "what a person has to decide"
    MARK = "a mark"
    ANYWHERE = "a text"
    ANY = "text, a number, a flag or a time"


@dataclass(frozen=True, slots=True)
class Field:
    """A field. `name` is as written, with its family for labels, attributes and input values."""

    name: str
    kind: Kind

    @property
    def stored_name(self) -> str:
        """The name among the search values; empty for a column of executions."""
        in_family = self.name.partition(".")[0] in FAMILIES or self.name in _STORED
        return self.name if in_family else ""


FIELDS = {
    "id": Kind.TEXT,
    "workflow": Kind.TEXT,
    "version": Kind.NUMBER,
    "status": Kind.STATUS,
    "started": Kind.TIME,
    "ended": Kind.TIME,
    "duration": Kind.DURATION,
    "requestId": Kind.TEXT,
    "error": Kind.ERROR,
    "error.class": Kind.TEXT,
    "needs": Kind.NEED,
    "dead_letter": Kind.MARK,
    "any": Kind.ANYWHERE,
}
NEEDS = ("hold", "approval", "breakpoint")
"""What a person has to decide before an execution goes on, the most urgent first."""

MARKS = ("discarded",)
"""Marks of a failed execution whose dead letters are off the list."""

FAMILIES = {"label": Kind.TEXT, "attr": Kind.ANY, "input": Kind.ANY}
LABEL_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}")
_STORED = frozenset({"error", "error.class", "needs", "dead_letter"})
_IN_FAMILY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,190}")
NAME_CHARACTERS_MAX = 200


def field_of(name: str) -> Field | None:
    """Return the field of a name, or None."""
    kind = FIELDS.get(name)
    family, _, rest = name.partition(".")
    if kind is None and family in FAMILIES and len(name) <= NAME_CHARACTERS_MAX:
        kind = FAMILIES[family] if _IN_FAMILY.fullmatch(rest) else None
    return Field(name, kind) if kind is not None else None


def field_among(fields: Mapping[str, Kind], name: str) -> Field | None:
    """Return the field of a name among those of a list, or None."""
    return Field(name, fields[name]) if name in fields else None


def unknown_field(name: str, fields: Mapping[str, Kind] | None = None) -> str:
    """Return the error message for an unknown field, of executions or of a list."""
    if fields is not None:
        close = suggestion(name, fields)
        return f"{name[:64]!r} is not a field; known: {', '.join(fields)}{close}"
    families = [f"{family}.<name>" for family in FAMILIES]
    close = suggestion(name, [*FIELDS, *FAMILIES])
    return f"{name[:64]!r} is not a field; known: {', '.join([*FIELDS, *families])}{close}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` if a known name is similar."""
    family, dot, rest = name.partition(".")
    for written, tail in ((name, ""), (family, dot + rest)):
        near = get_close_matches(written[:64], list(known), n=1)
        if near:
            return f"; did you mean {near[0] + tail!r}?"
    return ""


def status_names() -> dict[str, int]:
    """Return the numbers of the statuses by their words."""
    return {
        name.removeprefix("EXECUTION_STATUS_").lower(): number
        for name, number in execution_pb2.ExecutionStatus.items()
        if number
    }
