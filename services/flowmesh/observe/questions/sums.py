"""Sums of kept metrics over a range of time, by labels."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from flowmesh.errors import Invalid, Violation
from flowmesh.observe.series import labels_of
from flowmesh.observe.store import SignalStore

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
RANGE_US_MAX: Final = 31 * DAY_US
# One step: the sum of the whole range.
_STEP_S: Final = 10**10


class Range(NamedTuple):
    """A range of time."""

    from_us: int
    until_us: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until_us - self.from_us) / 1_000_000

    def before(self) -> "Range":
        """Return the range of the same length that ends where this begins."""
        return Range(2 * self.from_us - self.until_us, self.from_us)


def checked_range(from_us: int, until_us: int, now_us: int, default_us: int) -> Range:
    """Return a range, by default up to now. Raises REQUEST_INVALID."""
    until_us = until_us or now_us
    from_us = from_us or until_us - default_us
    if not 0 <= until_us - RANGE_US_MAX <= from_us < until_us <= now_us + DAY_US:
        problem = "must be before the end, by at most 31 days, and the end at most a day ahead"
        raise Invalid(
            "REQUEST_INVALID",
            f"the begin {problem}",
            violations=(Violation("from_us", problem, "REQUEST_INVALID"),),
        )
    return Range(from_us, until_us)


class Sums:
    """Reads the increases of counters."""

    def __init__(self, store: SignalStore) -> None:
        self._store = store

    async def of(
        self, metric: str, span: Range, labels: tuple[str, ...], where: Mapping[str, str]
    ) -> dict[tuple[str, ...], float]:
        """Return the sums by the values of labels, of the label sets that have all of `where`."""
        hours = span.until_us - span.from_us > DAY_US
        amounts = await self._store.amounts(
            metric, span.from_us, span.until_us, _STEP_S, hours=hours
        )
        found: dict[tuple[str, ...], float] = {}
        for each in amounts:
            named = labels_of(each)
            if all(named.get(name) == value for name, value in where.items()):
                key = tuple(named.get(name, "") for name in labels)
                found[key] = found.get(key, 0.0) + each.value
        return found
