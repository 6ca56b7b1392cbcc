"""Sums of kept metrics over a range of time, by labels."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from flowmesh.errors import Invalid, Violation
from flowmesh.observe.series import BOUND, Values, quantiles, sums_of
from flowmesh.observe.store import SignalStore

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
RANGE_US_MAX: Final = 31 * DAY_US
# One step, at 0: the sum of the whole range.
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
        self, metric: str, span: Range, labels: Sequence[str], **where: str
    ) -> dict[Values, float]:
        """Return the sums by the values of labels, of the label sets that have all of `where`."""
        hours = span.until_us - span.from_us > DAY_US
        amounts = await self._store.amounts(
            metric, span.from_us, span.until_us, _STEP_S, hours=hours
        )
        conditions = [(name, True, value) for name, value in where.items()]
        return sums_of(amounts, labels, conditions).get(0, {})

    async def quantiles(
        self, metric: str, span: Range, labels: Sequence[str], quantile: float
    ) -> dict[Values, float]:
        """Return a quantile of a histogram by the values of labels."""
        return quantiles(await self.of(metric, span, (*labels, BOUND)), quantile)
