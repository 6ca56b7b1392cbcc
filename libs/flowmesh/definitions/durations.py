"""Durations in text form: `500ms`, `30s`, `5m`, `1h`, `1h30m`; and instants."""

import re
from datetime import datetime

_UNIT_MS = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0, "h": 3_600_000.0}
_PART = r"[0-9]{1,15}(?:\.[0-9]{1,6})?(?:ms|s|m|h)"
_WHOLE = re.compile(rf"(?:{_PART})+\Z")
_SPLIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")


def duration_ms(text: str) -> int | None:
    """Return milliseconds, or None if `text` is no duration (a bare number has no unit)."""
    if len(text) > 64 or not _WHOLE.match(text):
        return None
    return round(sum(float(n) * _UNIT_MS[unit] for n, unit in _SPLIT.findall(text)))


def is_instant(text: str) -> bool:
    """Return whether the text is an RFC 3339 instant, such as 2030-01-31T08:00:00Z."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
