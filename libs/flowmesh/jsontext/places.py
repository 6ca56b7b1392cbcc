"""Where a value stands in another one.

A place is no text: a long key would be copied for each of the values below it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

Place = tuple[Any, str | int] | None
"""The place of what the value is in, and its key or index there; None for the outermost."""


def steps_to(place: Place) -> tuple[str | int, ...]:
    """The keys and indexes that lead to it, from the outermost value on."""
    steps = []
    while place is not None:
        place, step = place
        steps.append(step)
    return tuple(reversed(steps))


def place_text(place: Place, root: str = "") -> str:
    """`root.lines[2].sku`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps_to(place))
    return "".join((root, *steps)).removeprefix(".")


def walk(value: Any, kinds: tuple[type, ...]) -> Iterator[tuple[Place, Any]]:
    """The values of some kinds with their places, those inside one after it; none twice."""
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
