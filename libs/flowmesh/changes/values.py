"""Values of PostgreSQL, given as its text, as JSON.

Types that JSON lacks (dates, decimals, UUIDs) and unknown types stay text, so none is rounded.
"""

import math
from base64 import b64encode
from collections.abc import Callable
from typing import Final

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.jsontext.integers import inexact

# The depth of PostgreSQL's arrays is at most 6.
_ESCAPE: Final = "\\"


def _number(text: str) -> Json:
    value = float(text)
    return value if math.isfinite(value) else text


def _json(text: str) -> Json:
    data = text.encode()
    try:
        return text if inexact(data, "value") else orjson.loads(data)
    except ValueError:
        # PostgreSQL accepts numbers that no float holds.
        return text


def _bytes(text: str) -> str:
    return b64encode(bytes.fromhex(text.removeprefix("\\x"))).decode()


def _as_it_is(text: str) -> str:
    return text


_BY_OID: Final[dict[int, Callable[[str], Json]]] = {
    16: lambda text: text == "t",
    17: _bytes,
    **dict.fromkeys((20, 21, 23, 26), int),
    **dict.fromkeys((700, 701), _number),
    **dict.fromkeys((114, 3802), _json),
}
# Arrays by their type, with the type of their elements.
_ARRAYS: Final = {
    1000: 16, 1001: 17, 1016: 20, 1005: 21, 1007: 23, 1028: 26, 1021: 700, 1022: 701, 199: 114,
    3807: 3802, 1009: 25, 1015: 1043, 1014: 1042, 1003: 19, 1231: 1700, 2951: 2950, 1182: 1082,
    1115: 1114, 1185: 1184, 1183: 1083,
}  # fmt: skip


def json_value(type_oid: int, text: str) -> Json:
    """Return the value of a column as JSON."""
    element = _ARRAYS.get(type_oid)
    if element is None:
        return _BY_OID.get(type_oid, _as_it_is)(text)
    # An array with bounds: [0:1]={1,2}.
    begin = text.index("{")
    return _Array(text, begin, _BY_OID.get(element, _as_it_is)).read()


class _Array:
    """The text of an array: {1,NULL,"a \\"b\\"",{2}}."""

    def __init__(self, text: str, at: int, convert: Callable[[str], Json]) -> None:
        self._text = text
        self._at = at
        self._convert = convert

    def read(self) -> list[Json]:
        found: list[Json] = []
        self._at += 1
        while (char := self._text[self._at]) != "}":
            if char == ",":
                self._at += 1
            elif char == "{":
                found.append(self.read())
            elif char == '"':
                found.append(self._convert(self._quoted()))
            else:
                word = self._word()
                found.append(None if word == "NULL" else self._convert(word))
        self._at += 1
        return found

    def _quoted(self) -> str:
        parts = []
        self._at += 1
        while (char := self._text[self._at]) != '"':
            self._at += char == _ESCAPE
            parts.append(self._text[self._at])
            self._at += 1
        self._at += 1
        return "".join(parts)

    def _word(self) -> str:
        begin = self._at
        while self._text[self._at] not in ",}":
            self._at += 1
        return self._text[begin : self._at]
