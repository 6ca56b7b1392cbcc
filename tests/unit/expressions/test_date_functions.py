"""Functions over dates: each field of a pattern against `strftime`, and both sides of limits."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowmesh.expressions import MOMENT, Moment, RenderError, TemplateInvalid, compile_template

REFUSED = RenderError
# Each hour of a day, and dates whose fields differ from each other, at the ends of years too.
DATES = (
    *(datetime(2026, 3, 1, hour, 59 - hour, hour, 7_000, UTC) for hour in range(24)),
    *(datetime(2000 + month, month, 29 - month, 1, 2, 3, 999_000, UTC) for month in range(1, 13)),
    datetime(1999, 12, 31, 23, 59, 59, 0, UTC),
    datetime(2100, 1, 1, tzinfo=UTC),
    datetime(2024, 2, 29, 12, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC),
)


def render(expression: str, data: Any = None) -> Any:
    scope = {"input": data, MOMENT: Moment("execution/node", 1_999_999)}
    return compile_template(f"{{{{ {expression} }}}}", ("input",)).render(scope)


def refused(expression: str, data: Any = None) -> bool:
    with pytest.raises((RenderError, TemplateInvalid)):
        render(expression, data)
    return True


def written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def strftime(pattern: str) -> Callable[[datetime], str]:
    return lambda at: at.strftime(pattern)


FIELDS: dict[str, Callable[[datetime], str]] = {
    "yyyy": strftime("%Y"),
    "yy": strftime("%y"),
    "MMMM": strftime("%B"),
    "MMM": strftime("%b"),
    "MM": strftime("%m"),
    "M": lambda at: at.strftime("%m").removeprefix("0"),
    "dd": strftime("%d"),
    "d": lambda at: at.strftime("%d").removeprefix("0"),
    "DDD": strftime("%j"),
    "EEEE": strftime("%A"),
    "EEE": strftime("%a"),
    "HH": strftime("%H"),
    "H": lambda at: str(int(at.strftime("%H"))),
    "hh": strftime("%I"),
    "h": lambda at: at.strftime("%I").removeprefix("0"),
    "a": strftime("%p"),
    "mm": strftime("%M"),
    "ss": strftime("%S"),
    "SSS": lambda at: at.strftime("%f")[:3],
}


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_writes_what_strftime_does(field: str) -> None:
    """For each hour, month and weekday, with the zeros of its width."""
    template = compile_template(f"{{{{ formatDate(input, '{field}') }}}}", ("input",))
    for at in DATES:
        assert template.render({"input": written(at)}) == FIELDS[field](at), at


@pytest.mark.parametrize(
    "pattern",
    [
        "yyyy-MM-dd HH:mm:ss.SSS",
        "d/M/yyyy H:mm:ss SSS",
        "EEEE, d MMMM yyyy, h:mm:ss.SSS a",
        "EEE d MMM yyyy hh:mm:ss.SSS a",
        "yyyy-MM-dd'T'HH:mm:ss.SSSZZ",
    ],
)
@pytest.mark.parametrize("zone", ["Z", "+05:30", "-00:45"])
def test_what_is_written_in_a_pattern_is_read_back(pattern: str, zone: str) -> None:
    """In a zone before or behind UTC."""
    source = f"parseDate(formatDate(input, \"{pattern}\", '{zone}'), \"{pattern}\", '{zone}')"
    template = compile_template(f"{{{{ {source} }}}}", ("input",))
    for at in DATES[:-1]:
        assert template.render({"input": written(at)}) == written(at)


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("2026", "yyyy", "2026-01-01T00:00:00.000Z"),
        ("May", "MMM", "1970-05-01T00:00:00.000Z"),
        ("September", "MMMM", "1970-09-01T00:00:00.000Z"),
        ("7", "M", "1970-07-01T00:00:00.000Z"),
        ("31", "dd", "1970-01-31T00:00:00.000Z"),
        ("23", "H", "1970-01-01T23:00:00.000Z"),
        ("59", "mm", "1970-01-01T00:59:00.000Z"),
        ("59", "ss", "1970-01-01T00:00:59.000Z"),
        ("042", "SSS", "1970-01-01T00:00:00.042Z"),
        ("12 AM", "h a", "1970-01-01T00:00:00.000Z"),
        ("12 PM", "h a", "1970-01-01T12:00:00.000Z"),
        ("11 PM", "h a", "1970-01-01T23:00:00.000Z"),
        ("-01:30", "ZZ", "1970-01-01T01:30:00.000Z"),
        ("Z", "ZZ", "1970-01-01T00:00:00.000Z"),
        ("it's 5", "'it''s' H", "1970-01-01T05:00:00.000Z"),
        ("5.", "H.", "1970-01-01T05:00:00.000Z"),
        ("5x", "H.", REFUSED),
        ("5", "HH", REFUSED),
        ("05 ", "HH", REFUSED),
        ("24", "HH", REFUSED),
        ("13", "MM", REFUSED),
        ("32", "dd", REFUSED),
        ("26", "yy", REFUSED),
        ("032", "DDD", REFUSED),
        ("+15:00", "ZZ", REFUSED),
        ("0001 +00:01", "yyyy ZZ", REFUSED),
    ],
)
def test_omitted_fields_have_their_least_value(text: str, pattern: str, expected: Any) -> None:
    """Of the year 1970, in UTC."""
    source = f'parseDate(input, "{pattern}")'
    assert refused(source, text) if expected is REFUSED else render(source, text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("2026-01-31T12:30", "2026-01-31T12:30:00.000Z"),
        ("2026-01-31t12:30:05z", "2026-01-31T12:30:05.000Z"),
        ("2026-01-31 12:30:05 +0100", "2026-01-31T11:30:05.000Z"),
        ("2026-01-31T12:30:05.1Z", "2026-01-31T12:30:05.100Z"),
        ("2026-01-31T12:30:05.123456789-01:30", "2026-01-31T14:00:05.123Z"),
        ("2026-01-31T00:00:00+14:59", "2026-01-30T09:01:00.000Z"),
        ("2026-01-31T00:00:00+15:00", REFUSED),
        ("2026-01-31T00:00:00-14:59", "2026-01-31T14:59:00.000Z"),
        ("2026-01-31T00:00:00+01:60", REFUSED),
        ("2026-01-31T12:30:05.1234567890Z", REFUSED),
        ("2026-02-29", REFUSED),
        ("2026-13-01", REFUSED),
        ("2026-01-31T24:00", REFUSED),
        ("0001-01-01T00:00:00+00:01", REFUSED),
        ("20260131", REFUSED),
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1.9, "1970-01-01T00:00:00.001Z"),
        (-0.5, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, REFUSED),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
        (-62_135_596_800_001, REFUSED),
        (True, REFUSED),
    ],
)
def test_dates_are_texts_of_rfc_3339_or_milliseconds(value: Any, expected: Any) -> None:
    """Of the years 1 to 9999; a fraction of a millisecond is dropped."""
    if expected is REFUSED:
        assert refused("date(input)", value)
        return
    assert render("date(input)", value) == expected
    since = datetime.fromisoformat(expected) - datetime(1970, 1, 1, tzinfo=UTC)
    assert render("toEpoch(input)", value) == since // timedelta(milliseconds=1)


def test_now_is_the_moment_in_milliseconds() -> None:
    """Without the rest of its microseconds."""
    assert render("now()") == "1970-01-01T00:00:01.999Z"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Z", "12:00 Z"),
        ("UTC", "12:00 Z"),
        ("+00:00", "12:00 Z"),
        ("+05:30", "17:30 +05:30"),
        ("-05:30", "06:30 -05:30"),
        ("-0030", "11:30 -00:30"),
        ("+00:01", "12:01 +00:01"),
        ("+14:59", "02:59 +14:59"),
    ],
)
def test_zones_are_written_as_offsets(zone: str, expected: str) -> None:
    """With their sign; UTC is Z."""
    assert render(f"formatDate('2026-01-31T12:00:00Z', 'HH:mm ZZ', '{zone}')") == expected


@pytest.mark.parametrize("zone", ["+15:00", "+00:60", "CET", "01:00", "+1:00", ""])
def test_other_zones_are_refused(zone: str) -> None:
    """At registration as in data."""
    assert refused(f"formatDate(0, 'HH', '{zone}')")
    assert refused("formatDate(0, 'HH', input)", zone)


@pytest.mark.parametrize(
    ("date", "zone"), [("9999-12-31T23:59:59Z", "+00:01"), ("0001-01-01T00:00:00Z", "-00:01")]
)
def test_a_zone_cannot_leave_the_years(date: str, zone: str) -> None:
    """1 to 9999."""
    assert refused("formatDate(input[0], 'HH', input[1])", [date, zone])
    assert render("formatDate(input[0], 'HH', 'Z')", [date, zone])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy" + "-" * 60, "2026" + "-" * 60),
        ("yyyy" + "-" * 61, REFUSED),
        ("", REFUSED),
        ("'", REFUSED),
        ("yyy", REFUSED),
        ("''", "'"),
        ("'o''clock' H", "o'clock 12"),
        ("'yyyy'", "yyyy"),
        ("/", "/"),
        (1, REFUSED),
    ],
)
def test_patterns_are_fields_and_quoted_texts(pattern: Any, expected: Any) -> None:
    """Of at most 64 characters."""
    data = ["2026-01-31T12:00:00Z", pattern]
    source = "formatDate(input[0], input[1])"
    assert refused(source, data) if expected is REFUSED else render(source, data) == expected


@pytest.mark.parametrize(
    ("unit", "milliseconds"),
    [
        ("milliseconds", 1),
        ("seconds", 1_000),
        ("minutes", 60_000),
        ("hours", 3_600_000),
        ("days", 86_400_000),
        ("weeks", 604_800_000),
    ],
)
def test_units_of_fixed_length(unit: str, milliseconds: int) -> None:
    """Added, subtracted and counted: whole as integers, a part as a float."""
    for amount in (0, 1, 2, -3):
        end = render(f"dateAdd(0, {amount}, '{unit}')")
        assert render("toEpoch(input)", end) == amount * milliseconds
        between = render(f"dateDiff(input, 0, '{unit}')", end)
        assert (between, type(between)) == (amount, int)
    if milliseconds > 1:
        half = render(f"dateDiff({milliseconds // 2}, 0, '{unit}')")
        assert (half, type(half)) == (0.5, float)
        assert render(f"toEpoch(dateAdd(0, -0.5, '{unit}'))") == -milliseconds // 2


@pytest.mark.parametrize(
    ("date", "amount", "unit", "expected"),
    [
        ("2026-01-31", 1, "months", "2026-02-28"),
        ("2026-03-31", -1, "months", "2026-02-28"),
        ("2024-01-31", 1, "months", "2024-02-29"),
        ("2026-01-15", 11, "months", "2026-12-15"),
        ("2026-01-15", 12, "months", "2027-01-15"),
        ("2026-01-15", -1, "months", "2025-12-15"),
        ("2026-12-15", 1.0, "months", "2027-01-15"),
        ("2026-12-15", -24, "months", "2024-12-15"),
        ("2024-02-29", 4, "years", "2028-02-29"),
        ("2024-02-29", -1, "years", "2023-02-28"),
        ("9999-11-30", 1, "months", "9999-12-30"),
        ("9999-11-30", 2, "months", REFUSED),
        ("0001-02-01", -1, "months", "0001-01-01"),
        ("0001-02-01", -2, "months", REFUSED),
        ("9999-12-31", 0, "days", "9999-12-31"),
        ("9999-12-31", 1, "days", REFUSED),
        ("0001-01-01", -1, "milliseconds", REFUSED),
        ("2026-01-31", 0.5, "months", REFUSED),
        ("2026-01-31", 0.5, "years", REFUSED),
    ],
)
def test_months_and_years_keep_the_day_or_take_the_last(
    date: str, amount: float, unit: str, expected: Any
) -> None:
    """Within the years 1 to 9999; parts of a month are refused."""
    source = f"dateAdd(input[0], input[1], '{unit}')"
    if expected is REFUSED:
        assert refused(source, [date, amount])
    else:
        assert render(source, [date, amount]) == f"{expected}T00:00:00.000Z"
