"""The relation of two shapes of one type, without their members and items.

flowmesh.schemas.comparison compares members and items.
"""

import math
from enum import IntEnum

from flowmesh.schemas.shapes import Numbers, Shape, Strings, held_by
from flowmesh.schemas.words import shown_value


class How(IntEnum):
    """INSIDE: each value of the one fits the other. APART: none does.

    BROKEN: none does that has anything at a certain path. OPEN: neither can be shown.
    """

    INSIDE = 0
    OPEN = 1
    BROKEN = 2
    APART = 3


# No text has two of these formats.
_FORMATS_APART = frozenset({"date", "time", "date-time", "uuid", "ipv4", "ipv6", "email"})


def relation(up: Shape, down: Shape) -> tuple[How, str]:
    """Return the relation of the values of `up` to those of `down`, and the doubt."""
    if up.values is not None:
        return _of_values(up, down)
    if down.values is not None and not any(map(held_by(up), down.values)):
        return How.APART, ""
    match up.facts, down.facts:
        case Numbers(), Numbers():
            how, doubt = _numbers(up.facts, down.facts)
        case Strings(), Strings():
            how, doubt = _strings(up.facts, down.facts)
        case _:
            how, doubt = How.INSIDE, ""
    if down.values is not None and how < How.APART:
        how = How.OPEN
        doubt = f"may be another value than {' or '.join(map(shown_value, down.values[:5]))}"
    return how, doubt


def _of_values(up: Shape, down: Shape) -> tuple[How, str]:
    """Compare enumerated values; values that their own schema excludes are skipped."""
    fit: list[object] = []
    not_fit: list[object] = []
    fits = held_by(down)
    for value in filter(held_by(up), up.values or ()):
        (fit if fits(value) else not_fit).append(value)
    if not not_fit:
        if down.by_nullable and not up.by_nullable:
            return How.OPEN, 'may be null, which JSON Schema takes as type ["…", "null"] only'
        return How.INSIDE, ""
    if not fit:
        return How.APART, ""
    return How.OPEN, f"may be {' or '.join(map(shown_value, not_fit[:5]))}"


def _numbers(up: Numbers, down: Numbers) -> tuple[How, str]:
    low, high = _whole_bounds(up)
    if _above(low, down.high) or _above(down.low, high):
        return How.APART, ""
    doubts = []
    if down.low is not None and (low is None or low < down.low):
        doubts.append(f"may be {'no more than' if down.low[1] else 'below'} {down.low[0]}")
    if down.high is not None and (high is None or _beyond(high, down.high)):
        doubts.append(f"may be {'no less than' if down.high[1] else 'above'} {down.high[0]}")
    whole = up.integer or any(float(each).is_integer() for each in up.multiples)
    if down.integer and not whole:
        doubts.append("may have a fraction")
    for multiple in down.multiples:
        if not _multiple(up, multiple, whole=whole):
            doubts.append(f"may be no multiple of {multiple}")
    return (How.OPEN if doubts else How.INSIDE), ", ".join(doubts)


def _whole_bounds(
    facts: Numbers,
) -> tuple[tuple[float, bool] | None, tuple[float, bool] | None]:
    """Return the bounds, rounded to integers for integers."""
    low, high = facts.low, facts.high
    if facts.integer and low is not None:
        low = (math.floor(low[0]) + 1 if low[1] else math.ceil(low[0]), False)
    if facts.integer and high is not None:
        high = (math.ceil(high[0]) - 1 if high[1] else math.floor(high[0]), False)
    return low, high


def _above(low: tuple[float, bool] | None, high: tuple[float, bool] | None) -> bool:
    """Return whether no value is between a lower and an upper bound."""
    if low is None or high is None:
        return False
    return low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))


def _beyond(high: tuple[float, bool], other: tuple[float, bool]) -> bool:
    return high[0] > other[0] or (high[0] == other[0] and other[1] and not high[1])


def _multiple(up: Numbers, multiple: float, *, whole: bool) -> bool:
    """Check integers only, because validators treat fractions inexactly."""
    if multiple in up.multiples or (multiple == 1 and whole):
        return True
    if not float(multiple).is_integer():
        return False
    return any(float(each).is_integer() and each % multiple == 0 for each in up.multiples)


def _strings(up: Strings, down: Strings) -> tuple[How, str]:
    if down.most is not None and up.least > down.most:
        return How.APART, ""
    if up.most is not None and up.most < down.least:
        return How.APART, ""
    one, other = up.asserted & _FORMATS_APART, down.asserted & _FORMATS_APART
    if one and other and not one & other:
        return How.APART, ""
    doubts = []
    if up.least < down.least:
        doubts.append(f"may have less than {down.least} characters")
    if down.most is not None and (up.most is None or up.most > down.most):
        doubts.append(f"may have more than {down.most} characters")
    doubts += [f"may not match {pattern[:80]}" for pattern in sorted(down.patterns - up.patterns)]
    formats = (down.formats - up.formats) | (down.asserted - up.asserted)
    doubts += [f"may not be of format {name[:80]}" for name in sorted(formats)]
    return (How.OPEN if doubts else How.INSIDE), ", ".join(doubts)
