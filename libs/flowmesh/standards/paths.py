"""Paths of the Amazon States Language: JSONPath, reference paths, and their results.

A path begins with `$` (the data), `$$` (the context object), or `$name` (a variable). A path that
can select only one value returns that value; any other returns the list of selected values. Names
are those of the language.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from flowmesh.contract.json_value import Json
from flowmesh.expressions import ExpressionInvalid, RenderError
from flowmesh.expressions.jsonpath import JsonPath as Query
from flowmesh.expressions.jsonpath import compile_jsonpath
from flowmesh.standards.path_names import as_rfc9535

_COMPILED_MAX = 4_096
_VARIABLE = re.compile(r"\$([^\W\d]\w{0,79})")


class Context(dict[str, Json]):
    """The context object, with the variables that paths may read."""

    def __init__(self, fields: Mapping[str, Json], variables: Mapping[str, Json]) -> None:
        super().__init__(fields)
        self.variables = variables


class PathInvalid(Exception):
    """A text that is no path; the message holds the reason."""


class PathFailed(Exception):
    """Data without the value of a path. `error` is the standard's name of the failure."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A compiled path. `keys` are its steps where it is a reference path, else None."""

    text: str
    of_context: bool
    query: Query
    keys: tuple[str | int, ...] | None
    variable: str = ""

    def find(self, data: Json, context: Json) -> Json:
        """Return the selected value. Raises PathFailed if it is missing."""
        value = self._root(data, context)
        if self.keys is not None:
            found, there = _at(value, self.keys)
            if not there:
                message = f"{self.text} is not in the {'context' if self.of_context else 'input'}"
                raise PathFailed("States.ParameterPathFailure", message)
            return found
        return self._selected(value)

    def _root(self, data: Json, context: Json) -> Json:
        if not self.variable:
            return context if self.of_context else data
        variables = context.variables if isinstance(context, Context) else {}
        if self.variable not in variables:
            raise PathFailed("States.ParameterPathFailure", f"${self.variable} is not assigned")
        return variables[self.variable]

    def exists(self, data: Json, context: Json) -> bool:
        try:
            value = self._root(data, context)
        except PathFailed:
            return False
        if self.keys is not None:
            return _at(value, self.keys)[1]
        return bool(self._selected(value))

    def _selected(self, value: Json) -> list[Json]:
        try:
            return self.query.select(value)
        except RenderError as error:
            raise PathFailed("States.Runtime", f"{self.text}: {error}") from error


@lru_cache(maxsize=_COMPILED_MAX)
def compile_path(text: str) -> JsonPath:
    """Compile a path. Raises PathInvalid."""
    if not text.startswith("$"):
        raise PathInvalid(f"a path begins with $, not {text[:16]!r}")
    of_context = text.startswith("$$")
    named = _VARIABLE.match(text)
    below = text[named.end() :] if named is not None else text[1:].removeprefix("$")
    try:
        query = compile_jsonpath(as_rfc9535("$" + below))
    except ExpressionInvalid as error:
        raise PathInvalid(f"{text[:64]!r}: {error.message}") from None
    except UnicodeError:
        raise PathInvalid(f"{text[:64]!r} holds half of a surrogate pair") from None
    return JsonPath(text, of_context, query, query.keys, named[1] if named is not None else "")


def compile_reference(text: str) -> JsonPath:
    """Compile a path to one place in the data. Raises PathInvalid."""
    path = compile_path(text)
    if path.keys is None or path.of_context or path.variable:
        raise PathInvalid(f"{text[:64]!r} is no reference path, which names one place: $.a.b[0]")
    return path


def put(data: Json, keys: tuple[str | int, ...], value: Json) -> Json:
    """Return the data with a value set at a path; missing objects are created.

    Raises PathFailed if a value on the path is no object.
    """
    if not keys:
        return value
    key, *rest = keys
    if isinstance(key, str):
        if data is not None and not isinstance(data, dict):
            raise PathFailed(
                "States.ResultPathMatchFailure", f"{key!r} is read from a value that is no object"
            )
        members = data or {}
        return {**members, key: put(members.get(key), tuple(rest), value)}
    if not isinstance(data, list) or not 0 <= key < len(data):
        raise PathFailed("States.ResultPathMatchFailure", f"there is no item {key}")
    return [*data[:key], put(data[key], tuple(rest), value), *data[key + 1 :]]


def _at(value: Json, keys: tuple[str | int, ...]) -> tuple[Json, bool]:
    for key in keys:
        if isinstance(key, str):
            if not isinstance(value, dict) or key not in value:
                return None, False
        elif not isinstance(value, list) or not -len(value) <= key < len(value):
            return None, False
        value = value[key]
    return value, True
