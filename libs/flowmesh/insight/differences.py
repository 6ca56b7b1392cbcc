"""What differs between two JSON values, as a list of paths with both sides."""

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from flowmesh.expressions.references import path_text
from flowmesh.insight.parts import Json, Part

Action = Literal["added", "removed", "changed"]
# The place of what a value is in, and its key or index there.
_Place = tuple[Any, str | int] | None


class Difference(Part, kw_only=True):
    """A place where two values differ; an empty path is the whole value."""

    path: str
    action: Action
    before: Json | UnsetType = UNSET
    after: Json | UnsetType = UNSET


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Objects are compared by member and lists by place; numbers by value, `true` is no number."""
    # Places are no texts: a long key would be copied for each of the values below it.
    stack: list[tuple[_Place, Any, Any]] = [(None, before, after)]
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
            yield Difference(path=_path(path, place), action="added", after=other)
        elif other is UNSET:
            yield Difference(path=_path(path, place), action="removed", before=one)
        elif one != other or isinstance(one, bool) != isinstance(other, bool):
            yield Difference(path=_path(path, place), action="changed", before=one, after=other)


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else UNSET


def _path(root: str, place: _Place) -> str:
    steps = []
    while place is not None:
        place, step = place
        steps.append(step)
    return path_text(root, tuple(reversed(steps)))
