"""When a delay ends whose duration, or instant, is known only once it begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

DELAY_MS_MAX = 366 * 24 * 3_600_000
"""The longest that anything waits for a time, however that is told."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXPECTED = "a number of milliseconds, or an instant with its time zone like 2030-01-31T08:00:00Z"


def end_us(value: object, now_us: int) -> int:
    """When a delay ends that begins now; one till an instant that is past ends at once.

    Raises ValueError with what would be right.
    """
    if isinstance(value, str):
        wait_ms: int | float = (_instant_us(value) - now_us) / 1000
    elif isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise _wrong(value)
    else:
        wait_ms = value
    if wait_ms > DELAY_MS_MAX:
        days = DELAY_MS_MAX // (24 * 3_600_000)
        raise ValueError(f"a delay ends at most {days} days after it begins, not {_short(value)}")
    return now_us + max(0, int(wait_ms * 1000))


def _instant_us(text: str) -> int:
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError):
        # A moment without a time zone is no instant: nothing can be taken from it.
        raise _wrong(text) from None
    return since // _MICROSECOND


def _wrong(value: object) -> ValueError:
    return ValueError(f"expected {_EXPECTED}, got {_short(value)}")


def _short(value: object) -> str:
    return msgspec.json.encode(value).decode()[:64]
