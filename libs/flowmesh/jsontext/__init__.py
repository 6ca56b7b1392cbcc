"""Parsing of external JSON text without loss, rounding or silent omission.

`json` of the standard library is the parser because it keeps every integer exactly and shows
duplicate keys; faster parsers lack one of the two. Integers beyond 64 bits are rejected. msgspec
writes the responses. Payloads that arrive as bytes of gRPC are checked by `check_json`, with the
same bounds.
"""

import json
import math
import re
from collections import Counter
from typing import Any, Never

import msgspec
import orjson

from flowmesh.errors import Invalid, Violation
from flowmesh.jsontext.integers import (
    INTEGER_MAX,
    INTEGER_MIN,
    has_long_number,
    integer_invalid,
    out_of_bounds,
)
from flowmesh.jsontext.places import place_text, walk

NESTING_MAX = 64

_HALF = re.compile("[\ud800-\udfff]")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(raw: bytes, what: str = "The body") -> Any:
    """Parse JSON text; `what` names it in errors. Raises `Invalid` with a reason and the place."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(
            "INVALID_UTF8", f"{what} is not UTF-8: byte {error.start} cannot be decoded."
        ) from error
    try:
        value = _decoded(text, what, _DECODER)
    except _DuplicateKey as error:
        # Report a syntax error after the key first; finding the place parses all of the text.
        path, key = _first_twice(_decoded(text, what, _NOTING))
        message = f"The key {key!r} occurs twice in one object: {path}."
        raise _invalid_json(message, field=path) from error
    _check_depth(raw, value)
    if has_long_number(raw) and (path := out_of_bounds(value, "value")):
        raise integer_invalid(path.removeprefix("value."))
    if _SURROGATE.search(raw):
        _check_surrogates(value)
    return value


def check_json(data: bytes, field: str) -> None:
    """Raise `Invalid` for bytes that are not one JSON value within the bounds of `parse_json`.

    An empty payload stands for null.
    """
    if not data:
        return
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parse_json(data, field)  # raises the error with its place
        raise _invalid_json(f"{field} is not JSON.", field=field) from None
    _check_depth(data, value)
    if has_long_number(data) and (path := out_of_bounds(value, field)):
        raise integer_invalid(path)


def dump_json(value: Any) -> bytes:
    """Write a parsed value as JSON text: exact integers, text as UTF-8."""
    return msgspec.json.encode(value)


def exact(value: Any) -> Any:
    """Return the value for orjson, which rejects integers beyond 64 bits."""
    if isinstance(value, int) and not INTEGER_MIN <= value <= INTEGER_MAX:
        return orjson.Fragment(str(value))
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [exact(inner) for inner in value]
    return value


def _decoded(text: str, what: str, decoder: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        message = f"{what} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise _invalid_json(message, line=error.lineno, column=error.colno) from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        # A number of thousands of digits, or one beyond the range of a double.
        raise _invalid_json(f"{what} holds a number that cannot be kept.") from error


class _DuplicateKey(Exception):
    """An object has a key twice."""


class _Twice(dict[str, Any]):
    """An object that has a key twice, and the first such key."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKey
    return value


def _noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    times = Counter(key for key, _ in pairs)
    twice = _Twice(value)
    twice.key = next(key for key, count in times.items() if count > 1)
    return twice


def _first_twice(value: Any) -> tuple[str, str]:
    """Return the place of the first object with a duplicate key, `lines[2].sku`, and the key."""
    found = (here for here in walk(value, (dict, list)) if isinstance(here[1], _Twice))
    place, twice = next(found)
    return f"{place_text(place)}.{twice.key}".removeprefix("."), twice.key


def not_unicode(value: Any, root: str) -> str:
    """Return the path from `root` of text that is not Unicode, or an empty text."""
    for place, each in walk(value, (str, dict, list, tuple)):
        if isinstance(each, str) and _HALF.search(each):
            return place_text(place, root)
        if isinstance(each, dict) and any(
            isinstance(key, str) and _HALF.search(key) for key in each
        ):
            return f"a key of {place_text(place, root)}"
    return ""


def not_finite(value: Any, root: str) -> str:
    """Return the path from `root` of a NaN or an infinity, or an empty text."""
    for place, each in walk(value, (float, dict, list, tuple)):
        if isinstance(each, float) and not math.isfinite(each):
            return place_text(place, root)
    return ""


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("not finite")
    return number


def _no_constant(text: str) -> Never:
    raise ValueError(text)


_DECODER, _NOTING = (
    json.JSONDecoder(object_pairs_hook=hook, parse_float=_finite, parse_constant=_no_constant)
    for hook in (_object, _noted)
)


def _check_depth(raw: bytes, value: Any) -> None:
    # Skip the walk for bodies with fewer brackets than allowed levels.
    if raw.count(b"{") + raw.count(b"[") <= NESTING_MAX:
        return
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(NESTING_MAX):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise _too_deep()


def _children(parent: dict[str, Any] | list[Any]) -> list[Any]:
    values = parent.values() if isinstance(parent, dict) else parent
    return [value for value in values if isinstance(value, dict | list)]


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise Invalid("INVALID_UTF8", "A string holds half of a surrogate pair.") from error


def _too_deep() -> Invalid:
    return Invalid("NESTING_TOO_DEEP", f"Values may be nested {NESTING_MAX} levels deep.")


def _invalid_json(message: str, *, field: str = "", line: int = 0, column: int = 0) -> Invalid:
    place = (Violation(field, message, "JSON_INVALID", line, column),) if field or line else ()
    return Invalid("JSON_INVALID", message, violations=place)
