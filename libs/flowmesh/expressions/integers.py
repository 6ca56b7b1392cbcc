"""Integers that 64 bits do not hold: the fast parser of JSON makes other numbers of them."""

import re
from typing import Any

import msgspec

from flowmesh.expressions.references import child_path

_LONG = re.compile(rb"\d{19}")
_LEAST, _BEYOND = -(1 << 63), 1 << 64


def inexact(data: bytes, root: str) -> str:
    """The path of an integer in a JSON text that would be rounded, from `root` on; empty if none.

    Raises msgspec.DecodeError where the text is no JSON.
    """
    if not _LONG.search(data):
        return ""
    waiting: list[tuple[str, Any]] = [(root, msgspec.json.decode(data))]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend((child_path(path, key), inner) for key, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((child_path(path, index), each) for index, each in enumerate(value))
        elif isinstance(value, int) and not _LEAST <= value < _BEYOND:
            return path
    return ""
