"""Metered use of namespaces: reading, and bookings of other services."""

from collections.abc import Callable
from datetime import UTC, datetime

from flowmesh.api.execution.v1 import meter_service_pb2 as pb
from flowmesh.errors import Invalid, Violation
from flowmesh.orchestrator.storage.meter_store import (
    Amounts,
    BookingRow,
    HourRow,
    MeterStore,
)
from flowmesh.rpc import namespace_of
from flowmesh.rpc.pages import last_of_token, list_key, page_token

HOUR_US = 3_600_000_000
HOURS_PER_PAGE, HOURS_PER_PAGE_MAX = 100, 1_000
BOOKINGS_MAX = 1_000
BOOKED_HOURS = 24
"""Bookings of earlier hours are dropped: their sources may be folded."""

AMOUNT_MAX = 2**53 - 1
_LAST_HOUR = 2**31 - 1


class Meters:
    """Use per hour, of any orchestrator."""

    def __init__(self, *, store: MeterStore, now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us

    async def listed(self, request: pb.ListMetersRequest) -> pb.ListMetersResponse:
        """Return a page of hours, newest first."""
        first, below = self._range(request.from_us, request.to_us)
        count = min(request.page_size or HOURS_PER_PAGE, HOURS_PER_PAGE_MAX)
        key = list_key(request)
        last = last_of_token(request.page_token, key)
        before = int(last) if last else _LAST_HOUR
        namespace = namespace_of(request)
        rows = await self._store.hours(namespace, first, below, before, count + 1)
        more = len(rows) > count
        return pb.ListMetersResponse(
            hours=[_hour(row) for row in rows[:count]],
            next_page_token=page_token(key, str(rows[count - 1].hour)) if more else "",
        )

    async def sum(self, request: pb.SumMetersRequest) -> pb.SumMetersResponse:
        """Return the use of several namespaces together."""
        first, below = self._range(request.from_us, request.to_us)
        found = await self._store.sum(request.namespaces, first, below)
        return pb.SumMetersResponse(used=pb.Metered(**found._asdict()))

    async def book(self, request: pb.BookMetersRequest) -> None:
        """Store what other services have measured."""
        if len(request.bookings) > BOOKINGS_MAX:
            raise _wrong("bookings", f"a call books at most {BOOKINGS_MAX:,} amounts")
        now_us = self._now_us()
        earliest_us = now_us - BOOKED_HOURS * HOUR_US
        for index, each in enumerate(request.bookings):
            if each.at_us > now_us + HOUR_US:
                raise _wrong(f"bookings[{index}].at_us", "the time is not over yet")
            for name in Amounts._fields:
                if not 0 <= getattr(each.used, name) <= AMOUNT_MAX:
                    text = f"an amount is between 0 and {AMOUNT_MAX:,}"
                    raise _wrong(f"bookings[{index}].used.{name}", text)
        rows = [
            BookingRow(
                each.source,
                each.namespace,
                each.at_us // HOUR_US,
                Amounts(*(getattr(each.used, name) for name in Amounts._fields)),
            )
            for each in request.bookings
            if each.at_us >= earliest_us
        ]
        if rows:
            await self._store.book(rows)

    def _range(self, from_us: int, to_us: int) -> tuple[int, int]:
        """Return the first hour, and that behind the last."""
        now_us = self._now_us()
        from_us, to_us = from_us or month_us(now_us), to_us or now_us
        if from_us < 0:
            raise _wrong("from_us", "the time is before 1970")
        if to_us <= from_us:
            raise _wrong("to_us", "the end is not after the begin")
        return min(from_us // HOUR_US, _LAST_HOUR), min(-(-to_us // HOUR_US), _LAST_HOUR)


def month_us(now_us: int) -> int:
    """Return the begin of the month in UTC."""
    now = datetime.fromtimestamp(now_us / 1_000_000, UTC)
    return int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp()) * 1_000_000


def _hour(row: HourRow) -> pb.MeteredHour:
    amounts = {name: getattr(row, name) for name in Amounts._fields}
    return pb.MeteredHour(hour_us=row.hour * HOUR_US, used=pb.Metered(**amounts))


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(
        "REQUEST_INVALID", message, violations=(Violation(field, message, "REQUEST_INVALID"),)
    )
