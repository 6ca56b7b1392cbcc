"""Integers that 64 bits do not hold: the fast parser of JSON makes other numbers of them."""

import msgspec

from flowmesh.jsontext.integers import has_long_number, out_of_bounds


def inexact(data: bytes, root: str) -> str:
    """The path of an integer in a JSON text that would be rounded, from `root` on; empty if none.

    Raises msgspec.DecodeError where the text is no JSON.
    """
    return out_of_bounds(msgspec.json.decode(data), root) if has_long_number(data) else ""
