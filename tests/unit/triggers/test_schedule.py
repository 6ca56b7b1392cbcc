"""Instants of cron expressions: days of DST, aliases, long gaps, and what is none."""

import time
from datetime import UTC, datetime

import pytest

from flowmesh.triggers import Schedule, ScheduleInvalid, check_zone

BERLIN = "Europe/Berlin"


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def times(schedule: Schedule, since: str, until: str) -> list[str]:
    """Instants in UTC, to the second."""
    found = schedule.between(us(since), us(until))
    return [datetime.fromtimestamp(at / 1e6, UTC).strftime("%d %H:%M:%S") for at in found]


def test_a_job_in_the_hour_that_is_skipped_runs_right_after_it() -> None:
    """2027-03-28: at 2:00 it is 3:00."""
    found = times(
        Schedule("30 2 * * *", BERLIN), "2027-03-27T00:00:00+00:00", "2027-03-30T00:00:00+00:00"
    )
    assert found == ["27 01:30:00", "28 01:00:00", "29 00:30:00"]


def test_a_job_in_the_hour_that_comes_twice_runs_once() -> None:
    """2027-10-31: at 3:00 it is 2:00 again."""
    found = times(
        Schedule("30 2 * * *", BERLIN), "2027-10-30T00:00:00+00:00", "2027-11-02T00:00:00+00:00"
    )
    assert found == ["30 00:30:00", "31 00:30:00", "01 01:30:00"]


@pytest.mark.parametrize("minute", range(0, 60, 20))
def test_no_instant_comes_twice_wherever_one_begins(minute: int) -> None:
    """In the hour that comes twice too: each next one is later than the one before."""
    schedule = Schedule("30 2 * * *", BERLIN)
    at = us(f"2027-10-31T01:{minute:02}:00+00:00")
    assert schedule.next_after(at) == us("2027-11-01T01:30:00+00:00")


def test_what_runs_every_few_minutes_does_not_care_of_dst() -> None:
    """Every quarter of an hour, 25 hours long."""
    found = times(
        Schedule("*/15 * * * *", BERLIN), "2027-10-30T22:00:00+00:00", "2027-10-31T23:00:00+00:00"
    )
    assert len(found) == 100


def test_six_fields_begin_with_seconds() -> None:
    """Five begin with minutes, at second 0."""
    since, until = "2027-01-01T00:00:00+00:00", "2027-01-01T00:02:00+00:00"
    assert len(times(Schedule("*/10 * * * * *"), since, until)) == 12
    assert times(Schedule("* * * * *"), since, until) == ["01 00:00:00", "01 00:01:00"]


NIGHTS = [
    ("2027-03-27T00:00:00+00:00", "2027-03-30T00:00:00+00:00"),
    ("2027-10-30T00:00:00+00:00", "2027-11-02T00:00:00+00:00"),
]


def test_six_fields_follow_the_rules_of_five_when_the_clock_changes() -> None:
    """The job runs right after an hour that is skipped, and once in one that comes twice."""
    six = Schedule("0 30 2 * * *", BERLIN)
    assert [times(six, *night) for night in NIGHTS] == [
        ["27 01:30:00", "28 01:00:00", "29 00:30:00"],
        ["30 00:30:00", "31 00:30:00", "01 01:30:00"],
    ]


@pytest.mark.parametrize("five", ["30 2 * * *", "15,45 2 * * SUN", "0 */2 * * *", "*/20 1-3 * * *"])
def test_a_second_of_zero_changes_nothing(five: str) -> None:
    """Over both nights, for any hours and minutes."""
    for zone in (BERLIN, "America/New_York", "UTC"):
        with_seconds = Schedule(f"0 {five}", zone)
        for night in NIGHTS:
            assert times(with_seconds, *night) == times(Schedule(five, zone), *night)


def test_seconds_of_a_job_are_kept_when_the_clock_changes() -> None:
    """Half a minute after the hour that was skipped."""
    found = times(Schedule("30 30 2 * * *", BERLIN), *NIGHTS[0])
    assert found == ["27 01:30:30", "28 01:00:30", "29 00:30:30"]


def test_what_runs_every_few_seconds_does_not_care_of_dst() -> None:
    """Four a minute, in a night of 25 hours."""
    since, until = "2027-10-30T22:00:00+00:00", "2027-10-31T23:00:00+00:00"
    assert len(times(Schedule("*/15 * * * * *", BERLIN), since, until)) == 25 * 60 * 4


def test_an_alias_is_an_expression() -> None:
    """Once a month, at its beginning."""
    found = times(Schedule("@Monthly"), "2027-01-02T00:00:00+00:00", "2027-04-01T00:00:00+00:00")
    assert found == ["01 00:00:00", "01 00:00:00"]


def test_a_fraction_of_a_second_is_after_its_second() -> None:
    """Neither is the instant of that second given again."""
    schedule = Schedule("* * * * * *")
    assert schedule.next_after(1_500_000) == 2_000_000
    assert schedule.next_after(2_000_000) == 3_000_000
    assert list(schedule.between(2_000_000, 4_000_000)) == [2_000_000, 3_000_000]


def test_the_last_instants_of_a_long_time_are_found_at_once() -> None:
    """Ten years of seconds are not walked through."""
    schedule = Schedule("* * * * * *")
    until = us("2027-01-01T00:00:00+00:00")
    began = time.process_time()
    assert schedule.last_between(0, until, 2) == [until - 2_000_000, until - 1_000_000]
    rare = Schedule("0 0 29 2 *")
    assert rare.last_between(0, until, 1) == [us("2024-02-29T00:00:00+00:00")]
    assert rare.last_between(until, until + 1, 5) == []
    assert time.process_time() - began < 0.5


def test_the_latest_instants_are_found_without_looking_at_all_that_are_as_near() -> None:
    """Every second of January, asked for in December: behind the gap there are millions."""
    schedule = Schedule("* * * * JAN *", BERLIN)
    since, until = us("2026-01-02T00:00:00+01:00"), us("2026-12-31T00:00:00+01:00")
    end = us("2026-02-01T00:00:00+01:00")
    began = time.process_time()
    for count in (1, 1_000):
        found = schedule.last_between(since, until, count)
        assert found == [end - number * 1_000_000 for number in range(count, 0, -1)]
    assert time.process_time() - began < 1


def test_times_beyond_all_calendars_have_no_instants() -> None:
    """No overflow for any request."""
    schedule = Schedule("* * * * *", BERLIN)
    assert schedule.next_after(2**63 - 1) is None
    assert schedule.next_after(-5) is None


WRONG = ("", "x", "* * * *", "* * * * * * *", "60 * * * *", "@never", "0 0 30 2 *", "*/0 * * * *")
ODD = ("1-0 * * * *", "* * * * 8", "1," * 200 + "1 * * * *", "\0 * * * *", "٣ * * * *")


@pytest.mark.parametrize("expression", [*WRONG, *ODD])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    """Each with a message that says what one looks like."""
    with pytest.raises(ScheduleInvalid, match=r"cron expression|not an alias"):
        Schedule(expression)


@pytest.mark.parametrize("zone", ["Mars", "../../etc/passwd", "Europe", "a" * 400, "UTC\0", "/"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    """Also what leads to other files."""
    with pytest.raises(ScheduleInvalid, match="time zone"):
        Schedule("* * * * *", zone)


@pytest.mark.parametrize("zone", ["localtime", "posixrules", "posix/UTC", "right/UTC", "Factory"])
def test_a_zone_is_the_same_on_every_machine(zone: str) -> None:
    """Some names are for the settings of a machine, some only there on a few."""
    with pytest.raises(ScheduleInvalid, match="is not a time zone; expected a name like"):
        check_zone(zone)
    check_zone("Europe/Berlin")


def test_a_misspelled_zone_is_reported() -> None:
    """Large and small letters differ."""
    with pytest.raises(ScheduleInvalid, match=r"'america/new_york' .* like America/New_York"):
        Schedule("* * * * *", "america/new_york")
