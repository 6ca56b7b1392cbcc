"""The integers that JSON values may hold: those of 64 bits, with a sign or without.

The fast parsers make floats of larger ones, and neither expressions nor databases have room for
them. So they are refused wherever a value comes in.
"""

from typing import Any, Final

from flowmesh.errors import Invalid, Violation
from flowmesh.jsontext.places import place_text, walk

INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**64 - 1
ALLOWED: Final = "integers are -2^63 to 2^64-1; write larger ones as strings"

# Every digit becomes a 0, so that a long number is a long run of zeros.
_DIGITS_AS_ZERO: Final = bytes(48 if 48 <= byte <= 57 else byte for byte in range(256))
_LONG: Final = b"0" * 19


def has_long_number(data: bytes) -> bool:
    """Whether JSON text may hold an integer beyond the bounds; costs little more than a copy."""
    return len(data) >= len(_LONG) and _LONG in data.translate(_DIGITS_AS_ZERO)


def out_of_bounds(value: Any, root: str) -> str:
    """The path of an integer beyond the bounds, from `root` on; empty if there is none."""
    for place, each in walk(value, (int, dict, list, tuple)):
        if isinstance(each, int) and not INTEGER_MIN <= each <= INTEGER_MAX:
            return place_text(place, root)
    return ""


def integer_invalid(path: str) -> Invalid:
    """The refusal of the integer at `path`."""
    message = f"{path} is an integer that cannot be kept: {ALLOWED}"
    return Invalid("JSON_INVALID", message, violations=(Violation(path, message, "JSON_INVALID"),))
