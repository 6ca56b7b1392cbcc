"""Where a value stands in another one.

A place is no text: a long key would be copied for each of the values below it.
"""

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
