"""Functions of the template language: signature, result and implementation.

A signature is written as documented, `padStart(text: string, width: integer, fill?: string) ->
string`; the kinds and number of arguments and the result are parsed from it. An optional parameter
ends with `?`; a last parameter that ends with `...` can be repeated.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of

ARGUMENTS_MAX = 32
TEXT_CHARACTERS_MAX = 256 * 1024
"""The limit of a text argument or result."""
ITEMS_MAX = 100_000
"""The limit of a list argument or result."""
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
"""JSON Schemas of results by their kind."""


class Unfit(ValueError):
    """A value that a function cannot use; the message explains it without the value."""


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Kind = tuple[str, Callable[[Json], bool]]
"""The name of a kind of values, and its test."""

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
    """A parameter with its kinds of values; a `repeated` one takes any number of arguments."""

    name: str
    kinds: tuple[Kind, ...]
    optional: bool
    repeated: bool

    def checked(self, value: Json) -> Json:
        """Return the value if it has one of the kinds. Raises Unfit."""
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

    `lazy` functions get closures instead of arguments, so that an argument can be missing or
    unevaluated; `momentary` functions also get the moment and the place of the call.
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
    """Build a function from its signature; `example` is a call without data.

    `kinds` adds kinds to the usual ones.
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
    """Raise Unfit for a too long result before it is built."""
    if characters > TEXT_CHARACTERS_MAX:
        raise Unfit(f"the result would be longer than {TEXT_CHARACTERS_MAX} characters")


def bounded_number(value: float) -> float:
    """Return a number that JSON can hold. Raises Unfit."""
    if isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise Unfit("the result is out of the range of numbers")
    elif not math.isfinite(value):
        raise Unfit("the result is not a number")
    return value
