"""Instants of cron expressions in a time zone, with the DST rules of Debian's cron.

A job in a skipped hour runs right after it, a job in a repeated hour runs once. Jobs of every hour
or minute are not adjusted. Expressions have five fields, or six with seconds first. Instants are
microseconds since the epoch.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

EXPRESSION_CHARACTERS_MAX: Final = 256
_ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
ALIASES: Final = tuple(_ALIASES)
# Names in the time zone databases of some machines with a machine-specific meaning.
_MACHINE_SPECIFIC: Final = ("localtime", "posixrules", "Factory", "posix/", "right/")
_FIELDS: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US: Final = 1_000_000
# The end of the computable dates in every zone.
_LAST_US: Final = int(datetime(9_900, 1, 1, tzinfo=UTC).timestamp()) * _SECOND_US
_WINDOW_FIRST_US: Final = 60 * _SECOND_US
# More instants than fall on one second, even after a skipped hour.
_OTHERS_MAX: Final = 256


class ScheduleInvalid(ValueError):
    """The expression or the zone is invalid; the message names the expected form."""


class Schedule:
    """A cron expression in a time zone."""

    def __init__(self, expression: str, time_zone: str = "") -> None:
        self._zone = _zone(time_zone)
        text = expression.strip()
        if len(text) > EXPRESSION_CHARACTERS_MAX:
            raise ScheduleInvalid(
                f"a cron expression has at most {EXPRESSION_CHARACTERS_MAX} characters"
            )
        if text.startswith("@"):
            if text.lower() not in _ALIASES:
                raise ScheduleInvalid(
                    f"{text[:64]!r} is not an alias; known are {', '.join(ALIASES)}"
                )
            text = _ALIASES[text.lower()]
        try:
            self._seconds = CronSim(text, _EPOCH).seconds
        except (CronSimError, ValueError, AssertionError, RecursionError) as error:
            what = f"{error}; " if isinstance(error, CronSimError) else ""
            form = "five fields, minute hour day month weekday, or six with seconds first"
            raise ScheduleInvalid(f"{what}a cron expression has {form}") from error
        # The library applies the DST rules to five fields only: seconds are set separately.
        self._expression = " ".join(text.split()[-_FIELDS:])

    def next_after(self, at_us: int) -> int | None:
        """Return the first instant after a time; None if there is none for decades."""
        return next(self._after(at_us), None)

    def between(self, from_us: int, to_us: int) -> Iterator[int]:
        """Yield the instants in [from_us, to_us)."""
        for instant in self._after(from_us - 1):
            if instant >= to_us:
                return
            yield instant

    def last_between(self, from_us: int, to_us: int, count: int) -> list[int]:
        """Return the last `count` instants in [from_us, to_us) without listing all of them."""
        start_us = max(from_us, to_us - _WINDOW_FIRST_US)
        # A binary search of the start: after late_us there are too few, after early_us too many.
        late_us, early_us = to_us, None
        most = 2 * count + _OTHERS_MAX
        while True:
            found = list(islice(self.between(start_us, to_us), most))
            if len(found) == most:
                early_us = start_us
            elif len(found) >= count or start_us <= from_us:
                return found[-count:]
            else:
                late_us = start_us
            if early_us is None:
                start_us = max(from_us, 2 * start_us - to_us)
            else:
                start_us = (early_us + late_us) // 2

    def _after(self, at_us: int) -> Iterator[int]:
        if not 0 <= at_us + 1 < _LAST_US:
            return
        for moment in self._from(at_us):
            instant = round(moment.timestamp()) * _SECOND_US
            if instant > at_us:
                yield instant

    def _from(self, at_us: int) -> CronSim:
        # Round down: an instant on the second of a fractional time can still be after it.
        moment = datetime.fromtimestamp(max(at_us // _SECOND_US, 0), UTC)
        found = CronSim(self._expression, moment.astimezone(self._zone))
        found.seconds = self._seconds
        return found


def _zone(name: str) -> tzinfo:
    if name in ("", "UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    # Names are paths of files; some are folders or not zones.
    except (KeyError, ValueError, OSError) as error:
        raise _no_zone(name) from error


def check_zone(name: str) -> None:
    """Raise ScheduleInvalid for a zone whose meaning differs between machines.

    Not part of `Schedule`, which continues to accept stored zones.
    """
    if name.startswith(_MACHINE_SPECIFIC):
        raise _no_zone(name)


def _no_zone(name: str) -> ScheduleInvalid:
    wanted = name.lower()
    alike = (each for each in sorted(available_timezones()) if each.lower() == wanted)
    example = next(alike, "Europe/Berlin")
    return ScheduleInvalid(f"{name[:64]!r} is not a time zone; expected a name like {example}")
