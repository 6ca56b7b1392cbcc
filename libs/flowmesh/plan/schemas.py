"""JSON Schemas of a plan, compiled on first use; problems have paths."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from flowmesh.schemas.encrypted import may_be_encrypted, with_sealed_forms
from flowmesh.schemas.sensitive import sensitive_paths
from flowmesh.views.masking import MASK

VIOLATIONS_MAX = 20
# Characters of a message, which contains the invalid value; a longer one is cut in the middle.
MESSAGE_CHARACTERS_MAX = 500

VALIDATION_COST_MAX = 500_000
"""Entries of a value times parts of its schema up to which all problems are listed, at most 0.2 s.
The validator creates all problems, each with a copy of its value, before it returns the first.
"""

EXPANSION_DEPTH_MAX = 8
"""Levels of a value up to which problems of recursive choices are listed. Each level at least
doubles the number of problems.
"""

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_CHOICES = frozenset({"anyOf", "oneOf"})


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """A violation of a schema: the path in the value, and a message."""

    path: str
    message: str
    schema_path: str
    """The violated keyword, such as `#/properties/amount/minimum`."""

    def __str__(self) -> str:
        return f"{self.message} ({self.schema_path})"


class Schema:
    """A JSON Schema, compiled on first use. An empty source accepts any value.

    `retrieve` resolves external references; without it they are rejected. `sensitive` are the
    pointers to members that are masked, also in the messages of problems. Members that are marked
    as encrypted take sealed values.
    """

    __slots__ = ("_parts", "_retrieve", "_source", "_validator", "_words", "sensitive")

    def __init__(self, source: bytes, retrieve: Callable[[str], Any] | None = None) -> None:
        self._source = source
        self.sensitive = sensitive_paths(source)
        self._retrieve = retrieve or _refuse
        self._validator: jsonschema_rs.Validator | None = None
        self._parts = 0
        self._words: frozenset[str] = frozenset()

    def problems(self, value: object) -> tuple[SchemaProblem, ...]:
        """Return at most the first 20 problems; for a large value the first, or a summary."""
        if not self._source:
            return ()
        if self._validator is None:
            self._validator = self._compiled()
        try:
            if self._validator.is_valid(value):
                return ()
            return tuple(_problem(error) for error in self._errors(self._validator, value)) or (
                SchemaProblem("", "the value does not fit and is too large to locate why", "#"),
            )
        except ValueError:
            return (SchemaProblem("", "the value is nested too deep to be validated", "#"),)

    def _compiled(self) -> jsonschema_rs.Validator:
        schema = orjson.loads(self._source)
        if may_be_encrypted(self._source):
            schema = with_sealed_forms(schema)
        levels = list(_levels(schema))
        self._parts = sum(map(len, levels))
        self._words = frozenset(
            word for level in levels for each in level if isinstance(each, dict) for word in each
        )
        return jsonschema_rs.validator_for(
            schema,
            pattern_options=jsonschema_rs.RegexOptions(),
            retriever=self._retrieve,
            mask=MASK if self.sensitive else None,
        )

    def _errors(
        self, validator: jsonschema_rs.Validator, value: object
    ) -> Iterable[jsonschema_rs.ValidationError]:
        """Return the errors to report; none where even the first would take too long."""
        words, entries, levels, widest = self._words, 0, 0, 0
        for level in _levels(value):
            entries, levels = entries + len(level), levels + 1
            widest = max(widest, *(len(each) for each in level if isinstance(each, dict)), 0)
            if entries > VALIDATION_COST_MAX:
                break
        # An error of `propertyNames` has a copy of the whole object for each name.
        parts = self._parts + levels + (widest if "propertyNames" in words else 0)
        chooses = not words.isdisjoint(_CHOICES)
        recursive = chooses and not words.isdisjoint(_REFERENCES)
        may_expand_exponentially = recursive and levels > EXPANSION_DEPTH_MAX
        if entries * parts <= VALIDATION_COST_MAX and not may_expand_exponentially:
            return islice(validator.iter_errors(value), VIOLATIONS_MAX)
        if chooses:
            return ()  # the first error contains those of all choices
        try:
            validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return (error,)
        return ()


def _levels(value: object) -> Iterator[list[Any]]:
    """Yield the values inside a value level by level, starting with itself."""
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
        path_of(error.instance_path), _shown(error.message), _pointer(error.schema_path)
    )


def _refuse(uri: str, /) -> Any:
    raise ValueError(f"remote reference {uri}")


def _shown(message: str) -> str:
    if len(message) <= MESSAGE_CHARACTERS_MAX:
        return message
    half = MESSAGE_CHARACTERS_MAX // 2
    return f"{message[:half]} … {message[-half:]}"


def path_of(parts: Iterable[str | int]) -> str:
    """Return the path of a value in its document, such as `.items[0].id`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _pointer(parts: Iterable[str | int]) -> str:
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "#" + "".join(f"/{part}" for part in escaped)
