"""Source bytes as documents: strict JSON, or plain data in YAML. Nothing is lost or rounded.

The bytes are read once; positions are computed only for reported problems.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Never

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.definitions.limits import KEY_CHARACTERS_MAX, NESTING_MAX, SOURCE_BYTES_MAX
from flowmesh.definitions.problems import Path, Problem, placed
from flowmesh.definitions.reading.yaml_text import (
    INTEGER_DIGITS_MAX,
    Place,
    Unreadable,
    locate,
    read_yaml,
)

_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1
# An unclosed string extends to the end; it is not scanned again.
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)
_NEAR_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class Source:
    """A text and the documents in it."""

    text: str
    documents: tuple[Json, ...]

    def place(self, problems: Sequence[Problem]) -> tuple[Problem, ...]:
        """Return the problems with their places as text, line and column."""
        if not problems:
            return ()
        places = [_place(problem, self.documents) for problem in problems]
        marks = locate(self.text, places)
        count = len(self.documents)
        return tuple(
            placed(problem, documents=count, line=line, column=column)
            for problem, place in zip(problems, places, strict=True)
            for line, column in (marks.get(place, (0, 0)),)
        )


def _place(problem: Problem, documents: Sequence[Json]) -> Place:
    place = Place(problem.document, problem.path, problem.at_key)
    if problem.offset < 0:
        return place
    text = _at(documents[problem.document], problem.path)
    inside = problem.inside or text
    if not isinstance(text, str) or text.count(inside) != 1:
        return place
    return place._replace(offset=text.index(inside) + problem.offset, text=text)


def _at(value: Json, path: Path) -> Json:
    """Return the value at a path, or None."""
    for key in path:
        try:
            value = value[key]
        except (LookupError, TypeError):
            return None
    return value


def parse(source: bytes, content_type: str = "") -> Source:
    """Return the documents of a source. Raises Unreadable with the problem that stopped it."""
    if len(source) > SOURCE_BYTES_MAX:
        message = f"a definition has at most {SOURCE_BYTES_MAX} bytes, this one {len(source)}"
        raise _unreadable("DEFINITION_TOO_LARGE", message)
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8"
        raise _unreadable("INVALID_UTF8", message) from error
    if not text.strip():
        raise _unreadable("DEFINITION_INVALID", "the definition is empty")
    documents = _documents(text, content_type)
    for number, document in enumerate(documents):
        try:
            _check_values(document, number)
        except Unreadable as error:
            raise _located(text, error.problem) from error
    return Source(text, tuple(documents))


def _documents(text: str, content_type: str) -> list[Json]:
    kind = content_type.partition(";")[0].strip().lower()
    is_json = kind.endswith("json")
    if not is_json and text.lstrip()[0] not in "{[":
        return _yaml(text)
    try:
        return [parse_json(text)]
    except Unreadable as error:
        # Flow mappings of YAML begin alike; without a content type such a text is read as JSON.
        if kind in ("", "application/octet-stream") or is_json:
            raise
        if error.problem.code != "JSON_INVALID":
            raise
    return _yaml(text)


def _yaml(text: str) -> list[Json]:
    documents = read_yaml(text)
    # A `---` with no content is an empty document, not null.
    return [document for document in documents if document is not None] or [None]


def parse_json(text: str) -> Json:
    """Return the value of a JSON text: no duplicate keys, no rounded number."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _explained(text, error) from error
    _check_depth(value)
    # A large document is not held twice in memory.
    del value
    try:
        return _EXACT.decode(text)
    except _DuplicateKey as error:
        problem = Problem("JSON_INVALID", f"the key {error.key!r} is there twice", (error.key,))
        raise _as_yaml(text, problem, "YAML_FORBIDDEN") from error
    except ValueError as error:
        message = "a number in it cannot be kept exactly; write it as a string"
        raise _as_yaml(text, Problem("JSON_INVALID", message), "JSON_INVALID") from error


class _DuplicateKey(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKey(key)
            seen.add(key)
    return value


def _integer(text: str) -> int:
    if len(text) > INTEGER_DIGITS_MAX:
        raise ValueError
    return int(text)


def _not_json(text: str) -> Never:
    raise ValueError(text)


_EXACT = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_not_json)


def _explained(text: str, error: orjson.JSONDecodeError) -> Unreadable:
    """Return the refusal of a text that is not JSON."""
    if _is_deep(text):
        return _too_deep(())
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if value is not None and not _encodable(value):
        return _unreadable("INVALID_UTF8", "a string holds half of a surrogate pair")
    near = text[error.pos : error.pos + _NEAR_CHARACTERS].strip()
    message = f"this is not JSON at line {error.lineno}, column {error.colno}"
    message += f", near {near!r}" if near else ", where it ends"
    problem = Problem("JSON_INVALID", message, line=error.lineno, column=error.colno)
    return Unreadable(problem)


def _is_deep(text: str) -> bool:
    depth = 0
    for match in _BRACKETS.finditer(text):
        bracket = match.group()
        if bracket in "[{":
            depth += 1
            if depth > NESTING_MAX:
                return True
        elif bracket in "]}":
            depth -= 1
    return False


def _encodable(value: Json) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_yaml(text: str, problem: Problem, code: str) -> Unreadable:
    """Return the refusal with its place and this code, located by the YAML reader."""
    try:
        read_yaml(text)
    except Unreadable as error:
        found = error.problem
        if found.code == code:
            problem = replace(problem, path=found.path, line=found.line, column=found.column)
    return Unreadable(problem)


def _located(text: str, problem: Problem) -> Unreadable:
    """Return the refusal of a value with its line and column."""
    place = Place(problem.document, problem.path)
    line, column = locate(text, [place]).get(place, (0, 0))
    return Unreadable(replace(problem, line=line, column=column))


def _check_depth(value: Json) -> None:
    """Refuse values nested too deeply, level by level without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(NESTING_MAX):
        below: list[Json] = []
        for container in level:
            items = container.values() if isinstance(container, dict) else container
            below.extend([item for item in items if item.__class__ in _CONTAINERS])
        if not below:
            return
        level = below
    raise _too_deep(())


_CONTAINERS = frozenset({dict, list})
_STRINGS = frozenset({str})


def _check_values(document: Json, number: int) -> None:
    """Refuse values that cannot be stored or returned exactly: NUL, long keys, huge numbers."""
    waiting: list[tuple[Json, Path]] = [(document, ())]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, dict):
            for key, item in value.items():
                if "\0" in key:
                    raise _unreadable("STRING_HAS_NUL", "a key holds a NUL character", path, number)
                if len(key) > KEY_CHARACTERS_MAX:
                    message = f"a key has {len(key):,} characters, {KEY_CHARACTERS_MAX:,} at most"
                    raise _unreadable("DEFINITION_INVALID", message, path, number)
                if item.__class__ in _CONTAINERS or _reason(item):
                    waiting.append((item, (*path, key)))
        elif isinstance(value, list):
            if set(map(type, value)) == _STRINGS and "\0" not in "".join(value):
                continue
            for index, item in enumerate(value):
                if item.__class__ in _CONTAINERS or _reason(item):
                    waiting.append((item, (*path, index)))
        elif reason := _reason(value):
            raise _unreadable(reason, _MESSAGES[reason], path, number)


_MESSAGES = {
    "STRING_HAS_NUL": "a string holds a NUL character",
    "JSON_INVALID": "a number cannot be kept exactly; write it as a string",
}


def _reason(value: Json) -> str:
    if isinstance(value, str):
        return "STRING_HAS_NUL" if "\0" in value else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else "JSON_INVALID"
    if isinstance(value, int):
        return "" if _INTEGER_MIN <= value <= _INTEGER_MAX else "JSON_INVALID"
    return ""


def _too_deep(path: Path) -> Unreadable:
    message = f"values may be nested {NESTING_MAX} levels deep"
    return _unreadable("NESTING_TOO_DEEP", message, path)


def _unreadable(code: str, message: str, path: Path = (), document: int = 0) -> Unreadable:
    return Unreadable(Problem(code, message, path, document))
