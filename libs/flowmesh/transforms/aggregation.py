"""Operations that bring items together: group them, sum them up, join two arrays."""

import math
from collections.abc import Callable

from flowmesh.expressions.references import kind_of
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.operation import Example, Json, Operation, Parameter, Parameters, Step
from flowmesh.transforms.values import MISSING, array, bounded, identity, is_number, reader

_INTEGER_MAX = 2**63 - 1

_ORDERS = [
    {"customer": "ada", "total": 10},
    {"customer": "bob", "total": 5},
    {"customer": "ada", "total": 2.5},
]


def _group_by(parameters: Parameters) -> Step:
    read = reader(parameters["field"])

    def group_by(value: Json) -> Json:
        groups: dict[str, list[Json]] = {}
        for item in array(value):
            groups.setdefault(_group_name(read(item)), []).append(item)
        return groups

    return group_by


def _group_name(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value is MISSING:
        return "null"
    if isinstance(value, dict | list):
        raise TransformError(f"groups by texts, numbers or booleans, got {kind_of(value)}")
    return str(int(value)) if value == int(value) else repr(value)


def _sum(values: list[Json]) -> Json:
    if all(isinstance(value, int) for value in values):
        total = sum(values)
        return total if abs(total) <= _INTEGER_MAX else float(total)
    return _finite(math.fsum(values))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise TransformError("the result is out of the range of numbers")
    return value


def _average(values: list[Json]) -> Json:
    return _finite(math.fsum(values) / len(values)) if values else None


def _least(values: list[Json]) -> Json:
    return min(values, default=None)


def _greatest(values: list[Json]) -> Json:
    return max(values, default=None)


_NUMERIC: dict[str, Callable[[list[Json]], Json]] = {"sum": _sum, "avg": _average}
_ORDERING: dict[str, Callable[[list[Json]], Json]] = {"min": _least, "max": _greatest}
_FUNCTIONS = ("sum", "avg", "count", "min", "max")


def _aggregate(parameters: Parameters) -> Step:
    name, read = parameters["function"], reader(parameters["field"])

    def one(items: list[Json]) -> Json:
        values = [value for item in items if (value := read(item)) is not None]
        values = [value for value in values if value is not MISSING]
        if name == "count":
            return len(items) if parameters["field"] is None else len(values)
        texts = name in _ORDERING and all(isinstance(value, str) for value in values)
        for value in values:
            if not texts and not is_number(value):
                raise TransformError(f"{name} needs numbers, got {kind_of(value)}")
        return (_NUMERIC | _ORDERING)[name](values)

    def aggregate(value: Json) -> Json:
        if isinstance(value, dict):
            return {group: one(array(items)) for group, items in value.items()}
        return one(array(value))

    return aggregate


def _join(parameters: Parameters) -> Step:
    left_key = parameters["leftField"] or parameters["on"]
    right_key = parameters["rightField"] or parameters["on"]
    if left_key is None or right_key is None:
        raise ValueError("'on' is missing, or 'leftField' and 'rightField'")
    read, name, outer = reader(left_key), parameters["as"], parameters["type"] == "left"
    matches: dict[object, list[Json]] = {}
    read_right = reader(right_key)
    for row in parameters["with"]:
        if not isinstance(row, dict):
            raise ValueError(f"'with' must hold objects, got {kind_of(row)}")
        key = read_right(row)
        if key is not MISSING and key is not None:
            matches.setdefault(identity(key), []).append(row)

    def joined(item: Json, row: Json) -> Json:
        return {**item, name: row} if name is not None else {**row, **item}

    def join(value: Json) -> Json:
        result: list[Json] = []
        for item in array(value):
            if not isinstance(item, dict):
                raise TransformError(f"joins objects, got {kind_of(item)}")
            key = read(item)
            rows = [] if key is MISSING or key is None else matches.get(identity(key), [])
            result += [joined(item, row) for row in rows]
            if outer and not rows:
                result.append({**item, name: None} if name is not None else item)
            bounded(result)
        return result

    return join


OPERATIONS = (
    Operation(
        "groupBy",
        "aggregation",
        "Makes an object of arrays: the items by the value of their field.",
        (Parameter("field", "field", "The field to group by.", required=True),),
        Example(
            _ORDERS,
            {"field": "customer"},
            {"ada": [_ORDERS[0], _ORDERS[2]], "bob": [_ORDERS[1]]},
        ),
        _group_by,
    ),
    Operation(
        "aggregate",
        "aggregation",
        "One value of many, or one for each group of 'groupBy'; null and missing do not count.",
        (
            Parameter("function", "string", "What to compute.", required=True, choices=_FUNCTIONS),
            Parameter("field", "field", "The field that counts; the item itself without one."),
        ),
        Example(_ORDERS, {"function": "sum", "field": "total"}, 17.5),
        _aggregate,
    ),
    Operation(
        "join",
        "aggregation",
        "Joins each item with the objects of another array that have the same key.",
        (
            Parameter("with", "array", "The other array.", required=True),
            Parameter("on", "field", "The field that is the key on both sides."),
            Parameter("leftField", "field", "The key of the items, where it differs."),
            Parameter("rightField", "field", "The key of the other array, where it differs."),
            Parameter(
                "type",
                "string",
                "Whether items without a match stay.",
                default="inner",
                choices=("inner", "left"),
            ),
            Parameter(
                "as",
                "string",
                "The field that holds the match; without it members merge, the item's own win.",
            ),
        ),
        Example(
            [{"id": 1, "user": 7}],
            {"with": [{"key": 7, "name": "Ada"}], "leftField": "user", "rightField": "key"},
            [{"id": 1, "user": 7, "key": 7, "name": "Ada"}],
        ),
        _join,
    ),
)
