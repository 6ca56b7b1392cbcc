"""Cursors of event streams: a place in the stream, opaque to whoever gets one."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from flowmesh.errors import Invalid

# Row of a place behind all rows of its message.
END: Final = 2**31 - 1
_SHAPE: Final = re.compile(r"1\.(\d{1,20})\.(\d{1,19})\.(\d{1,10})\.(\d{1,10})")


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


def encode(cursor: Cursor) -> str:
    """Text that `decode` reads."""
    place = cursor.place
    text = f"1.{cursor.stream_made_us}.{place.sequence}.{place.row}.{place.event}"
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
    made_us, sequence, row, event = (int(number) for number in match.groups())
    return Cursor(made_us, Place(sequence, row, event))
