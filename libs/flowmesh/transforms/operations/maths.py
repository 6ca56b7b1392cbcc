"""Operations on numbers: a number, an array of them, or a field of objects."""

import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import DIGITS_MAX
from flowmesh.transforms.operation import Example, Operation, Parameter, Parameters, Step
from flowmesh.transforms.operations.strings import FIELD, TARGET
from flowmesh.transforms.values import MISSING, as_object, is_number, on_objects, on_values, reader

Number = int | float


def _on_numbers(parameters: Parameters, change: Callable[[Number], Number]) -> Step:
    def change_number(value: Json) -> Json:
        if not is_number(value):
            raise TransformError(f"needs numbers, got {kind_of(value)}")
        return _finite(change(value))

    return on_values(change_number, parameters["field"], parameters["target"])


def _finite(value: Number) -> Number:
    if not math.isfinite(value):
        raise TransformError("the result is out of the range of numbers")
    return value


def _rounded(value: Number, digits: int) -> Number:
    """Half away from zero on the decimal digits that are written, as people round."""
    if isinstance(value, int) or abs(value) >= 2**53:
        return value
    exact = Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    return float(exact) if digits else int(exact)


def _round(parameters: Parameters) -> Step:
    return _on_numbers(parameters, lambda value: _rounded(value, parameters["digits"]))


def _whole(change: Callable[[Number], Number]) -> Callable[[Parameters], Step]:
    def keep_huge(value: Number) -> Number:
        return change(value) if abs(value) < 2**53 else value

    return lambda parameters: _on_numbers(parameters, keep_huge)


def _absolute(parameters: Parameters) -> Step:
    return _on_numbers(parameters, abs)


def _clamp(parameters: Parameters) -> Step:
    low, high = parameters["min"], parameters["max"]
    if low is None and high is None:
        raise ValueError("'min' or 'max' is missing")
    if low is not None and high is not None and low > high:
        raise ValueError("'min' is greater than 'max'")

    def clamp(value: Number) -> Number:
        if low is not None and value < low:
            value = low
        return high if high is not None and value > high else value

    return _on_numbers(parameters, clamp)


def _product(value: Number, factor: Number) -> Number:
    result = value * factor
    return result if isinstance(result, float) or abs(result) < 2**63 else float(result)


def _scale(parameters: Parameters) -> Step:
    return _on_numbers(parameters, lambda value: _product(value, parameters["factor"]))


def _percentage(parameters: Parameters) -> Step:
    total = parameters["total"]
    if total == 0:
        raise ValueError("'total' must not be 0")
    return _on_numbers(parameters, lambda value: value / total * 100)


def _sum(value: Number, other: Number) -> Number:
    result = value + other
    return result if isinstance(result, float) or abs(result) < 2**63 else float(result)


def _add(parameters: Parameters) -> Step:
    return _on_numbers(parameters, lambda value: _sum(value, parameters["amount"]))


def _quotient(value: Number, other: Number) -> Number:
    if other == 0:
        raise TransformError("divides by 0")
    return value / other


def _remainder(value: Number, other: Number) -> Number:
    if other == 0:
        raise TransformError("divides by 0")
    return value % other


_ARITHMETIC: dict[str, Callable[[Number, Number], Number]] = {
    "+": _sum,
    "-": lambda value, other: _sum(value, -other),
    "*": _product,
    "/": _quotient,
    "%": _remainder,
}


def _calculate(parameters: Parameters) -> Step:
    if (parameters["right"] is None) == (parameters["number"] is None):
        raise ValueError("it needs 'right' or 'number', and not both")
    compute, target = _ARITHMETIC[parameters["operator"]], parameters["target"]
    read_left, number = reader(parameters["left"]), parameters["number"]
    read_right = reader(parameters["right"]) if number is None else lambda _element: number

    def calculate(element: Json) -> Json:
        left, right = read_left(as_object(element)), read_right(element)
        if left is None or left is MISSING or right is None or right is MISSING:
            return {**element, target: None}
        for value in (left, right):
            if not is_number(value):
                raise TransformError(f"needs numbers, got {kind_of(value)}")
        return {**element, target: _finite(compute(left, right))}

    return on_objects(calculate)


def _plain(
    name: str, summary: str, build: Callable[[Parameters], Step], value: Number, result: Number
) -> Operation:
    return Operation(name, "math", summary, (FIELD, TARGET), Example(value, {}, result), build)


OPERATIONS = (
    Operation(
        "round",
        "math",
        "Rounds to a number of digits, halves away from zero.",
        (
            Parameter(
                "digits",
                "integer",
                "Digits after the point.",
                default=0,
                minimum=0,
                maximum=DIGITS_MAX,
            ),
            FIELD,
            TARGET,
        ),
        Example([{"price": 2.345}], {"field": "price", "digits": 2}, [{"price": 2.35}]),
        _round,
    ),
    _plain("floor", "The greatest whole number not above it.", _whole(math.floor), 1.9, 1),
    _plain("ceil", "The least whole number not below it.", _whole(math.ceil), 1.1, 2),
    _plain("abs", "The number without its sign.", _absolute, -1, 1),
    Operation(
        "clamp",
        "math",
        "Keeps a number between two bounds.",
        (
            Parameter("min", "number", "The least it may be."),
            Parameter("max", "number", "The greatest it may be."),
            FIELD,
            TARGET,
        ),
        Example([1, 5, 9], {"min": 2, "max": 8}, [2, 5, 8]),
        _clamp,
    ),
    Operation(
        "scale",
        "math",
        "Multiplies a number by a factor.",
        (Parameter("factor", "number", "The factor.", required=True), FIELD, TARGET),
        Example([1, 2], {"factor": 10}, [10, 20]),
        _scale,
    ),
    Operation(
        "percentage",
        "math",
        "What part of a total a number is, in percent.",
        (Parameter("total", "number", "The whole.", required=True), FIELD, TARGET),
        Example([25, 50], {"total": 200}, [12.5, 25.0]),
        _percentage,
    ),
    Operation(
        "add",
        "math",
        "Adds a number.",
        (Parameter("amount", "number", "What to add.", required=True), FIELD, TARGET),
        Example([1, 2], {"amount": 10}, [11, 12]),
        _add,
    ),
    Operation(
        "calculate",
        "math",
        "Computes with two fields, or a field and a number; null where one is missing.",
        (
            Parameter("left", "field", "The first field.", required=True),
            Parameter(
                "operator",
                "string",
                "What to compute; % takes the sign of the divisor.",
                required=True,
                choices=tuple(_ARITHMETIC),
            ),
            Parameter("right", "field", "The second field."),
            Parameter("number", "number", "The number in its place."),
            Parameter("target", "string", "The member for the result.", required=True),
        ),
        Example(
            [{"price": 2.5, "count": 4}],
            {"left": "price", "operator": "*", "right": "count", "target": "total"},
            [{"price": 2.5, "count": 4, "total": 10.0}],
        ),
        _calculate,
    ),
)
