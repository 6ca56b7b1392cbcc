"""JSON Schemas as a plan has them: compiled when first needed, problems with their places."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

VIOLATIONS_MAX = 20
# Of a message, which shows the value that does not fit; a longer one loses its middle.
MESSAGE_CHARACTERS_MAX = 500

TOLD_MAX = 500_000
"""Entries of a value times the parts of its schema, of which all problems may be told: each has a
copy of what it is about, and all of them are made before the first can be seen. 0.2 s at the most.
"""

LEVELS_TOLD_MAX = 8
"""Levels of a value that choices which refer to choices are told of: on each there are twice as
many problems, or more.
"""

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_CHOICES = frozenset({"anyOf", "oneOf"})


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """Where a value does not fit its schema, as a path below the value, and why."""

    path: str
    message: str
    schema_path: str
    """Of the keyword it fails: `#/properties/amount/minimum`."""

    def __str__(self) -> str:
        return f"{self.message} ({self.schema_path})"


class Schema:
    """A JSON Schema, compiled when it is first needed; an absent one takes any value.

    `retrieve` gives what references outside of it lead to; none are followed without.
    """

    __slots__ = ("_parts", "_retrieve", "_source", "_validator", "_words")

    def __init__(self, source: bytes, retrieve: Callable[[str], Any] | None = None) -> None:
        self._source = source
        self._retrieve = retrieve or _refuse
        self._validator: jsonschema_rs.Validator | None = None
        self._parts = 0
        self._words: frozenset[str] = frozenset()

    def problems(self, value: object) -> tuple[SchemaProblem, ...]:
        """What does not fit, at most the first 20; of a large value only the first, or that it
        does not.
        """
        if not self._source:
            return ()
        if self._validator is None:
            self._validator = self._compiled()
        try:
            if self._validator.is_valid(value):
                return ()
            return tuple(_problem(error) for error in self._errors(self._validator, value)) or (
                SchemaProblem("", "it does not fit, and is too large to say where", "#"),
            )
        except ValueError:
            return (SchemaProblem("", "it is nested too deep to be looked through", "#"),)

    def _compiled(self) -> jsonschema_rs.Validator:
        schema = orjson.loads(self._source)
        levels = list(_levels(schema))
        self._parts = sum(map(len, levels))
        self._words = frozenset(
            word for level in levels for each in level if isinstance(each, dict) for word in each
        )
        return jsonschema_rs.validator_for(
            schema, pattern_options=jsonschema_rs.RegexOptions(), retriever=self._retrieve
        )

    def _errors(
        self, validator: jsonschema_rs.Validator, value: object
    ) -> Iterable[jsonschema_rs.ValidationError]:
        """None where even the first would take too long."""
        words, entries, levels, widest = self._words, 0, 0, 0
        for level in _levels(value):
            entries, levels = entries + len(level), levels + 1
            widest = max(widest, *(len(each) for each in level if isinstance(each, dict)), 0)
            if entries > TOLD_MAX:
                break
        # A problem of each name has a copy of all that the object holds.
        parts = self._parts + levels + (widest if "propertyNames" in words else 0)
        chooses = not words.isdisjoint(_CHOICES)
        tangled = chooses and not words.isdisjoint(_REFERENCES) and levels > LEVELS_TOLD_MAX
        if entries * parts <= TOLD_MAX and not tangled:
            return islice(validator.iter_errors(value), VIOLATIONS_MAX)
        if chooses:
            return ()  # the first has those of all choices in it
        try:
            validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return (error,)
        return ()


def _levels(value: object) -> Iterator[list[Any]]:
    """The values in a value, level by level, itself first."""
    level: list[Any] = [value]
    while level:
        yield level
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]


def _problem(error: jsonschema_rs.ValidationError) -> SchemaProblem:
    return SchemaProblem(
        _path(error.instance_path), _shown(error.message), _pointer(error.schema_path)
    )


def _refuse(uri: str, /) -> Any:
    raise ValueError(f"remote reference {uri}")


def _shown(message: str) -> str:
    if len(message) <= MESSAGE_CHARACTERS_MAX:
        return message
    half = MESSAGE_CHARACTERS_MAX // 2
    return f"{message[:half]} … {message[-half:]}"


def _path(parts: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _pointer(parts: Iterable[str | int]) -> str:
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "#" + "".join(f"/{part}" for part in escaped)
