"""Operations on arrays: choose, rename, order, cut."""

import operator
from collections.abc import Callable
from typing import Any

import re2

from flowmesh.expressions.references import kind_of
from flowmesh.transforms.errors import TransformError
from flowmesh.transforms.operation import Example, Json, Operation, Parameter, Parameters, Step
from flowmesh.transforms.values import (
    MISSING,
    array,
    bounded,
    field_path,
    identity,
    is_number,
    or_null,
    order_key,
    reader,
)

FLATTEN_DEPTH_MAX = 64
PATTERN_CHARACTERS_MAX = 1_024

_FIELD = Parameter("field", "field", "The field that counts; the element itself without one.")
_PEOPLE = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}]

Test = Callable[[Json], bool]


def _ordered(compare: Callable[[Any, Any], bool], value: Json) -> Test:
    """Numbers compare with numbers, texts with texts; anything else is not in order."""
    if is_number(value):
        return lambda item: is_number(item) and compare(item, value)
    return lambda item: isinstance(item, str) and isinstance(value, str) and compare(item, value)


def _equal(value: Json) -> Test:
    wanted = identity(value)
    return lambda item: item is not MISSING and identity(item) == wanted


def _contains(value: Json) -> Test:
    wanted = identity(value)

    def test(item: Json) -> bool:
        if isinstance(item, str):
            return isinstance(value, str) and value in item
        return isinstance(item, list) and any(identity(member) == wanted for member in item)

    return test


def _among(value: Json) -> Test:
    if not isinstance(value, list):
        raise ValueError("'value' must be an array for 'in' and 'notIn'")
    wanted = {identity(member) for member in value}
    return lambda item: item is not MISSING and identity(item) in wanted


def _text_test(test: Callable[[str, str], bool], value: Json) -> Test:
    if not isinstance(value, str):
        raise ValueError("'value' must be a string for 'startsWith' and 'endsWith'")
    return lambda item: isinstance(item, str) and test(item, value)


def _matches(value: Json) -> Test:
    if not isinstance(value, str):
        raise ValueError("'value' must be a pattern for 'matches'")
    pattern = compile_pattern(value)
    return lambda item: isinstance(item, str) and pattern.search(item) is not None


def compile_pattern(text: str) -> Any:
    """A RE2 pattern, which matches in time linear to the text; raises ValueError."""
    if len(text) > PATTERN_CHARACTERS_MAX:
        raise ValueError(f"a pattern has at most {PATTERN_CHARACTERS_MAX} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        message = "not a pattern of RE2 (it has no look-around and no back-references)"
        raise ValueError(message) from error


def _exists(item: Json) -> bool:
    return item is not MISSING and item is not None


def _not(test: Test) -> Test:
    return lambda item: not test(item)


_OPERATORS: dict[str, Callable[[Json], Test]] = {
    "eq": _equal,
    "ne": lambda value: _not(_equal(value)),
    "gt": lambda value: _ordered(operator.gt, value),
    "gte": lambda value: _ordered(operator.ge, value),
    "lt": lambda value: _ordered(operator.lt, value),
    "lte": lambda value: _ordered(operator.le, value),
    "contains": _contains,
    "notContains": lambda value: _not(_contains(value)),
    "in": _among,
    "notIn": lambda value: _not(_among(value)),
    "startsWith": lambda value: _text_test(str.startswith, value),
    "endsWith": lambda value: _text_test(str.endswith, value),
    "matches": _matches,
    "exists": lambda _value: _exists,
    "notExists": lambda _value: _not(_exists),
}


def _filter(parameters: Parameters) -> Step:
    read, test = (
        reader(parameters["field"]),
        _OPERATORS[parameters["operator"]](parameters["value"]),
    )
    return lambda value: [item for item in array(value) if test(read(item))]


def _projection(fields: list[str]) -> Step:
    readers = []
    for field in fields:
        names = [step for step in field_path(field) if isinstance(step, str)]
        readers.append((names[-1] if names else field, reader(field)))
    if len({name for name, _ in readers}) < len(readers):
        raise ValueError("two fields end in the same name; 'map' gives them names of their own")

    def project(element: Json) -> Json:
        if not isinstance(element, dict | list):
            raise TransformError(f"needs objects, got {kind_of(element)}")
        found = ((name, read(element)) for name, read in readers)
        return {name: value for name, value in found if value is not MISSING}

    return project


def _select(parameters: Parameters) -> Step:
    if parameters["field"] is not None:
        read = reader(parameters["field"])
        one: Step = lambda element: or_null(read(element))  # noqa: E731
    else:
        one = _projection(parameters["fields"])
    return lambda value: [one(item) for item in value] if isinstance(value, list) else one(value)


def _map(parameters: Parameters) -> Step:
    if parameters["field"] is not None:
        read = reader(parameters["field"])
        return lambda value: [or_null(read(item)) for item in array(value)]
    readers = [(target, reader(source)) for target, source in parameters["mappings"].items()]
    return lambda value: [
        {target: or_null(read(item)) for target, read in readers} for item in array(value)
    ]


def _flat_map(parameters: Parameters) -> Step:
    read = reader(parameters["field"])

    def flat_map(value: Json) -> Json:
        result: list[Json] = []
        for item in array(value):
            inner = read(item)
            if isinstance(inner, list):
                result.extend(inner)
            elif inner is not MISSING:
                result.append(inner)
            bounded(result)
        return result

    return flat_map


def _flatten(parameters: Parameters) -> Step:
    def flatten(value: Json) -> Json:
        items = array(value)
        for _ in range(parameters["depth"]):
            if not any(isinstance(item, list) for item in items):
                break
            flat: list[Json] = []
            for item in items:
                if isinstance(item, list):
                    flat.extend(item)
                else:
                    flat.append(item)
                bounded(flat)
            items = flat
        return items

    return flatten


def _unique(parameters: Parameters) -> Step:
    read = reader(parameters["field"])

    def unique(value: Json) -> Json:
        first: dict[object, Json] = {}
        for item in array(value):
            first.setdefault(identity(read(item)), item)
        return list(first.values())

    return unique


def _sort(parameters: Parameters) -> Step:
    read, descending = reader(parameters["field"]), parameters["order"] == "desc"
    return lambda value: sorted(
        array(value), key=lambda item: order_key(read(item)), reverse=descending
    )


def _limit(parameters: Parameters) -> Step:
    return lambda value: array(value)[: parameters["count"]]


def _skip(parameters: Parameters) -> Step:
    return lambda value: array(value)[parameters["count"] :]


def _reverse(_parameters: Parameters) -> Step:
    return lambda value: array(value)[::-1]


def _sorting(name: str) -> Operation:
    return Operation(
        name,
        "data",
        "Orders the items; equal ones stay in order. Numbers come before texts, null is last.",
        (
            _FIELD,
            Parameter("order", "string", "The direction.", default="asc", choices=("asc", "desc")),
        ),
        Example(_PEOPLE, {"field": "name", "order": "desc"}, _PEOPLE[::-1]),
        _sort,
    )


_COUNT = Parameter("count", "integer", "How many items.", required=True, minimum=0)

OPERATIONS = (
    Operation(
        "select",
        "data",
        "Keeps the named fields of an object or of each item, or the value of one field.",
        (
            Parameter("fields", "fields", "The fields to keep, each under its last name."),
            Parameter("field", "field", "The one field whose value takes the place of the object."),
        ),
        Example(_PEOPLE, {"fields": ["name"]}, [{"name": "Ada"}, {"name": "Bob"}]),
        _select,
        one_of=("fields", "field"),
    ),
    Operation(
        "filter",
        "data",
        "Keeps the items whose field compares with the value; values of other types never do.",
        (
            _FIELD,
            Parameter(
                "operator", "string", "The comparison.", default="eq", choices=tuple(_OPERATORS)
            ),
            Parameter("value", "any", "What to compare with; 'exists' and 'notExists' need none."),
        ),
        Example(
            [{"id": 1, "active": True}, {"id": 2, "active": False}],
            {"field": "active", "operator": "eq", "value": True},
            [{"id": 1, "active": True}],
        ),
        _filter,
    ),
    Operation(
        "map",
        "data",
        "Makes a new object of each item, or takes one field of it; what is missing is null.",
        (
            Parameter("mappings", "mappings", "The new name of each field, and where it is read."),
            Parameter("field", "field", "The one field whose value takes the place of the item."),
        ),
        Example(
            _PEOPLE,
            {"mappings": {"userId": "id", "fullName": "name"}},
            [{"userId": 1, "fullName": "Ada"}, {"userId": 2, "fullName": "Bob"}],
        ),
        _map,
        one_of=("mappings", "field"),
    ),
    Operation(
        "flatMap",
        "data",
        "Joins the arrays in a field of the items into one array.",
        (_FIELD,),
        Example([{"tags": ["a", "b"]}, {"tags": ["c"]}], {"field": "tags"}, ["a", "b", "c"]),
        _flat_map,
    ),
    Operation(
        "flatten",
        "data",
        "Puts the items of inner arrays in their place.",
        (
            Parameter(
                "depth",
                "integer",
                "How many levels.",
                default=1,
                minimum=1,
                maximum=FLATTEN_DEPTH_MAX,
            ),
        ),
        Example([[1, 2], [3, [4]]], {}, [1, 2, 3, [4]]),
        _flatten,
    ),
    Operation(
        "unique",
        "data",
        "Keeps the first of equal items, or of items with an equal field.",
        (_FIELD,),
        Example([1, 2, 1.0, "1", True], {}, [1, 2, "1", True]),
        _unique,
    ),
    _sorting("sort"),
    _sorting("sortBy"),
    Operation(
        "limit",
        "data",
        "Keeps the first items.",
        (_COUNT,),
        Example([1, 2, 3], {"count": 2}, [1, 2]),
        _limit,
    ),
    Operation(
        "skip",
        "data",
        "Drops the first items.",
        (_COUNT,),
        Example([1, 2, 3], {"count": 2}, [3]),
        _skip,
    ),
    Operation(
        "reverse", "data", "Turns the order round.", (), Example([1, 2], {}, [2, 1]), _reverse
    ),
)
