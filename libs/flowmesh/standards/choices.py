"""Choice rules of the Amazon States Language.

A comparison of values of the wrong type is false. A missing variable is an error, except in a rule
that tests its presence.
"""

import operator
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.standards.paths import PathFailed, PathInvalid, compile_path

Problem = tuple[tuple[str | int, ...], str]

NESTING_MAX = 20
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)
_ORDERS = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}
_PIECES = re.compile(r"\\(.)|(\*)|([^\\*]+|\\$)", re.DOTALL)
_NOTHING = object()


def _as_text(value: Json) -> Any:
    return value if isinstance(value, str) else _NOTHING


def _as_number(value: Json) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else _NOTHING


def _as_boolean(value: Json) -> Any:
    return value if isinstance(value, bool) else _NOTHING


def _as_instant(value: Json) -> Any:
    moment = as_moment(value)
    return _NOTHING if moment is None else moment


def as_moment(value: Json) -> tuple[datetime, str] | None:
    """Return an instant in the standard's profile of RFC 3339: its second, and the digits of the
    fraction.

    Trailing zeros are dropped, so fractions compare as text. None if the value is no instant.
    """
    found = _INSTANT.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    second, digits, zone = found.groups(default="")
    try:
        return datetime.fromisoformat(second + zone), digits.rstrip("0")
    except ValueError:
        return None


_KINDS: dict[str, Callable[[Json], Any]] = {
    "String": _as_text,
    "Numeric": _as_number,
    "Timestamp": _as_instant,
}
# By operator: the conversion of a value for comparison, and the comparison.
_COMPARISONS: dict[str, tuple[Callable[[Json], Any], Callable[[Any, Any], bool]]] = {
    f"{kind}{order}": (make, compare)
    for kind, make in _KINDS.items()
    for order, compare in _ORDERS.items()
} | {"BooleanEquals": (_as_boolean, operator.eq)}
_TESTS: dict[str, Callable[[Json], bool]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": lambda value: _as_number(value) is not _NOTHING,
    "IsString": lambda value: isinstance(value, str),
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": lambda value: _as_instant(value) is not _NOTHING,
}
OPERATORS = frozenset(
    {
        *_COMPARISONS,
        *(f"{name}Path" for name in _COMPARISONS),
        *_TESTS,
        "IsPresent",
        "StringMatches",
    }
)
_GROUPS = ("And", "Or")


def holds(rule: Json, data: Json, context: Json) -> bool:
    """Return whether a checked rule holds. Raises PathFailed."""
    if "And" in rule:
        return all(holds(each, data, context) for each in rule["And"])
    if "Or" in rule:
        return any(holds(each, data, context) for each in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], data, context)
    name = next(key for key in rule if key in OPERATORS)
    variable = compile_path(rule["Variable"])
    if name == "IsPresent":
        return variable.exists(data, context) is rule[name]
    try:
        value = variable.find(data, context)
    except PathFailed as error:
        raise PathFailed("States.Runtime", f"Variable {error}") from None
    if name in _TESTS:
        return _TESTS[name](value) is rule[name]
    if name == "StringMatches":
        return isinstance(value, str) and _matches(value, rule[name])
    wanted = rule[name]
    if name.endswith("Path"):
        name, wanted = name.removesuffix("Path"), compile_path(wanted).find(data, context)
    make, compare = _COMPARISONS[name]
    one, other = make(value), make(wanted)
    return one is not _NOTHING and other is not _NOTHING and compare(one, other)


def problems_of(rule: Json, path: tuple[str | int, ...] = (), depth: int = 1) -> Iterator[Problem]:
    """Yield the problems of a rule, without those of `Next`."""
    if not isinstance(rule, dict):
        yield path, "a rule is an object"
        return
    if depth > NESTING_MAX:
        yield path, f"rules may be nested {NESTING_MAX} deep"
        return
    names = [key for key in rule if key in OPERATORS or key in (*_GROUPS, "Not")]
    known = (*names, "Variable", "Next", "Comment", *("Assign",) * (depth == 1))
    unknown = [key for key in rule if key not in known]
    for key in unknown:
        yield (*path, key), f"there is no operator {key[:64]!r}"
    if len(names) != 1:
        if not unknown:
            yield path, "a rule has one operator"
        return
    name = names[0]
    if depth > 1 and "Next" in rule:
        yield (*path, "Next"), "only the rule as a whole has Next"
    if name in _GROUPS:
        rules = rule[name]
        if not isinstance(rules, list) or not rules:
            yield (*path, name), f"{name} holds a list of rules"
            return
        for index, each in enumerate(rules):
            yield from problems_of(each, (*path, name, index), depth + 1)
    elif name == "Not":
        yield from problems_of(rule[name], (*path, name), depth + 1)
    else:
        yield from _of_comparison(rule, name, path)


def _of_comparison(
    rule: dict[str, Json], name: str, path: tuple[str | int, ...]
) -> Iterator[Problem]:
    if "Variable" not in rule:
        yield (*path, "Variable"), "Variable is missing; it is the path of the value to compare"
    else:
        yield from _of_path(rule["Variable"], (*path, "Variable"))
    value = rule[name]
    if name.endswith("Path"):
        yield from _of_path(value, (*path, name))
    elif name.startswith("Is"):
        if not isinstance(value, bool):
            yield (*path, name), f"{name} is true or false"
    elif name == "StringMatches":
        if not isinstance(value, str):
            yield (*path, name), f"{name} is a pattern, in which * is any text"
    elif _COMPARISONS[name][0](value) is _NOTHING:
        yield (*path, name), f"{name} compares with another type of value"


def _of_path(text: Json, path: tuple[str | int, ...]) -> Iterator[Problem]:
    try:
        compile_path(text if isinstance(text, str) else "")
    except PathInvalid as error:
        yield path, str(error)


def _matches(text: str, pattern: str) -> bool:
    """Return whether a text matches a pattern: `*` is any text, `\\*` an asterisk. Does not
    backtrack.
    """
    parts = [""]
    for escaped, star, other in _PIECES.findall(pattern):
        if star:
            parts.append("")
        else:
            parts[-1] += escaped or other
    if len(parts) == 1:
        return text == parts[0]
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return text.endswith(last)
