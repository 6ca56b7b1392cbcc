"""For whom and when a template is rendered: what `now()` and `uuid()` are made of.

Whoever renders may do it again after a crash and has to come to the same text, so neither a clock
nor chance is asked: the moment is a fact of the execution.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MOMENT = "@moment"
"""The name of the moment in a scope; no reference can be written so."""


@dataclass(frozen=True, slots=True)
class Moment:
    """`key` names what is rendered for, the same on every attempt; `at_us` is when it was due."""

    key: str
    at_us: int


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(at_us: int) -> str:
    """A point in time as RFC 3339 text in UTC, in milliseconds."""
    at = _EPOCH + timedelta(milliseconds=at_us // 1_000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
