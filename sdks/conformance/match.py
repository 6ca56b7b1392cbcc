"""Comparison of answers with the expectations of scenarios."""

import re
from collections.abc import Callable

from flowmesh.contract.json_value import Json


def _values(actual: Json, key: str) -> list[str]:
    if not isinstance(actual, list):
        return []
    return [repr(item.get(key) if key and isinstance(item, dict) else item) for item in actual]


def _same(actual: Json, key: str) -> bool:
    return len(set(_values(actual, key))) == 1


def _distinct(actual: Json, key: str) -> bool:
    values = _values(actual, key)
    return len(set(values)) == len(values)


def _number(actual: Json) -> float:
    return float(actual) if isinstance(actual, int | float) else float("nan")


OPERATORS: dict[str, Callable[[Json, Json], bool]] = {
    "$gte": lambda actual, least: _number(actual) >= least,
    "$lte": lambda actual, most: _number(actual) <= most,
    "$len": lambda actual, count: _sized(actual) and not problems(count, len(actual)),
    "$re": lambda actual, pattern: isinstance(actual, str) and bool(re.search(pattern, actual)),
    "$in": lambda actual, choices: actual in choices,
    "$has": lambda actual, wanted: _listed(actual) and any(not problems(wanted, a) for a in actual),
    "$all": lambda actual, wanted: _listed(actual) and all(not problems(wanted, a) for a in actual),
    "$range": lambda actual, ends: actual == list(range(ends[0], ends[1] + 1)),
    "$same": _same,
    "$distinct": _distinct,
    "$absent": lambda actual, _: actual is None,
}


def _sized(actual: Json) -> bool:
    return isinstance(actual, str | list | dict)


def _listed(actual: Json) -> bool:
    return isinstance(actual, list)


def problems(expected: Json, actual: Json, path: str = "value") -> list[str]:
    """Return the differences of a value from its expectation, each with its path."""
    if isinstance(expected, dict):
        if expected and all(key in OPERATORS for key in expected):
            return [
                f"{path}: expected {key} {wanted!r}, got {_shown(actual)}"
                for key, wanted in expected.items()
                if not OPERATORS[key](actual, wanted)
            ]
        if not isinstance(actual, dict):
            return [f"{path}: expected an object, got {_shown(actual)}"]
        return [
            problem
            for key, wanted in expected.items()
            for problem in problems(wanted, actual.get(key), f"{path}.{key}")
        ]
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            return [f"{path}: expected {len(expected)} elements, got {_shown(actual)}"]
        return [
            problem
            for index, wanted in enumerate(expected)
            for problem in problems(wanted, actual[index], f"{path}[{index}]")
        ]
    if type(expected) is type(actual) and expected == actual:
        return []
    if isinstance(expected, float | int) and isinstance(actual, float | int):
        return [] if expected == actual else [f"{path}: expected {expected}, got {actual}"]
    return [f"{path}: expected {expected!r}, got {_shown(actual)}"]


def _shown(actual: Json) -> str:
    text = repr(actual)
    return text if len(text) <= 400 else f"{text[:400]}…"
