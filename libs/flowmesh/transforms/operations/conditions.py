"""Conditions on items: fields, comparisons, and several of them at once."""

import operator
from collections.abc import Callable, Iterable
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.expressions.patterns import compile_pattern
from flowmesh.transforms.limits import PATTERN_CHARACTERS_MAX
from flowmesh.transforms.operation import Parameter, Parameters
from flowmesh.transforms.values import MISSING, identity, is_number, reader

Test = Callable[[Json], bool]


def pattern_of(text: str) -> Any:
    """Compile a pattern. Raises ValueError."""
    if len(text) > PATTERN_CHARACTERS_MAX:
        raise ValueError(f"a pattern has at most {PATTERN_CHARACTERS_MAX} characters")
    return compile_pattern(text)


def _ordered(compare: Callable[[Any, Any], bool], value: Json) -> Test:
    """Compare numbers with numbers and texts with texts; other pairs never match."""
    if is_number(value):
        return lambda item: (
            (item.__class__ is int or item.__class__ is float) and compare(item, value)
        )
    return lambda item: isinstance(item, str) and isinstance(value, str) and compare(item, value)


def _equal(value: Json) -> Test:
    if isinstance(value, str):
        return lambda item: item.__class__ is str and item == value
    if value is None or isinstance(value, bool):
        return lambda item: item is value
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


def _between(value: Json) -> Test:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("'value' must be an array of the least and the greatest for 'between'")
    low, high = _ordered(operator.ge, value[0]), _ordered(operator.le, value[1])
    return lambda item: low(item) and high(item)


def _text_test(test: Callable[[str, str], bool], value: Json) -> Test:
    if not isinstance(value, str):
        raise ValueError("'value' must be a string for 'startsWith' and 'endsWith'")
    return lambda item: isinstance(item, str) and test(item, value)


def _matches(value: Json) -> Test:
    if not isinstance(value, str):
        raise ValueError("'value' must be a pattern for 'matches'")
    pattern = pattern_of(value)
    return lambda item: isinstance(item, str) and pattern.search(item) is not None


_TYPES: dict[str, Test] = {
    "null": lambda item: item is None,
    "boolean": lambda item: isinstance(item, bool),
    "number": is_number,
    "string": lambda item: isinstance(item, str),
    "array": lambda item: isinstance(item, list),
    "object": lambda item: isinstance(item, dict),
}


def _is_type(value: Json) -> Test:
    if not isinstance(value, str) or value not in _TYPES:
        raise ValueError(f"'value' must be one of {', '.join(_TYPES)} for 'isType'")
    return _TYPES[value]


def exists(item: Json) -> bool:
    return item is not MISSING and item is not None


def is_empty(item: Json) -> bool:
    """Return whether a value is null or missing, or an empty text, array or object."""
    return not exists(item) or (isinstance(item, str | list | dict) and not item)


def _not(test: Test) -> Test:
    return lambda item: not test(item)


_OPERATORS: dict[str, Callable[[Json], Test]] = {
    "eq": _equal,
    "ne": lambda value: _not(_equal(value)),
    "gt": lambda value: _ordered(operator.gt, value),
    "gte": lambda value: _ordered(operator.ge, value),
    "lt": lambda value: _ordered(operator.lt, value),
    "lte": lambda value: _ordered(operator.le, value),
    "between": _between,
    "contains": _contains,
    "notContains": lambda value: _not(_contains(value)),
    "in": _among,
    "notIn": lambda value: _not(_among(value)),
    "startsWith": lambda value: _text_test(str.startswith, value),
    "endsWith": lambda value: _text_test(str.endswith, value),
    "matches": _matches,
    "exists": lambda _value: exists,
    "notExists": lambda _value: _not(exists),
    "empty": lambda _value: is_empty,
    "notEmpty": lambda _value: _not(is_empty),
    "isType": _is_type,
}

_FIELD = Parameter("field", "field", "The field that counts; the element itself without one.")
_OPERATOR = Parameter(
    "operator", "string", "The comparison.", default="eq", choices=tuple(_OPERATORS)
)
_VALUE = Parameter("value", "any", "What to compare with; tests such as 'exists' need none.")
_COMPARISON = (_FIELD, _OPERATOR, _VALUE)
# The parameters of `filter`, `partition` and `when`.
CONDITION = (
    *_COMPARISON,
    Parameter("all", "conditions", "Conditions that must all hold.", members=_COMPARISON),
    Parameter("any", "conditions", "Conditions of which one must hold.", members=_COMPARISON),
)


def compile_condition(parameters: Parameters) -> Test:
    """Compile a test: the comparison, every one of `all`, and one of `any`, as far as given."""
    tests: list[Test] = []
    several = parameters["all"] or parameters["any"]
    if not several or any(parameters[each.name] != each.default for each in _COMPARISON):
        tests.append(_compared(parameters))
    tests += [_compared(each) for each in parameters["all"] or ()]
    if parameters["any"]:
        tests.append(_either([_compared(each) for each in parameters["any"]]))
    return tests[0] if len(tests) == 1 else _every(tests)


def compile_comparison(parameters: Parameters) -> Test:
    """Compile a test of the value in the field."""
    return _OPERATORS[parameters["operator"]](parameters["value"])


def _compared(parameters: Parameters) -> Test:
    test = compile_comparison(parameters)
    if parameters["field"] is None:
        return test
    read = reader(parameters["field"])
    return lambda item: test(read(item))


def _every(tests: Iterable[Test]) -> Test:
    return lambda item: all(test(item) for test in tests)


def _either(tests: Iterable[Test]) -> Test:
    return lambda item: any(test(item) for test in tests)
