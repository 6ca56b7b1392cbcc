"""Cursors of event streams: a place in the stream, opaque to whoever gets one.

What was sent is what stands before the place, and a little more: a stream that was made anew gets
again what was sent out of the old one, and what an outbox gave may come in the stream too.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from flowmesh.errors import Invalid

# Row of a place behind all rows of its message.
END: Final = 2**31 - 1
# Incarnations of which a cursor says how far they were sent: those that moved last.
PASSED_MAX: Final = 32
_SPOT: Final = r";\d{1,19}:\d{1,19}:\d{1,10}:\d{1,10}:\d{1,10}"
_SHAPE: Final = re.compile(
    rf"1\.(\d{{1,20}})\.(\d{{1,19}})\.(\d{{1,10}})\.(\d{{1,10}})((?:{_SPOT}){{0,{PASSED_MAX}}})"
)

# Just behind one event of an incarnation: position, part, row in it, event in the row.
Spot = tuple[int, int, int, int]
# The same of a row: incarnation, position, part, row.
Commit = tuple[int, int, int, int]
Spots = tuple[tuple[int, Spot], ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Just behind one event: message of the stream, row in it, event in the row."""

    sequence: int
    row: int = END
    event: int = END


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place, and which stream it is in: one made anew counts from 1 again."""

    stream_made_us: int
    place: Place
    # Up to where each incarnation was sent, as far as the place does not tell.
    passed: Spots = ()


class Passed:
    """Up to where incarnations were sent, beyond what a place in the stream tells."""

    def __init__(self, spots: Spots = ()) -> None:
        self._spots = dict(spots)
        self.spots = spots

    def reset(self, spots: Mapping[int, Spot]) -> None:
        self._spots = dict(spots)
        self._keep()

    def note(self, incarnation: int, spot: Spot) -> None:
        self._spots[incarnation] = max(spot, self._spots.get(incarnation, spot))
        self._keep()

    def forget(self, incarnation: int, spot: Spot) -> None:
        """What follows this in the stream was not sent: an incarnation's commits are in order."""
        known = self._spots.get(incarnation)
        if known is not None and known <= spot:
            del self._spots[incarnation]
            self._keep()

    def sent(self, commit: Commit) -> int:
        """How many of the events of a row were sent; END is all."""
        known = self._spots.get(commit[0])
        if known is None or commit[1:] > known[:3]:
            return 0
        return known[3] + 1 if commit[1:] == known[:3] and known[3] < END else END

    def joined(self, cursor: Cursor) -> Cursor:
        """The cursor of somebody to whom this was sent besides."""
        if not self._spots:
            return cursor
        other = dict(cursor.passed)
        spots = {i: max(spot, other.get(i, spot)) for i, spot in self._spots.items()}
        return replace(cursor, passed=_bounded({**other, **spots}))

    def _keep(self) -> None:
        self.spots = _bounded(self._spots)


def _bounded(spots: Mapping[int, Spot]) -> Spots:
    """Those of the incarnations that began last, if there are too many."""
    return tuple(sorted(spots.items())[-PASSED_MAX:])


def encode(cursor: Cursor) -> str:
    """Text that `decode` reads."""
    place = cursor.place
    text = f"1.{cursor.stream_made_us}.{place.sequence}.{place.row}.{place.event}"
    for incarnation, spot in cursor.passed:
        text += f";{incarnation}:" + ":".join(map(str, spot))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str) -> Cursor:
    """Raises CURSOR_INVALID for what `encode` did not write."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        match = _SHAPE.fullmatch(raw.decode("ascii"))
    except (binascii.Error, ValueError):
        match = None
    if match is None:
        raise Invalid("CURSOR_INVALID", "cursor: not one that this stream gave out")
    made_us, sequence, row, event = (int(number) for number in match.groups()[:4])
    spots = [tuple(map(int, spot.split(":"))) for spot in match[5].split(";")[1:]]
    passed = tuple((i, (position, part, r, e)) for i, position, part, r, e in spots)
    return Cursor(made_us, Place(sequence, row, event), passed)
