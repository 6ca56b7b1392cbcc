"""Operations that bring items together: group, index, sum up, fold, join two arrays."""

import math
from collections import Counter
from collections.abc import Callable

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import VALUE_BYTES
from flowmesh.transforms.operation import (
    Example,
    Flow,
    Operation,
    Parameter,
    Parameters,
    Prepared,
    Step,
)
from flowmesh.transforms.run import Run
from flowmesh.transforms.values import (
    MISSING,
    TextMeter,
    array,
    bounded,
    column,
    group_names,
    identity,
    is_number,
    reader,
)

_INTEGER_MAX = 2**63 - 1

_ORDERS = [
    {"customer": "ada", "total": 10},
    {"customer": "bob", "total": 5},
    {"customer": "ada", "total": 2.5},
]


Fold = Callable[[list[Json]], Json]


def _group_by(parameters: Parameters) -> Step:
    names = group_names(parameters["field"])

    def group_by(value: Json) -> Json:
        items = array(value)
        found = names(items)
        groups: dict[str, list[Json]] = {name: [] for name in dict.fromkeys(found)}
        for name, item in zip(found, items, strict=True):
            groups[name].append(item)
        return groups

    return group_by


def _count_by(parameters: Parameters) -> Step:
    names = group_names(parameters["field"])
    return lambda value: dict(Counter(names(array(value))))


def _index(parameters: Parameters) -> Step:
    names, first = group_names(parameters["field"]), parameters["keep"] == "first"

    def index(value: Json) -> Json:
        items = array(value)
        pairs = zip(names(items), items, strict=True)
        if not first:
            return dict(pairs)
        result: dict[str, Json] = {}
        for name, item in pairs:
            result.setdefault(name, item)
        return result

    return index


def _reduce(parameters: Parameters) -> Prepared:
    inner, initial = parameters["pipeline"], parameters["initial"]
    if inner is None:
        fold, read = _FOLDS[parameters["function"]], column(parameters["field"])

        def step(value: Json) -> Json:
            values = [one for one in read(array(value)) if one is not MISSING and one is not None]
            return fold(values if initial is None else [initial, *values])

        return Prepared(step, grows=True)

    def flow(value: Json, run: Run) -> Flow:
        result = initial
        for index, item in enumerate(array(value)):
            given = {"accumulator": result, "item": item, "index": index}
            try:
                result = yield from inner.flow(given, run)
            except TransformError as error:
                raise error.at(index) from error
        return result

    return Prepared(flow=flow, grows=True)


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


def _median(values: list[Json]) -> Json:
    if not values:
        return None
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else _average(ordered[middle - 1 : middle + 1])


def _product(values: list[Json]) -> Json:
    result: Json = 1
    for value in values:
        result *= value
        if abs(result) > _INTEGER_MAX:
            result = _finite(float(result))
    return result


def _numbers(name: str, values: list[Json]) -> list[Json]:
    for value in values:
        if not is_number(value):
            raise TransformError(f"{name} needs numbers, got {kind_of(value)}")
    return values


def _numeric(name: str, compute: Fold) -> Fold:
    return lambda values: compute(_numbers(name, values))


def _ordering(name: str, compute: Fold) -> Fold:
    def fold(values: list[Json]) -> Json:
        texts = all(isinstance(value, str) for value in values)
        return compute(values if texts else _numbers(name, values))

    return fold


_COMPUTED: dict[str, Fold] = {
    "sum": _numeric("sum", _sum),
    "avg": _numeric("avg", _average),
    "count": len,
    "min": _ordering("min", _least),
    "max": _ordering("max", _greatest),
    "median": _numeric("median", _median),
    "countDistinct": lambda values: len({identity(value) for value in values}),
}


def _concatenated(values: list[Json]) -> Json:
    if all(isinstance(value, str) for value in values):
        TextMeter().spend(sum(map(len, values)))
        return "".join(values)
    result: list[Json] = []
    for value in values:
        if not isinstance(value, list):
            raise TransformError(f"concat needs only texts or only arrays, got {kind_of(value)}")
        result += value
        bounded(result)
    return result


def _merged(values: list[Json]) -> Json:
    result: dict[str, Json] = {}
    for value in values:
        if not isinstance(value, dict):
            raise TransformError(f"merge needs objects, got {kind_of(value)}")
        result |= value
    return result


_FOLDS: dict[str, Fold] = {
    **_COMPUTED,
    "product": _numeric("product", _product),
    "concat": _concatenated,
    "merge": _merged,
    "collect": lambda values: values,
}


def _aggregate(parameters: Parameters) -> Step:
    name, read = parameters["function"], column(parameters["field"])

    def one(value: Json) -> Json:
        items = array(value)
        if name == "count" and parameters["field"] is None:
            return len(items)
        values = [found for found in read(items) if found is not MISSING and found is not None]
        return _COMPUTED[name](values)

    def aggregate(value: Json) -> Json:
        return _by_member(one, value) if isinstance(value, dict) else one(value)

    return aggregate


def _by_member(change: Step, value: dict[str, Json]) -> Json:
    result: dict[str, Json] = {}
    for name, member in value.items():
        try:
            result[name] = change(member)
        except TransformError as error:
            raise error.at(name) from error
    return result


def _join(parameters: Parameters) -> Prepared:
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
        for index, item in enumerate(array(value)):
            if not isinstance(item, dict):
                raise TransformError(f"joins objects, got {kind_of(item)}").at(index)
            key = read(item)
            rows = [] if key is MISSING or key is None else matches.get(identity(key), [])
            result += [joined(item, row) for row in rows]
            if outer and not rows:
                result.append({**item, name: None} if name is not None else item)
            bounded(result)
        return result

    most_rows = max(map(len, matches.values()), default=1)

    def cost(value: Json) -> int:
        return VALUE_BYTES * len(value) * most_rows if isinstance(value, list) else 0

    return Prepared(join, grows=True, cost=cost)


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
        "countBy",
        "aggregation",
        "Makes an object of numbers: how many items have each value in their field.",
        (Parameter("field", "field", "The field to count by; the item itself without one."),),
        Example(_ORDERS, {"field": "customer"}, {"ada": 2, "bob": 1}),
        _count_by,
    ),
    Operation(
        "index",
        "aggregation",
        "Makes an object of the items, each under the value of its field.",
        (
            Parameter("field", "field", "The field that names the items.", required=True),
            Parameter(
                "keep",
                "string",
                "Which of the items with the same name.",
                default="last",
                choices=("first", "last"),
            ),
        ),
        Example(
            _ORDERS, {"field": "customer", "keep": "first"}, {"ada": _ORDERS[0], "bob": _ORDERS[1]}
        ),
        _index,
    ),
    Operation(
        "aggregate",
        "aggregation",
        "One value of many, or one for each group of 'groupBy'; null and missing do not count.",
        (
            Parameter(
                "function", "string", "What to compute.", required=True, choices=tuple(_COMPUTED)
            ),
            Parameter("field", "field", "The field that counts; the item itself without one."),
        ),
        Example(_ORDERS, {"function": "sum", "field": "total"}, 17.5),
        _aggregate,
    ),
    Operation(
        "reduce",
        "aggregation",
        "Folds the items into one value, by a function or by a pipeline over each step.",
        (
            Parameter(
                "function",
                "string",
                "The function; null and missing values are omitted.",
                choices=tuple(_FOLDS),
            ),
            Parameter("field", "field", "The field that counts; the item itself without one."),
            Parameter(
                "pipeline",
                "pipeline",
                "Makes the next accumulator of {accumulator, item, index}.",
            ),
            Parameter("initial", "any", "What the function counts first, or the pipeline's first."),
        ),
        Example(_ORDERS, {"function": "sum", "field": "total", "initial": 100}, 117.5),
        _reduce,
        one_of=("function", "pipeline"),
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
