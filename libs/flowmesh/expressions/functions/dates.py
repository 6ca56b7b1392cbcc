"""Functions over dates. A date is RFC 3339 text, or a number of milliseconds since 1970.

Results are RFC 3339 in UTC with milliseconds. Zones are offsets such as `+02:00`, because zone
names can differ between machines, and all machines must render the same text.
"""

import calendar
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from flowmesh.contract.json_value import Json
from flowmesh.expressions.functions.signatures import Function, Kind, Unfit, function
from flowmesh.expressions.moments import Moment

PATTERN_CHARACTERS_MAX = 64

_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s?([Zz]|[+-]\d\d:?\d\d)?)?\Z",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_MS = {
    "milliseconds": 1,
    "seconds": 1_000,
    "minutes": 60_000,
    "hours": 3_600_000,
    "days": 86_400_000,
    "weeks": 604_800_000,
}
_UNIT_MONTHS = {"months": 1, "years": 12}
_UNITS = (*_UNIT_MS, *_UNIT_MONTHS)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Field(NamedTuple):
    """One letter group of a pattern: its writer, its regular expression and its target."""

    write: Callable[[datetime], str]
    read: str = ""
    part: str = ""


def _offset_text(at: datetime) -> str:
    minutes = int((at.utcoffset() or timedelta()).total_seconds() // 60)
    if not minutes:
        return "Z"
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


_FIELDS: dict[str, Field] = {
    "yyyy": Field(lambda at: f"{at.year:04}", r"\d{4}", "year"),
    "yy": Field(lambda at: f"{at.year % 100:02}"),
    "MMMM": Field(lambda at: _MONTHS[at.month - 1], "|".join(_MONTHS), "month"),
    "MMM": Field(lambda at: _MONTHS[at.month - 1][:3], "|".join(m[:3] for m in _MONTHS), "month"),
    "MM": Field(lambda at: f"{at.month:02}", r"\d\d", "month"),
    "M": Field(lambda at: str(at.month), r"\d\d?", "month"),
    "dd": Field(lambda at: f"{at.day:02}", r"\d\d", "day"),
    "d": Field(lambda at: str(at.day), r"\d\d?", "day"),
    "DDD": Field(lambda at: f"{at.timetuple().tm_yday:03}"),
    "EEEE": Field(lambda at: _DAYS[at.weekday()], "|".join(_DAYS), "weekday"),
    "EEE": Field(lambda at: _DAYS[at.weekday()][:3], "|".join(d[:3] for d in _DAYS), "weekday"),
    "HH": Field(lambda at: f"{at.hour:02}", r"\d\d", "hour"),
    "H": Field(lambda at: str(at.hour), r"\d\d?", "hour"),
    "hh": Field(lambda at: f"{(at.hour + 11) % 12 + 1:02}", r"\d\d", "hour"),
    "h": Field(lambda at: str((at.hour + 11) % 12 + 1), r"\d\d?", "hour"),
    "a": Field(lambda at: "AM" if at.hour < 12 else "PM", "AM|PM", "half"),
    "mm": Field(lambda at: f"{at.minute:02}", r"\d\d", "minute"),
    "ss": Field(lambda at: f"{at.second:02}", r"\d\d", "second"),
    "SSS": Field(lambda at: f"{at.microsecond // 1000:03}", r"\d{3}", "millisecond"),
    "ZZ": Field(_offset_text, r"Z|[+-]\d\d:\d\d", "zone"),
}
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def _parse(value: Json) -> datetime:
    if not isinstance(value, str):
        return _of_ms(value)
    found = _DATE.match(value)
    if found is None:
        raise Unfit("the text is not an RFC 3339 date such as 2026-01-31T12:00:00Z")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    micros = int((fraction or "0").ljust(9, "0")[:6])
    try:
        at = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            micros, _zone(zone or "Z"),
        )  # fmt: skip
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unfit("there is no such date") from None


def _zone(text: str) -> timezone:
    if text in {"Z", "z", "UTC"}:
        return UTC
    found = _OFFSET.match(text)
    if found is None or int(found.group(2)) > 14 or int(found.group(3)) > 59:
        raise Unfit("a zone is UTC or an offset such as +02:00")
    minutes = int(found.group(2)) * 60 + int(found.group(3))
    return timezone(timedelta(minutes=-minutes if found.group(1) == "-" else minutes))


def _of_ms(value: float) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=math.floor(value))
    except (OverflowError, ValueError):
        raise Unfit("the date is not between the years 1 and 9999") from None


def _text(at: datetime) -> str:
    return at.strftime(f"{at.year:04}-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _now(moment: Moment, _place: str) -> str:
    return _text(_of_ms(moment.at_us // 1000))


def _date(value: Json) -> str:
    return _text(_parse(value))


def _tokens(pattern: str) -> list[str | Field]:
    """Return the literal texts and fields of a pattern. Raises Unfit."""
    found: list[str | Field] = []
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            raise Unfit("a quote is not closed")
        if token.group(1) is not None:
            found.append(token.group(1).replace("''", "'") or "'")
        elif token.group(2) is None:
            found.append(token.group())
        elif token.group() in _FIELDS:
            found.append(_FIELDS[token.group()])
        else:
            raise Unfit(f"{token.group()} is not a date field")
        position = token.end()
    return found


def _is_pattern(value: Json) -> bool:
    if not isinstance(value, str) or len(value) > PATTERN_CHARACTERS_MAX:
        return False
    try:
        return bool(_tokens(value))
    except Unfit:
        return False


def _is_zone(value: Json) -> bool:
    try:
        return isinstance(value, str) and _zone(value) is not None
    except Unfit:
        return False


def _format_date(date: Json, pattern: str, zone: str = "Z") -> str:
    at = _parse(date)
    try:
        at = at.astimezone(_zone(zone))
    except OverflowError:
        raise Unfit("the date is not between the years 1 and 9999") from None
    tokens = _tokens(pattern)
    return "".join(each if isinstance(each, str) else each.write(at) for each in tokens)


def _parse_date(text: str, pattern: str, zone: str = "Z") -> str:
    """Parse a date by a pattern; omitted fields have their least value."""
    source, parts = "", []
    for token in _tokens(pattern):
        if isinstance(token, str):
            source += re.escape(token)
        elif not token.part:
            raise Unfit("yy and DDD can be formatted but not parsed")
        else:
            source += f"({token.read})"
            parts.append(token.part)
    found = re.compile(source + r"\Z", re.ASCII).match(text)
    if found is None:
        raise Unfit("the text does not follow the pattern")
    given = dict(zip(parts, found.groups(), strict=True))
    hour = int(given.get("hour", "0"))
    if half := given.get("half"):
        hour = hour % 12 + (12 if half == "PM" else 0)
    try:
        at = datetime(
            int(given.get("year", "1970")), _month(given.get("month", "1")),
            int(given.get("day", "1")), hour, int(given.get("minute", "0")),
            int(given.get("second", "0")), int(given.get("millisecond", "0")) * 1000,
            _zone(given.get("zone", zone)),
        )  # fmt: skip
        return _text(at.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise Unfit(str(error) if isinstance(error, Unfit) else "there is no such date") from None


def _month(text: str) -> int:
    if text.isdecimal():
        return int(text)
    return next(index for index, name in enumerate(_MONTHS, 1) if name.startswith(text))


def _date_add(date: Json, amount: float, unit: str) -> str:
    at = _parse(date)
    try:
        if unit in _UNIT_MONTHS:
            if amount != math.trunc(amount):
                raise Unfit(f"only whole {unit} can be added")
            return _text(_add_months(at, int(amount) * _UNIT_MONTHS[unit]))
        return _text(at + timedelta(milliseconds=amount * _UNIT_MS[unit]))
    except (OverflowError, ValueError) as error:
        if isinstance(error, Unfit):
            raise
        raise Unfit("the date is not between the years 1 and 9999") from None


def _add_months(at: datetime, months: int) -> datetime:
    """Add months; the day is limited to the last one of the month.

    Raises ValueError or OverflowError beyond the years 1 to 9999.
    """
    index = at.year * 12 + at.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))


def _date_diff(later: Json, earlier: Json, unit: str) -> float:
    between = _ms(_parse(later)) - _ms(_parse(earlier))
    whole, rest = divmod(between, _UNIT_MS[unit])
    return whole if not rest else between / _UNIT_MS[unit]


def _to_epoch(date: Json) -> int:
    return _ms(_parse(date))


_KINDS: dict[str, Kind] = {
    "pattern": (f"of {', '.join(_FIELDS)} and 'text' in quotes", _is_pattern),
    "unit": (f"one of {', '.join(_UNITS)}", lambda value: value in _UNITS),
    "fixedUnit": (f"one of {', '.join(_UNIT_MS)}", lambda value: value in tuple(_UNIT_MS)),
    "zone": ("UTC or an offset such as +02:00", _is_zone),
}

FUNCTIONS: tuple[Function, ...] = (
    function(
        "now() -> date",
        _now,
        "The time the task became ready, equal in every rendering.",
        "now()",
        momentary=True,
    ),
    function(
        "date(value: date) -> date",
        _date,
        "The date in UTC, from RFC 3339 text in any zone or milliseconds since 1970.",
        'date("2026-01-31T12:00:00+02:00")',
    ),
    function(
        "parseDate(text: string, pattern: pattern, zone?: zone) -> date",
        _parse_date,
        "Parses a date in a pattern such as `dd.MM.yyyy HH:mm`.",
        'parseDate("31.01.2026", "dd.MM.yyyy")',
        kinds=_KINDS,
    ),
    function(
        "formatDate(date: date, pattern: pattern, zone?: zone) -> string",
        _format_date,
        "Formats a date in a pattern such as `EEE, d MMM yyyy`, in UTC or at a zone offset.",
        'formatDate("2026-01-31", "EEE, d MMM yyyy")',
        kinds=_KINDS,
    ),
    function(
        "dateAdd(date: date, amount: number, unit: unit) -> date",
        _date_add,
        f"The date plus an amount; units are {', '.join(_UNITS)}.",
        'dateAdd("2026-01-31", 1, "months")',
        kinds=_KINDS,
    ),
    function(
        "dateDiff(later: date, earlier: date, unit: fixedUnit) -> number",
        _date_diff,
        "The time from the second date to the first.",
        'dateDiff("2026-02-01", "2026-01-31", "hours")',
        kinds=_KINDS,
    ),
    function(
        "toEpoch(date: date) -> integer",
        _to_epoch,
        "Milliseconds since 1970.",
        'toEpoch("2026-01-31")',
    ),
)
