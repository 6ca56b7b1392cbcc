"""What a trigger would have started in a stretch of time, for who makes up for it afterwards."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.errors import Invalid, Violation, WrongState
from flowmesh.event.triggers.firing import cron_cause, cron_scope
from flowmesh.event.triggers.published import Armory, cause_of, event_value
from flowmesh.event.triggers.store import Row, TriggerStore, request_id
from flowmesh.expressions import RenderError
from flowmesh.triggers import Inputs, Schedule

COUNT_MAX: Final = 1_000_000
# Some milliseconds.
COUNTED_AT_ONCE: Final = 1_000
# Events looked at for one page; a page may be short, or empty, for that.
EVENTS_MAX: Final = 5_000
EVENTS_BYTES_MAX: Final = 8 * 1024 * 1024
# A page ends before a cause with which it would be larger, unless that is its first.
PAGE_BYTES_MAX: Final = 2 * 1024 * 1024

Place = list[Any]


class Causes:
    """Pages of causes by time; `place` is where the page before ended."""

    def __init__(self, *, store: TriggerStore, armory: Armory) -> None:
        self._store = store
        self._armory = armory

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
        """At most `size` of them, and where the next page begins; None behind the last."""
        if not 0 <= from_us < to_us:
            what = "from must be before to"
            raise Invalid(
                "RANGE_INVALID", what, violations=(Violation("from", what, "RANGE_INVALID"),)
            )
        if row["kind"] == "cron":
            return _instants(row, place[0] if place else from_us, to_us, size)
        if row["kind"] == "event":
            return await self._events(row, from_us, to_us, place, size)
        message = (
            f"calls of webhook {row['id']} are not kept; run what they started again (flowmesh bulk"
            " start rerun), or give the inputs themselves"
        )
        raise WrongState("TRIGGER_KEEPS_NOTHING", message)

    async def _events(
        self, row: Row, from_us: int, to_us: int, place: Place | None, size: int
    ) -> tuple[list[pb.Cause], Place | None]:
        namespace = row["namespace"]
        armed = self._armory.armed(namespace, row)
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
                fired = await armed.firing(namespace, cause.name, cause.at_us, event_value(event))
            except RenderError as error:
                cause.error = str(error)
            else:
                fires = fired is not None
                cause.input.data = fired.input if fired else b""
            if fires and not page.takes(cause):
                return page.causes, place
            place = [kept["at_us"], kept["source"], kept["id"]]
        return page.causes, place if more else None


class _Page:
    """Causes until there are enough, or too much of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bytes = 0
        self.causes: list[pb.Cause] = []

    def takes(self, cause: pb.Cause) -> bool:
        """Whether it has room for one more."""
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
        await asyncio.sleep(0)  # others have their turn
    if count > COUNT_MAX:
        message = f"more than {COUNT_MAX:,} instants; take a shorter range"
        raise Invalid("RANGE_INVALID", message)
    return count
