"""Places of values inside other values.

A place is a linked list and not a text, so that long keys are not copied for each nested value.
"""

from collections.abc import Iterable, Iterator
from typing import Any

Place = tuple[Any, str | int] | None
"""The place of the enclosing value, and the key or index in it; None for the outermost value."""


def steps_to(place: Place) -> tuple[str | int, ...]:
    """Return the keys and indexes from the outermost value to the place."""
    steps = []
    while place is not None:
        place, step = place
        steps.append(step)
    return tuple(reversed(steps))


def place_text(place: Place, root: str = "") -> str:
    """Return the place as a path, `root.lines[2].sku`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps_to(place))
    return "".join((root, *steps)).removeprefix(".")


def walk(value: Any, kinds: tuple[type, ...]) -> Iterator[tuple[Place, Any]]:
    """Yield the values of some types with their places, outer before inner, each once."""
    waiting: list[tuple[Place, Any]] = [(None, value)]
    seen: set[int] = set()
    for place, each in waiting:
        yield place, each
        if not isinstance(each, dict | list | tuple) or id(each) in seen:
            continue
        seen.add(id(each))
        inside: Iterable[tuple[Any, Any]]
        if isinstance(each, dict):
            inside = ((str(key), inner) for key, inner in each.items())
        else:
            inside = enumerate(each)
        waiting += [((place, step), inner) for step, inner in inside if isinstance(inner, kinds)]
