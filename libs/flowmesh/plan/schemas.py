"""JSON Schemas as a plan has them: compiled when first needed, problems with their places."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

VIOLATIONS_MAX = 20
# Of a message, which shows the value that does not fit; a longer one loses its middle.
MESSAGE_CHARACTERS_MAX = 500


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

    __slots__ = ("_retrieve", "_source", "_validator")

    def __init__(self, source: bytes, retrieve: Callable[[str], Any] | None = None) -> None:
        self._source = source
        self._retrieve = retrieve or _refuse
        self._validator: jsonschema_rs.Validator | None = None

    def problems(self, value: object) -> tuple[SchemaProblem, ...]:
        """What does not fit, at most the first 20."""
        if not self._source:
            return ()
        if self._validator is None:
            self._validator = jsonschema_rs.validator_for(
                orjson.loads(self._source),
                pattern_options=jsonschema_rs.RegexOptions(),
                retriever=self._retrieve,
            )
        if self._validator.is_valid(value):
            return ()
        errors = islice(self._validator.iter_errors(value), VIOLATIONS_MAX)
        return tuple(
            SchemaProblem(_path(e.instance_path), _shown(e.message), _pointer(e.schema_path))
            for e in errors
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
