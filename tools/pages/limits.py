"""docs/limits.md from its template, and the rows of its tables.

`{rpc.limits.MESSAGE_BYTES_MAX:bytes}` in limits.md is a constant of `flowmesh` and its unit.
"""

import importlib
import re
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

_TEMPLATE = Path(__file__).with_suffix(".md")
_VALUE = re.compile(r"{(?P<module>[a-z_.]+)\.(?P<name>[A-Z][\w.]+)(?::(?P<unit>[^}]+))?}")
_SIZES = {
    "bytes": ((2**20, "MiB"), (2**10, "KiB")),
    "ms": ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")),
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound that a caller can meet; `value` is the largest accepted one.

    `reason` is that of the refusal, empty if a library answers without one of ours, or the failure
    class of a failing step.
    """

    what: str
    value: float
    reason: str


def page() -> str:
    return _VALUE.sub(_amount, _TEMPLATE.read_text())


def constants() -> set[tuple[str, str]]:
    """Modules, without `flowmesh.`, and names of the constants in the page."""
    found = _VALUE.finditer(_TEMPLATE.read_text())
    return {(value["module"], value["name"].partition(".")[0]) for value in found}


def limits() -> list[Limit]:
    """The limits of all tables."""
    lines = (line for line in _TEMPLATE.read_text().splitlines() if " | {" in line)
    rows = (line.removeprefix("| ").split(" | ") for line in lines)
    found = ((row, _VALUE.fullmatch(row[1])) for row in rows)
    return [
        Limit(
            row[0],
            _constant(value),
            "" if row[2] == "see note" else row[2].strip("`"),
        )
        for row, value in found
        if value
    ]


def _constant(value: re.Match[str]) -> float:
    module: object = importlib.import_module(f"flowmesh.{value['module']}")
    constant = reduce(_member, value["name"].split("."), module)
    assert isinstance(constant, int | float)
    return constant


def _member(owner: object, name: str) -> object:
    return owner[name] if isinstance(owner, dict) else getattr(owner, name)


def _amount(value: re.Match[str]) -> str:
    amount, unit = int(_constant(value)), value["unit"]
    for size, name in _SIZES.get(unit, ()):
        if amount % size == 0:
            return f"{amount // size} {name}"
    return f"{amount:,} {unit or ''}".rstrip()
