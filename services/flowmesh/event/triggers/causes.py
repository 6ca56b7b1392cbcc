"""The firings that a trigger would have had in a time range, for backfills."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.errors import Invalid, Violation, WrongState
from flowmesh.event.misfits import Misfit
from flowmesh.event.triggers.firing import cron_cause, cron_scope
from flowmesh.event.triggers.published import TriggerCache, cause_of, event_value
from flowmesh.event.triggers.store import Row, TriggerStore, request_id
from flowmesh.expressions import RenderError
from flowmesh.triggers import Inputs, Schedule

COUNT_MAX: Final = 1_000_000
# Takes some milliseconds.
COUNTED_AT_ONCE: Final = 1_000
# Events scanned for a page; the page may therefore be short or empty.
EVENTS_MAX: Final = 5_000
EVENTS_BYTES_MAX: Final = 8 * 1024 * 1024
# Size limit of a page; a larger first cause is returned alone.
PAGE_BYTES_MAX: Final = 2 * 1024 * 1024

Place = list[Any]
_KEPT_ELSEWHERE: Final = {
    "webhook": "calls of webhook",
    "queue": "messages of trigger",
    "change": "changes for trigger",
}


class Causes:
    """Pages of causes by time; `place` is the end of the page before."""

    def __init__(self, *, store: TriggerStore, trigger_cache: TriggerCache) -> None:
        self._store = store
        self._trigger_cache = trigger_cache

    async def count(self, row: Row, from_us: int, to_us: int) -> int:
        if row["kind"] == "cron":
            return await _counted(_schedule(row), from_us, to_us)
        count, place = 0, None
        while True:
            found, place = await self.page(row, from_us, to_us, place, EVENTS_MAX)
            count += len(found)
            if place is None:
                return count

    async def page(
        self, row: Row, from_us: int, to_us: int, place: Place | None, size: int
    ) -> tuple[list[pb.Cause], Place | None]:
        """Return at most `size` causes, and the start of the next page or None."""
        if not 0 <= from_us < to_us:
            what = "from must be before to, and neither may be negative"
            raise Invalid(
                "RANGE_INVALID", what, violations=(Violation("from", what, "RANGE_INVALID"),)
            )
        if row["kind"] == "cron":
            return _instants(row, place[0] if place else from_us, to_us, size)
        if row["kind"] == "event":
            return await self._events(row, from_us, to_us, place, size)
        what = _KEPT_ELSEWHERE[row["kind"]]
        message = (
            f"{what} {row['id']} are not stored; run the executions again (flowmesh bulk"
            " start rerun), or start new ones with explicit inputs"
        )
        raise WrongState("TRIGGER_KEEPS_NOTHING", message)

    async def _events(
        self, row: Row, from_us: int, to_us: int, place: Place | None, size: int
    ) -> tuple[list[pb.Cause], Place | None]:
        namespace = row["namespace"]
        trigger = self._trigger_cache.compiled(namespace, row)
        after = (place[0], place[1], place[2]) if place else (-1, "", "")
        rows, more = await self._store.published(
            namespace, from_us, to_us, after, count=EVENTS_MAX, bytes_max=EVENTS_BYTES_MAX
        )
        page = _Page(size)
        for kept in rows:
            event = pb.Event.FromString(kept["event"])
            cause = pb.Cause(name=cause_of(event), at_us=kept["at_us"])
            cause.request_id = request_id(namespace, row["workflow"], row["id"], cause.name)
            fires = True
            try:
                fired = await trigger.firing(cause.name, cause.at_us, event_value(event))
            except Misfit as misfit:
                fires = misfit.refused
                cause.error = str(misfit)
            else:
                fires = fired is not None
                cause.input.data = fired.input if fired else b""
            if fires and not page.takes(cause):
                return page.causes, place
            place = [kept["at_us"], kept["source"], kept["id"]]
        return page.causes, place if more else None


class _Page:
    """A page of causes, limited by number and size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bytes = 0
        self.causes: list[pb.Cause] = []

    def takes(self, cause: pb.Cause) -> bool:
        """Add a cause. Return False if the page is full."""
        self._bytes += cause.ByteSize()
        full = len(self.causes) == self._size or self._bytes > PAGE_BYTES_MAX
        if full and self.causes:
            return False
        self.causes.append(cause)
        return True


def _instants(row: Row, from_us: int, to_us: int, size: int) -> tuple[list[pb.Cause], Place | None]:
    trigger = trigger_pb2.Trigger.FromString(row["body"])
    page = _Page(size)
    for cause in _cron_causes(row, Inputs(trigger), _schedule(row).between(from_us, to_us)):
        if not page.takes(cause):
            return page.causes, [cause.at_us]
    return page.causes, None


def _cron_causes(row: Row, inputs: Inputs, instants: Iterator[int]) -> Iterator[pb.Cause]:
    for at_us in instants:
        name = cron_cause(at_us)
        cause = pb.Cause(
            name=name,
            at_us=at_us,
            request_id=request_id(row["namespace"], row["workflow"], row["id"], name),
        )
        try:
            cause.input.data = inputs.of({"trigger": cron_scope(row, at_us)})
        except RenderError as error:
            cause.error = str(error)
        yield cause


def _schedule(row: Row) -> Schedule:
    cron = trigger_pb2.Trigger.FromString(row["body"]).cron
    return Schedule(cron.expression, cron.time_zone)


async def _counted(schedule: Schedule, from_us: int, to_us: int) -> int:
    instants = islice(schedule.between(from_us, to_us), COUNT_MAX + 1)
    count = 0
    while found := sum(1 for _ in islice(instants, COUNTED_AT_ONCE)):
        count += found
        await asyncio.sleep(0)  # yield to other tasks
    if count > COUNT_MAX:
        message = f"the range holds more than {COUNT_MAX:,} instants; use a shorter range"
        raise Invalid("RANGE_INVALID", message)
    return count
