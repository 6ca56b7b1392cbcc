"""The allowed integers of JSON values: 64 bits, signed or unsigned.

Fast parsers convert larger ones to floats, and neither expressions nor databases can hold them.
So every input rejects them.
"""

from typing import Any, Final

import msgspec

from flowmesh.errors import Invalid, Violation
from flowmesh.jsontext.places import place_text, walk

INTEGER_MIN: Final = -(2**63)
# Fits into 64 bits, and far below the digits that `int` refuses.
_WHOLE_DIGITS: Final = 18
INTEGER_MAX: Final = 2**64 - 1
ALLOWED: Final = "integers are -2^63 to 2^64-1; write larger ones as strings"

# Maps every digit to 0, so that a long number is a long run of zeros.
_DIGITS_AS_ZERO: Final = bytes(48 if 48 <= byte <= 57 else byte for byte in range(256))
_LONG: Final = b"0" * 19


def is_whole(text: str) -> bool:
    """Return whether `int` takes the text as a whole number of at most 18 digits."""
    return len(text) <= _WHOLE_DIGITS and text.isascii() and text.isdecimal()


def has_long_number(data: bytes) -> bool:
    """Return whether JSON text may hold an integer beyond the limits; about the cost of a copy."""
    return len(data) >= len(_LONG) and _LONG in data.translate(_DIGITS_AS_ZERO)


def out_of_bounds(value: Any, root: str) -> str:
    """Return the path from `root` of an integer beyond the limits, or an empty text."""
    for place, each in walk(value, (int, dict, list, tuple)):
        if isinstance(each, int) and not INTEGER_MIN <= each <= INTEGER_MAX:
            return place_text(place, root)
    return ""


def integer_invalid(path: str) -> Invalid:
    """Return the error for the integer at `path`."""
    message = f"{path} is an integer that cannot be kept: {ALLOWED}"
    return Invalid("JSON_INVALID", message, violations=(Violation(path, message, "JSON_INVALID"),))


def inexact(data: bytes, root: str) -> str:
    """Return the path from `root` of an integer in JSON text that would be rounded, or "".

    Raises msgspec.DecodeError for text that is not JSON.
    """
    return out_of_bounds(msgspec.json.decode(data), root) if has_long_number(data) else ""
