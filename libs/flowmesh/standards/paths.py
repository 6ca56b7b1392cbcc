"""Paths of the Amazon States Language: JSONPath, reference paths, and what they select.

A path begins with `$`, the data, or `$$`, the context object. One that can select one value only
gives that value; any other gives the list of what it selects.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonpath_rfc9535
from jsonpath_rfc9535.exceptions import JSONPathError

Json = Any

PATH_CHARACTERS_MAX = 1_024
# Each `..` looks at every value below every value before it.
DESCENTS_MAX = 1
SELECTED_MAX = 100_000
_COMPILED_MAX = 4_096
# In the language these expressions compare with, patterns have no bound on their time.
_FORBIDDEN = re.compile(r"\b(?:match|search)\s*\(")


class PathInvalid(Exception):
    """A text that is no path; says why."""


class PathFailed(Exception):
    """Data that has not what a path asks for. `error` is the standard's name of it."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A compiled path. `keys` are its steps where it is a reference path, else None."""

    text: str
    of_context: bool
    query: jsonpath_rfc9535.JSONPathQuery
    keys: tuple[str | int, ...] | None

    def find(self, data: Json, context: Json) -> Json:
        """What the path selects. Raises PathFailed where one value is asked for and is not there.

        `error` is that of parameters; who reads results names it anew.
        """
        value = context if self.of_context else data
        if self.keys is not None:
            found, there = _at(value, self.keys)
            if not there:
                message = f"{self.text} is not in the {'context' if self.of_context else 'input'}"
                raise PathFailed("States.ParameterPathFailure", message)
            return found
        return list(self._selected(value))

    def exists(self, data: Json, context: Json) -> bool:
        value = context if self.of_context else data
        if self.keys is not None:
            return _at(value, self.keys)[1]
        return next(self._selected(value), self) is not self

    def _selected(self, value: Json) -> Iterator[Json]:
        for number, node in enumerate(self.query.finditer(value)):
            if number == SELECTED_MAX:
                message = f"{self.text} selects more than {SELECTED_MAX:,} values"
                raise PathFailed("States.Runtime", message)
            yield node.value


@lru_cache(maxsize=_COMPILED_MAX)
def compile_path(text: str) -> JsonPath:
    """Raises PathInvalid."""
    if len(text) > PATH_CHARACTERS_MAX:
        raise PathInvalid(f"a path has at most {PATH_CHARACTERS_MAX} characters")
    if not text.startswith("$"):
        raise PathInvalid(f"a path begins with $, not {text[:16]!r}")
    if text.count("..") > DESCENTS_MAX:
        raise PathInvalid(f"a path has at most {DESCENTS_MAX} `..`")
    if _FORBIDDEN.search(text):
        raise PathInvalid("match and search are not functions of these paths")
    of_context = text.startswith("$$")
    source = text[1:] if of_context else text
    try:
        query = jsonpath_rfc9535.compile(source)
    except (JSONPathError, RecursionError) as error:
        raise PathInvalid(f"{text[:64]!r} is no JSONPath: {_reason(error)}") from None
    return JsonPath(text, of_context, query, _keys(query))


def compile_reference(text: str) -> JsonPath:
    """A path to one place in the data. Raises PathInvalid."""
    path = compile_path(text)
    if path.keys is None or path.of_context:
        raise PathInvalid(f"{text[:64]!r} is no reference path, which names one place: $.a.b[0]")
    return path


def put(data: Json, keys: tuple[str | int, ...], value: Json) -> Json:
    """The data with the value at a place, made where it is missing.

    Raises PathFailed where there is something else on the way.
    """
    if not keys:
        return value
    key, *rest = keys
    if isinstance(key, str):
        if data is not None and not isinstance(data, dict):
            raise PathFailed("States.ResultPathMatchFailure", f"{key!r} is asked of no object")
        members = data or {}
        return {**members, key: put(members.get(key), tuple(rest), value)}
    if not isinstance(data, list) or not 0 <= key < len(data):
        raise PathFailed("States.ResultPathMatchFailure", f"there is no item {key}")
    return [*data[:key], put(data[key], tuple(rest), value), *data[key + 1 :]]


def _keys(query: jsonpath_rfc9535.JSONPathQuery) -> tuple[str | int, ...] | None:
    if not query.singular_query():
        return None
    return tuple(_key(segment.selectors[0]) for segment in query.segments)


def _key(selector: Any) -> str | int:
    return selector.index if hasattr(selector, "index") else str(selector.name)


def _at(value: Json, keys: tuple[str | int, ...]) -> tuple[Json, bool]:
    for key in keys:
        if isinstance(key, str):
            if not isinstance(value, dict) or key not in value:
                return None, False
        elif not isinstance(value, list) or not -len(value) <= key < len(value):
            return None, False
        value = value[key]
    return value, True


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:160]
