"""Functions over numbers."""

import math
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from flowmesh.contract.json_value import Json
from flowmesh.expressions.functions.signatures import Function, Unfit, bounded_number, function

DIGITS_MAX = 15
NUMBER_CHARACTERS_MAX = 64


def _round(value: float, digits: int = 0) -> float:
    """Round half away from zero; to an integer without digits."""
    if not 0 <= digits <= DIGITS_MAX:
        raise Unfit(f"digits are from 0 to {DIGITS_MAX}")
    if isinstance(value, int):
        return value
    if abs(value) >= 2**53:
        return value if digits else int(value)
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return float(rounded) if digits else int(rounded)


def _number(value: Json) -> float:
    if isinstance(value, str):
        text = value.strip()
        try:
            if len(text) > NUMBER_CHARACTERS_MAX or not text.isascii() or "_" in text:
                raise ValueError
            return bounded_number(int(text) if text.lstrip("+-").isdecimal() else float(text))
        except ValueError:
            raise Unfit("the text is not a number") from None
    return int(value) if isinstance(value, bool) else value


def _int(value: Json) -> int:
    return math.trunc(_number(value))


def _of(values: tuple[Json, ...]) -> list[float]:
    """Return the numbers of one array, or the arguments."""
    numbers = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise Unfit("a value is not a number")
    return numbers


def _min(*values: Json) -> float:
    return min(_some(values))


def _max(*values: Json) -> float:
    return max(_some(values))


def _avg(*values: Json) -> float:
    numbers = _some(values)
    return math.fsum(numbers) / len(numbers)


def _some(values: tuple[Json, ...]) -> list[float]:
    numbers = _of(values)
    if not numbers:
        raise Unfit("there are no numbers")
    return numbers


def _sum(*values: Json) -> float:
    numbers = _of(values)
    if all(isinstance(number, int) for number in numbers):
        return sum(numbers)
    return math.fsum(numbers)


def _div(a: float, b: float) -> float:
    if not b:
        raise Unfit("a number cannot be divided by 0")
    whole = isinstance(a, int) and isinstance(b, int) and a % b == 0
    return a // b if whole else a / b


def _mod(a: float, b: float) -> float:
    if not b:
        raise Unfit("a number cannot be divided by 0")
    return a % b


def _pow(base: float, exponent: float) -> float:
    try:
        result = math.pow(base, exponent)
    except (OverflowError, ValueError):
        raise Unfit("the result is out of the range of numbers") from None
    whole = isinstance(base, int) and result.is_integer() and abs(result) < 2**53
    return int(result) if whole else result


def _fixed(value: float, digits: int) -> str:
    if not 0 <= digits <= DIGITS_MAX:
        raise Unfit(f"digits are from 0 to {DIGITS_MAX}")
    try:
        return f"{Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):f}"
    except InvalidOperation:
        raise Unfit("the number is too large for this format") from None


FUNCTIONS: tuple[Function, ...] = (
    function(
        "round(value: number, digits?: integer) -> number",
        _round,
        "Rounds to the given digits after the decimal point, by default to an integer.",
        "round(2.345, 2)",
    ),
    function(
        "floor(value: number) -> integer", math.floor, "The whole number below.", "floor(2.7)"
    ),
    function("ceil(value: number) -> integer", math.ceil, "The whole number above.", "ceil(2.1)"),
    function("abs(value: number) -> number", abs, "The number without its sign.", "abs(-2)"),
    function(
        "min(values...: number|array) -> number",
        _min,
        "The least of the numbers, or of those in an array.",
        "min(3, 1, 2)",
    ),
    function(
        "max(values...: number|array) -> number",
        _max,
        "The greatest of the numbers, or of those in an array.",
        "max(3, 1, 2)",
    ),
    function(
        "sum(values...: number|array) -> number",
        _sum,
        "The sum of the numbers, or of those in an array.",
        "sum(3, 1, 2)",
    ),
    function(
        "avg(values...: number|array) -> number",
        _avg,
        "The mean of the numbers, or of those in an array.",
        "avg(3, 1, 2)",
    ),
    function("add(a: number, b: number) -> number", lambda a, b: a + b, "a + b.", "add(1, 2)"),
    function("sub(a: number, b: number) -> number", lambda a, b: a - b, "a - b.", "sub(3, 2)"),
    function("mul(a: number, b: number) -> number", lambda a, b: a * b, "a times b.", "mul(3, 2)"),
    function("div(a: number, b: number) -> number", _div, "a divided by b.", "div(3, 2)"),
    function(
        "mod(a: number, b: number) -> number",
        _mod,
        "The remainder of a divided by b, with the sign of b.",
        "mod(7, 3)",
    ),
    function(
        "pow(base: number, exponent: number) -> number", _pow, "base to the power.", "pow(2, 10)"
    ),
    function(
        "number(value: string|number|boolean) -> number",
        _number,
        "A text as a number; true is 1, false is 0.",
        'number("1.5")',
    ),
    function(
        "int(value: string|number|boolean) -> integer",
        _int,
        "Like `number`, without the fraction.",
        'int("12.9")',
    ),
    function(
        "fixed(value: number, digits: integer) -> string",
        _fixed,
        "The number as text with exactly the given digits after the decimal point.",
        "fixed(2.5, 2)",
    ),
)
