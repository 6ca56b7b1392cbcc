"""What a function of the template language is: its signature, its result, what it does.

A signature is written as it is documented, `padStart(text: string, width: integer, fill?: string)
-> string`, and everything else is read from it: what it takes, how many, and what it yields. An
optional parameter ends with `?`, the last one may end with `...` and be given again and again.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flowmesh.expressions.references import kind_of

Json = Any

ARGUMENTS_MAX = 32
TEXT_CHARACTERS_MAX = 256 * 1024
"""Of a text that a function takes or yields."""
ITEMS_MAX = 100_000
"""Of a list that a function takes or yields."""
INTEGER_MAX = 2**63 - 1

_SIGNATURE = re.compile(r"(\w+)\((.*)\) -> (\w+)\Z")
_PARAMETER = re.compile(r"(\w+)(\?|\.\.\.)?: ([\w|]+)\Z")

RESULTS: dict[str, Json] = {
    "any": {},
    "array": {"type": "array"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date-time"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "object": {"type": "object"},
    "string": {"type": "string"},
    "strings": {"type": "array", "items": {"type": "string"}},
    "uuid": {"type": "string", "format": "uuid"},
}
"""JSON Schemas of the results that signatures name."""


class Unfit(ValueError):
    """A value that a function cannot work with; the message says why, without the value."""


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Kind = tuple[str, Callable[[Json], bool]]
"""What to call a value of a kind, and what tells one."""

_KINDS: dict[str, Kind] = {
    "any": ("any value", lambda _value: True),
    "array": ("an array", lambda value: isinstance(value, list)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "date": ("a date", lambda value: isinstance(value, str) or _is_number(value)),
    "integer": ("a whole number", lambda value: _is_number(value) and value == math.trunc(value)),
    "number": ("a number", _is_number),
    "object": ("an object", lambda value: isinstance(value, dict)),
    "string": ("a string", lambda value: isinstance(value, str)),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """`kinds` are the kinds of values it takes; `repeated` is given any number of times more."""

    name: str
    kinds: tuple[Kind, ...]
    optional: bool
    repeated: bool

    def checked(self, value: Json) -> Json:
        """The value, where it is of one of the kinds; raises Unfit."""
        if not any(fits(value) for _, fits in self.kinds):
            expected = " or ".join(words for words, _ in self.kinds)
            raise Unfit(f"{self.name} is {kind_of(value)}, it must be {expected}")
        if value.__class__ is str and len(value) > TEXT_CHARACTERS_MAX:
            raise Unfit(f"{self.name} is longer than {TEXT_CHARACTERS_MAX} characters")
        if value.__class__ is list and len(value) > ITEMS_MAX:
            raise Unfit(f"{self.name} has more than {ITEMS_MAX} items")
        return int(value) if self.kinds == (_KINDS["integer"],) else value


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `apply` gets the checked arguments and raises Unfit.

    `lazy` ones get functions that yield their arguments instead, so that one may be missing or
    never looked at; `momentary` ones also get the moment and the place they stand at.
    """

    name: str
    signature: str
    parameters: tuple[Parameter, ...]
    result: str
    summary: str
    example: str
    apply: Callable[..., Json]
    lazy: bool = False
    momentary: bool = False

    @property
    def least(self) -> int:
        return sum(not each.optional for each in self.parameters)

    @property
    def most(self) -> int:
        repeated = self.parameters and self.parameters[-1].repeated
        return ARGUMENTS_MAX if repeated else len(self.parameters)

    def parameter(self, index: int) -> Parameter:
        return self.parameters[min(index, len(self.parameters) - 1)]


def function(
    signature: str,
    apply: Callable[..., Json],
    summary: str,
    example: str,
    *,
    lazy: bool = False,
    momentary: bool = False,
    kinds: Mapping[str, Kind] | None = None,
) -> Function:
    """A function as its signature says; `example` is a call without data that shows it.

    `kinds` are those its signature names beside the usual ones.
    """
    known = {**_KINDS, **(kinds or {})}
    found = _SIGNATURE.match(signature)
    assert found is not None, signature
    parameters = tuple(_parameter(each, known) for each in found.group(2).split(", ") if each)
    assert found.group(3) in RESULTS, signature
    return Function(
        name=found.group(1),
        signature=signature,
        parameters=parameters,
        result=found.group(3),
        summary=summary,
        example=example,
        apply=apply,
        lazy=lazy,
        momentary=momentary,
    )


def _parameter(text: str, known: Mapping[str, Kind]) -> Parameter:
    found = _PARAMETER.match(text)
    assert found is not None, text
    kinds = tuple(known[name] for name in found.group(3).split("|"))
    return Parameter(found.group(1), kinds, found.group(2) == "?", found.group(2) == "...")


def bounded_text(characters: int) -> None:
    """Refuses a result before it is made."""
    if characters > TEXT_CHARACTERS_MAX:
        raise Unfit(f"the result would be longer than {TEXT_CHARACTERS_MAX} characters")


def bounded_number(value: float) -> float:
    """A number that JSON can hold."""
    if isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise Unfit("the result is out of the range of numbers")
    elif not math.isfinite(value):
        raise Unfit("the result is not a number")
    return value
