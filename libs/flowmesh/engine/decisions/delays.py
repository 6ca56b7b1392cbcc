"""The end of a delay whose duration or instant is rendered when it begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flowmesh.contract.durations import duration_ms
from flowmesh.engine.children.keys import short

DELAY_MS_MAX = 366 * 24 * 3_600_000
"""The longest delay, given as a duration or as an instant."""
LONGEST = f"{DELAY_MS_MAX // (24 * 3_600_000)} days"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXPECTED = (
    "a duration such as 200ms or PT5S, a number of milliseconds, or an instant with its time zone"
    " like 2030-01-31T08:00:00Z"
)


def end_us(value: object, now_us: int) -> int:
    """Return the end of a delay that begins now. A delay until a past instant ends at once.

    Raises ValueError that names the expected form.
    """
    if isinstance(value, str):
        span_ms = duration_ms(value)
        end = max(now_us, _instant_us(value)) if span_ms is None else now_us + span_ms * 1000
    elif isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise _wrong(value)
    else:
        # Cut to one above the limit: infinity has no integer.
        end = now_us + int(min(value, DELAY_MS_MAX + 1) * 1000)
    if end - now_us > DELAY_MS_MAX * 1000:
        raise ValueError(f"a delay ends at most {LONGEST} after it begins, not {short(value)}")
    return end


def _instant_us(text: str) -> int:
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError):
        # A time without a time zone cannot be subtracted from one with.
        raise _wrong(text) from None
    return since // _MICROSECOND


def _wrong(value: object) -> ValueError:
    return ValueError(f"expected {_EXPECTED}, got {short(value)}")
