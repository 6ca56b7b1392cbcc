"""Member access of JavaScript over JSON data, for the scope of conditions.

Reads own members, array items and `length`; there are no prototypes and nothing can be called.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowmesh.expressions.javascript.values import UNDEFINED, text_length
from flowmesh.expressions.references import child_path


class Unreadable(Exception):
    """An access to a member of undefined or null; JavaScript throws a TypeError."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


@dataclass(frozen=True, slots=True)
class Step:
    """One `.key` or `["key"]`; `optional` is `?.`, `of_step` the `.result` of a step's output."""

    key: str
    optional: bool = False
    of_step: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """`context.order.items[0]`: a root of the scope and the steps from it."""

    root: str
    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return self.text(len(self.steps))

    def text(self, count: int) -> str:
        path = self.root
        for step in self.steps[:count]:
            path = child_path(path, int(step.key) if step.key.isdecimal() else step.key)
        return path

    def read(self, scope: Mapping[str, Any]) -> Any:
        """Return the value, or UNDEFINED. Raises Unreadable."""
        if self.root not in scope:
            raise Unreadable(self.root, f"{self.root} is missing")
        value = scope[self.root]
        for index, step in enumerate(self.steps):
            if value is None or value is UNDEFINED:
                if step.optional:
                    return UNDEFINED
                kind = "null" if value is None else "undefined"
                message = f"{self.text(index)} is {kind}, {step.key!r} cannot be read of it"
                raise Unreadable(self.text(index + 1), message)
            value = _member(value, step)
        return value


def _member(value: Any, step: Step) -> Any:
    key = step.key
    if isinstance(value, Mapping):
        if key in value:
            return value[key]
        return value if step.of_step else UNDEFINED
    if step.of_step:
        return value
    if isinstance(value, str):
        if key == "length":
            return text_length(value)
        return value[int(key)] if key.isdecimal() and int(key) < len(value) else UNDEFINED
    if isinstance(value, list):
        if key == "length":
            return float(len(value))
        return value[int(key)] if key.isdecimal() and int(key) < len(value) else UNDEFINED
    return UNDEFINED
