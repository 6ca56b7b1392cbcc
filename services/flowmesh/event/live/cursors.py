"""Cursors of event streams: opaque places in the stream.

All events before the place were sent. A resumed subscriber may get some again: after the stream
was recreated, and events that an outbox provided and the stream then repeats.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from flowmesh.errors import Invalid

# The row of a place after all rows of its message.
END: Final = 2**31 - 1
# Maximum of incarnations in a cursor: those that advanced last.
PASSED_MAX: Final = 32
_SPOT: Final = r";\d{1,19}:\d{1,19}:\d{1,10}:\d{1,10}:\d{1,10}"
_SHAPE: Final = re.compile(
    rf"1\.(\d{{1,20}})\.(\d{{1,19}})\.(\d{{1,10}})\.(\d{{1,10}})((?:{_SPOT}){{0,{PASSED_MAX}}})"
)

# The place after an event of an incarnation: position, part, row, event in the row.
Spot = tuple[int, int, int, int]
# A row: incarnation, position, part, row.
Commit = tuple[int, int, int, int]
Spots = tuple[tuple[int, Spot], ...]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The place after an event: message of the stream, row in it, event in the row."""

    sequence: int
    row: int = END
    event: int = END


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place and its stream; a recreated stream counts from 1 again."""

    stream_created_us: int
    place: Place
    # The progress of incarnations that were sent beyond the place.
    passed: Spots = ()


class Passed:
    """The progress of incarnations beyond a place in the stream."""

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
        """Remove an incarnation that the place covers: its commits are in order."""
        known = self._spots.get(incarnation)
        if known is not None and known <= spot:
            del self._spots[incarnation]
            self._keep()

    def sent(self, commit: Commit) -> int:
        """Return the number of events of a row that were sent; END means all."""
        known = self._spots.get(commit[0])
        if known is None or commit[1:] > known[:3]:
            return 0
        return known[3] + 1 if commit[1:] == known[:3] and known[3] < END else END

    def joined(self, cursor: Cursor) -> Cursor:
        """Return the cursor extended by this progress."""
        if not self._spots:
            return cursor
        other = dict(cursor.passed)
        spots = {i: max(spot, other.get(i, spot)) for i, spot in self._spots.items()}
        return replace(cursor, passed=_bounded({**other, **spots}))

    def _keep(self) -> None:
        self.spots = _bounded(self._spots)


def _bounded(spots: Mapping[int, Spot]) -> Spots:
    """Return the spots of the newest incarnations, at most PASSED_MAX."""
    return tuple(sorted(spots.items())[-PASSED_MAX:])


def encode(cursor: Cursor) -> str:
    """Return the text form of a cursor."""
    place = cursor.place
    text = f"1.{cursor.stream_created_us}.{place.sequence}.{place.row}.{place.event}"
    for incarnation, spot in cursor.passed:
        text += f";{incarnation}:" + ":".join(map(str, spot))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str) -> Cursor:
    """Parse a cursor. Raise CURSOR_INVALID for any other text."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        match = _SHAPE.fullmatch(raw.decode("ascii"))
    except (binascii.Error, ValueError):
        match = None
    if match is None:
        raise Invalid("CURSOR_INVALID", "cursor: not issued by this stream")
    made_us, sequence, row, event = (int(number) for number in match.groups()[:4])
    spots = [tuple(map(int, spot.split(":"))) for spot in match[5].split(";")[1:]]
    passed = tuple((i, (position, part, r, e)) for i, position, part, r, e in spots)
    return Cursor(made_us, Place(sequence, row, event), passed)
