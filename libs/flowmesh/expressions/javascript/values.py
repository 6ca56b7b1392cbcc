"""JavaScript's conversions on values that CEL can hold, as functions a CEL program may call.

CEL rejects mixed types; JavaScript converts them. A value is a float, str, bool, None (null) or
bytes: `undefined` and objects are bytes, which JSON never contains. No function raises.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Primitive = float | str | bool | bytes | None

UNDEFINED = b"undefined"
PRIMITIVE_CHARACTERS_MAX = 64 * 1024
_JS_BLANK = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
_JS_BLANK += "\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_DECIMAL = re.compile(
    r"[+-]?(?:Infinity|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\Z", re.ASCII
)
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)\Z")


def to_primitive(value: Any) -> Primitive:
    """Convert a JSON value to an operand. Raises OverflowError above 64 KiB of array text."""
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, list):
        return _array_text(value)
    return to_cel(value)


def to_cel(value: Any) -> Primitive:
    """Convert a JSON value for CEL: numbers to doubles, objects to their identity."""
    if isinstance(value, bool | str | bytes) or value is None:
        return value
    if isinstance(value, int | float):
        return number(value)
    return b"object:%d" % id(value)


def number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _array_text(items: list[Any]) -> str:
    """`String(array)`, without recursion."""
    written: list[str] = []
    characters = 0
    waiting: list[Any] = [items]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            for index in range(len(item) - 1, -1, -1):
                waiting.append(item[index])
                if index:
                    waiting.append(_COMMA)
            continue
        text = "," if item is _COMMA else "" if item is None else to_string(to_primitive(item))
        characters += len(text)
        if characters > PRIMITIVE_CHARACTERS_MAX or len(waiting) > PRIMITIVE_CHARACTERS_MAX:
            raise OverflowError
        written.append(text)
    return "".join(written)


_COMMA = object()


def to_string(value: Primitive) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    return "undefined" if isinstance(value, bytes) else number_text(value)


def number_text(value: float) -> str:
    """`String(number)`: the shortest digits, exponents only from 1e21 up and below 1e-6."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value) and abs(value) < 1e21:
        return str(int(Decimal(repr(value))))
    digits, _, exponent = repr(value).partition("e")
    if not exponent:
        return digits
    power = int(exponent)
    if power >= 21 or power < -6:
        return f"{digits.removesuffix('.0')}e{'+' if power > 0 else '-'}{abs(power)}"
    return f"{value:.{len(digits.partition('.')[2]) - power}f}"


def to_number(value: Primitive) -> float:
    if isinstance(value, bool):
        return 1.0 if value else 0.0
    if isinstance(value, float | int):
        return float(value)
    if value is None:
        return 0.0
    return math.nan if isinstance(value, bytes) else _text_number(value)


def _text_number(text: str) -> float:
    text = text.strip(_JS_BLANK)
    if not text:
        return 0.0
    if _DECIMAL.match(text):
        return float(text)
    return number(int(text, 0)) if _RADIX.match(text) else math.nan


def truthy(value: Primitive) -> bool:
    if isinstance(value, bytes):
        return value != UNDEFINED
    return bool(value) and value == value  # NaN is not


def nullish(value: Primitive) -> bool:
    return value is None or value == UNDEFINED


def add(left: Primitive, right: Primitive) -> Primitive:
    if isinstance(left, str) or isinstance(right, str):
        return to_string(left) + to_string(right)
    return to_number(left) + to_number(right)


def modulo(left: float, right: float) -> float:
    if math.isinf(left) or right == 0 or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.fmod(left, right)


def loose_equal(left: Primitive, right: Primitive) -> bool:
    """`==` of two primitives."""
    if nullish(left) or nullish(right):
        return nullish(left) and nullish(right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return to_number(left) == to_number(right)


def loose_same(
    left: Primitive, right: Primitive, left_seen: Primitive, right_seen: Primitive
) -> bool:
    """`==` of two values that can both be objects; the `seen` ones are their primitives."""
    if isinstance(left, bytes) and isinstance(right, bytes):
        return loose_equal(left, right) if UNDEFINED in (left, right) else left == right
    if UNDEFINED in (left, right) or left is None or right is None:
        return loose_equal(left, right)
    return loose_equal(left_seen, right_seen)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Primitive, Primitive], bool]:
    def ordered(left: Primitive, right: Primitive) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(
                left.encode("utf-16-be", "surrogatepass"),
                right.encode("utf-16-be", "surrogatepass"),
            )
        return compare(to_number(left), to_number(right))

    return ordered


def includes(within: Any, item: Primitive) -> bool:
    """`text.includes(item)` and `array.includes(item)`."""
    if isinstance(within, str):
        return to_string(item) in within
    return any(
        member == item and isinstance(member, bool) == isinstance(item, bool) for member in within
    )


def starts_with(text: str, start: Primitive) -> bool:
    return text.startswith(to_string(start))


def ends_with(text: str, end: Primitive) -> bool:
    return text.endswith(to_string(end))


def text_length(text: str) -> float:
    """`.length`: UTF-16 units."""
    return float(
        len(text) if text.isascii() else len(text.encode("utf-16-be", "surrogatepass")) // 2
    )


def type_name(value: Any) -> str:
    """`typeof`."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "undefined" if value == UNDEFINED else "object"


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "js_truthy": truthy,
    "js_nullish": nullish,
    "js_number": to_number,
    "js_add": add,
    "js_modulo": modulo,
    "js_equal": loose_equal,
    "js_same": loose_same,
    "js_lt": _ordered(lambda left, right: left < right),
    "js_le": _ordered(lambda left, right: left <= right),
    "js_gt": _ordered(lambda left, right: left > right),
    "js_ge": _ordered(lambda left, right: left >= right),
    "js_includes": includes,
    "js_starts_with": starts_with,
    "js_ends_with": ends_with,
}
