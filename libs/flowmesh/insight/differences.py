"""Differences between two JSON values, as paths with both sides."""

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from flowmesh.expressions.references import path_text
from flowmesh.insight.parts import Json, Part
from flowmesh.jsontext.places import Place, steps_to

Action = Literal["added", "removed", "changed"]


class Difference(Part, kw_only=True):
    """A place where two values differ; an empty path is the whole value."""

    path: str
    action: Action
    before: Json | UnsetType = UNSET
    after: Json | UnsetType = UNSET


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Compare objects by member, lists by index, numbers by value; `true` is not a number."""
    stack: list[tuple[Place, Any, Any]] = [(None, before, after)]
    while stack:
        place, one, other = stack.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            members = [*one, *(name for name in other if name not in one)]
            stack += [
                ((place, name), one.get(name, UNSET), other.get(name, UNSET))
                for name in reversed(members)
            ]
        elif isinstance(one, list) and isinstance(other, list):
            stack += [
                ((place, i), _item(one, i), _item(other, i))
                for i in reversed(range(max(len(one), len(other))))
            ]
        elif one is UNSET:
            yield Difference(path=path_text(path, steps_to(place)), action="added", after=other)
        elif other is UNSET:
            yield Difference(path=path_text(path, steps_to(place)), action="removed", before=one)
        elif one != other or isinstance(one, bool) != isinstance(other, bool):
            yield Difference(
                path=path_text(path, steps_to(place)), action="changed", before=one, after=other
            )


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else UNSET
