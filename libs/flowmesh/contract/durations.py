"""Durations in text form: `500ms`, `30s`, `5m`, `1h30m`, `2d`, or ISO 8601 such as `PT5S`; and
instants.
"""

import re
from datetime import datetime
from typing import Final

_UNIT_MS: Final = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_PART: Final = r"[0-9]{1,15}(?:\.[0-9]{1,6})?(?:ms|s|m|h|d)"
_WHOLE: Final = re.compile(rf"(?:{_PART})+\Z")
_SPLIT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
ISO_DURATION: Final = re.compile(
    r"P(?:(\d{1,15})D)?(?:T(?:(\d{1,15})H)?(?:(\d{1,15})M)?(?:(\d{1,15})(?:\.(\d{1,3})\d*)?S)?)?\Z",
    re.ASCII,
)
"""Durations of ISO 8601, without years, months and weeks."""
CHARACTERS_MAX: Final = 64


def duration_ms(text: str) -> int | None:
    """Return milliseconds, or None if `text` is no duration (a bare number has no unit)."""
    if len(text) > CHARACTERS_MAX:
        return None
    if not _WHOLE.match(text):
        return iso_duration_ms(text)
    return round(sum(float(n) * _UNIT_MS[unit] for n, unit in _SPLIT.findall(text)))


def iso_duration_ms(text: str) -> int | None:
    """Return the ms of an ISO 8601 duration; None for other texts."""
    match = ISO_DURATION.match(text) if len(text) <= CHARACTERS_MAX else None
    if match is None or text.endswith(("P", "T")):
        return None
    days, hours, minutes, seconds, fraction = match.groups()
    whole = int(days or 0) * 24 + int(hours or 0)
    ms = ((whole * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * 1_000
    return ms + int((fraction or "0").ljust(3, "0"))


def is_instant(text: str) -> bool:
    """Return whether the text is an RFC 3339 instant, such as 2030-01-31T08:00:00Z."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
