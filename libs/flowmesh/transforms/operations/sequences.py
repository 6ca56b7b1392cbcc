"""Operations that split an array or combine it with another one."""

from collections.abc import Callable

from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.limits import ITEMS_MAX, VALUE_BYTES
from flowmesh.transforms.operation import Example, Operation, Parameter, Parameters, Prepared, Step
from flowmesh.transforms.values import array, bounded, identity, or_null, reader

_SIZE = Parameter("size", "integer", "The number of items in each.", required=True, minimum=1)
_WITH = Parameter("with", "array", "The other array.", required=True)
_FIELD = Parameter("field", "field", "The field that makes items equal; all of them without one.")


def _chunk(parameters: Parameters) -> Step:
    size = parameters["size"]
    return lambda value: [value[i : i + size] for i in range(0, len(array(value)), size)]


def _window(parameters: Parameters) -> Prepared:
    size, step, partial = parameters["size"], parameters["step"], parameters["partial"]

    def starts_of(items: list[Json]) -> range:
        last = len(items) if partial else len(items) - size + 1
        return range(0, max(last, 0), step)

    def window(value: Json) -> Json:
        items = array(value)
        starts = starts_of(items)
        if len(starts) * size > ITEMS_MAX:
            raise TransformError(f"its windows hold more than {ITEMS_MAX} items in all")
        return [items[start : start + size] for start in starts]

    def cost(value: Json) -> int:
        return VALUE_BYTES * len(starts_of(value)) * size if isinstance(value, list) else 0

    return Prepared(window, grows=True, cost=cost)


def _zip(parameters: Parameters) -> Prepared:
    names, longest = parameters["names"], parameters["longest"]
    if names is not None and not all(isinstance(name, str) for name in names):
        raise ValueError("'names' must be an array of strings")
    if names is not None and len(set(names)) < len(names):
        raise ValueError("'names' has the same name twice")

    def columns_of(value: Json) -> list[list[Json]]:
        items = array(value)
        if parameters["with"] is not None:
            return [items, parameters["with"]]
        for column in items:
            if not isinstance(column, list):
                raise TransformError(f"needs an array of arrays, got {kind_of(column)} in it")
        return items

    def rows_of(columns: list[list[Json]]) -> int:
        lengths = [len(column) for column in columns]
        return (max(lengths) if longest else min(lengths)) if lengths else 0

    def run(value: Json) -> Json:
        columns = columns_of(value)
        if names is not None and len(names) != len(columns):
            raise TransformError(f"has {len(names)} names for {len(columns)} arrays")
        if not columns:
            return []
        rows = rows_of(columns)
        if rows * len(columns) > ITEMS_MAX:
            raise TransformError(f"its rows hold more than {ITEMS_MAX} items in all")
        padded = [[*column[:rows], *[None] * (rows - len(column))] for column in columns]
        found = map(list, zip(*padded, strict=True))
        return [dict(zip(names, row, strict=True)) for row in found] if names else list(found)

    def cost(value: Json) -> int:
        columns = columns_of(value)
        return VALUE_BYTES * rows_of(columns) * len(columns)

    return Prepared(run, grows=True, cost=cost)


Members = dict[object, Json]


def _by_identity(parameters: Parameters, choose: Callable[[list[Json], Members], Json]) -> Step:
    """Build an operation that chooses items by the identities in the other array.

    `choose` gets the items as pairs with their identity.
    """
    read = reader(parameters["field"])
    others = {identity(or_null(read(item))): item for item in reversed(parameters["with"])}

    def run(value: Json) -> Json:
        pairs = [(identity(or_null(read(item))), item) for item in array(value)]
        return bounded(choose(pairs, others))

    return run


def _difference(parameters: Parameters) -> Step:
    return _by_identity(
        parameters, lambda pairs, others: [item for key, item in pairs if key not in others]
    )


def _intersection(parameters: Parameters) -> Step:
    return _by_identity(
        parameters, lambda pairs, others: [item for key, item in pairs if key in others]
    )


def _union(parameters: Parameters) -> Step:
    def union(pairs: list[Json], others: Members) -> Json:
        found: Members = {}
        for key, item in (*pairs, *reversed(others.items())):
            found.setdefault(key, item)
        return list(found.values())

    return _by_identity(parameters, union)


OPERATIONS = (
    Operation(
        "chunk",
        "data",
        "Splits the array into arrays of a size; the last one can be shorter.",
        (_SIZE,),
        Example([1, 2, 3], {"size": 2}, [[1, 2], [3]]),
        _chunk,
    ),
    Operation(
        "window",
        "data",
        "Makes arrays of adjacent items: a window from each item, or from every `step` items.",
        (
            _SIZE,
            Parameter("step", "integer", "From one window to the next.", default=1, minimum=1),
            Parameter("partial", "boolean", "Keeps short windows at the end.", default=False),
        ),
        Example([1, 2, 3, 4], {"size": 2}, [[1, 2], [2, 3], [3, 4]]),
        _window,
    ),
    Operation(
        "zip",
        "data",
        "Combines items with equal index: of this array and another, or of its inner arrays.",
        (
            Parameter("with", "array", "The other array; without it the items are the arrays."),
            Parameter("names", "array", "Member names; rows become objects."),
            Parameter("longest", "boolean", "Pads shorter arrays with null.", default=False),
        ),
        Example(
            ["a", "b"],
            {"with": [1, 2, 3], "names": ["key", "value"]},
            [{"key": "a", "value": 1}, {"key": "b", "value": 2}],
        ),
        _zip,
    ),
    Operation(
        "difference",
        "data",
        "Keeps the items that the other array lacks.",
        (_WITH, _FIELD),
        Example([1, 2, 3], {"with": [2]}, [1, 3]),
        _difference,
    ),
    Operation(
        "intersection",
        "data",
        "Keeps the items that the other array has as well.",
        (_WITH, _FIELD),
        Example([1, 2, 3], {"with": [3, 2]}, [2, 3]),
        _intersection,
    ),
    Operation(
        "union",
        "data",
        "The items and those of the other array, the first of equal ones.",
        (_WITH, _FIELD),
        Example([1, 2], {"with": [2, 3, 3]}, [1, 2, 3]),
        _union,
    ),
)
