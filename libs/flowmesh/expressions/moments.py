"""The moment of rendering, which determines `now()` and `uuid()`.

A repeated rendering after a crash must produce the same text, so neither a clock nor randomness is
used: the moment is a fact of the execution.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MOMENT = "@moment"
"""The name of the moment in a scope; it is not valid as a reference."""


@dataclass(frozen=True, slots=True)
class Moment:
    """`key` is the subject of the rendering, equal in all attempts; `at_us` is its due time."""

    key: str
    at_us: int


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at_us: int) -> str:
    """Return a time as RFC 3339 text in UTC, in milliseconds."""
    at = _EPOCH + timedelta(milliseconds=at_us // 1_000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
