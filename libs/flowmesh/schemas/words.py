"""Descriptions of shapes for messages."""

from collections.abc import Sequence

import orjson

from flowmesh.schemas.shapes import Arrays, Numbers, Objects, Shape, Strings

_VALUES_SHOWN_MAX = 5
_CHARACTERS_MAX = 40


def types_of(shapes: Sequence[Shape]) -> str:
    """Return the types, `integer or null`; `nothing` without shapes."""
    names = {_type_of(shape) for shape in shapes}
    return " or ".join(sorted(names)) or "nothing"


def words_of(shapes: Sequence[Shape]) -> str:
    """Return the types with their limits, `number from 1` or `string "a" or "b"`."""
    if len(shapes) != 1:
        return types_of(shapes)
    (shape,) = shapes
    if shape.values is not None and shape.type not in ("boolean", "null"):
        shown = [shown_value(value) for value in shape.values[:_VALUES_SHOWN_MAX]]
        more = ["…"] if len(shape.values) > _VALUES_SHOWN_MAX else []
        return f"{_type_of(shape)} {' or '.join(shown + more)}"
    return " ".join([_type_of(shape), *_bounds_of(shape)])


def shown_value(value: object) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _CHARACTERS_MAX else text[: _CHARACTERS_MAX - 1] + "…"


def _type_of(shape: Shape) -> str:
    integer = isinstance(shape.facts, Numbers) and shape.facts.integer
    return "integer" if integer else shape.type


def _bounds_of(shape: Shape) -> list[str]:
    match shape.facts:
        case Numbers(low, high, _, multiples):
            said = [f"{'above' if low[1] else 'from'} {low[0]}"] if low else []
            said += [f"{'below' if high[1] else 'to'} {high[0]}"] if high else []
            return said + [f"a multiple of {multiple}" for multiple in multiples]
        case Strings(least, most, patterns, formats):
            said = _counts(least, most, "characters")
            said += [f"matching {pattern[:_CHARACTERS_MAX]}" for pattern in sorted(patterns)]
            return [f"of format {name[:_CHARACTERS_MAX]}" for name in sorted(formats)] + said
        case Arrays(_, least, most):
            return _counts(least, most, "items")
        case Objects(_, _, least, most):
            return _counts(least, most, "members")
    return []


def _counts(least: int, most: int | None, of: str) -> list[str]:
    if most is None:
        return [f"of at least {least} {of}"] if least else []
    return [f"of {least} to {most} {of}" if least else f"of at most {most} {of}"]
