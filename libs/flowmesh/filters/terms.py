"""The tree of a filter: terms of a field, an operator and values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NoReturn, TypeAlias

from flowmesh.errors import Invalid, Violation
from flowmesh.filters.fields import Field

FILTER_BYTES_MAX = 4_096
FILTER_TERMS_MAX = 64
"""Including each value of a list."""

FILTER_DEPTH_MAX = 16
"""Levels of parentheses and NOTs."""


class Op(Enum):
    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    PREFIX = "^="
    WORDS = "~"
    IN = "IN"


@dataclass(frozen=True, slots=True)
class Instant:
    """A point in time as written, and as microseconds since the epoch.

    `exact` if the text has a time of day; otherwise it is the start of a day in UTC.
    """

    text: str
    at_us: int
    exact: bool


Value: TypeAlias = str | float | bool | Instant | None
"""Numbers are floats. Labels, attributes and input values may be compared with an Instant."""


@dataclass(frozen=True, slots=True)
class Term:
    """A comparison; IN has one or more `values`, others one. NOT IN is a Not around a Term."""

    field: Field
    op: Op
    values: tuple[Value, ...]

    @property
    def value(self) -> Value:
        return self.values[0]


@dataclass(frozen=True, slots=True)
class Not:
    part: Filter


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Filter, ...]


Filter: TypeAlias = Term | Not | AllOf | AnyOf


def refuse(message: str, at: int, field: str = "filter") -> NoReturn:
    """Raise FILTER_INVALID for the character `at`, counted from 0."""
    place = f"at character {at + 1}: {message}"
    raise Invalid(
        "FILTER_INVALID",
        f"{field}: {place}",
        violations=(Violation(field, place, "FILTER_INVALID", 1, at + 1),),
    )
