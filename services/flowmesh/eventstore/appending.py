"""Appends of events: those that wait together are committed together."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.errors import FlowmeshError, TooLarge
from flowmesh.eventstore import limits
from flowmesh.eventstore.announcements import Announcements
from flowmesh.eventstore.checks import check_event, check_range, invalid, written_stream
from flowmesh.eventstore.decisions import decide, repeated_id
from flowmesh.eventstore.store import StreamStore
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Clock

# Requests of one transaction.
GROUP_REQUESTS_MAX: Final = 256
NAMESPACES_MAX: Final = 1_000
# Events of a partition after which its statistics are gathered; PostgreSQL does it a minute later.
ANALYZED_AT: Final = 1_000

Outcome = pb.AppendEventsResponse | FlowmeshError


class _Pending:
    """A request that waits for its commit."""

    def __init__(self, request: pb.AppendEventsRequest) -> None:
        self.request = request
        self.outcome: Outcome | None = None


class _Lane:
    """The requests of a namespace; the holder of the lock commits for all that wait."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting: list[_Pending] = []


class Appender:
    """Appends events to streams."""

    def __init__(
        self,
        *,
        store: StreamStore,
        announcements: Announcements,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._announcements = announcements
        self._clock = clock
        self._new_id = new_id
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()
        # The partitions that exist for certain; a moved project may skip some.
        self._partitions = {0}

    async def append(
        self, namespace: str, request: pb.AppendEventsRequest
    ) -> pb.AppendEventsResponse:
        """Append checked events. Raises Invalid, TooLarge or WrongState."""
        check_append(request)
        for event in request.events:
            # A repeated commit of this request finds its own events.
            event.event_id = event.event_id or self._new_id()
        pending = _Pending(request)
        lane = self._lane(namespace)
        lane.waiting.append(pending)
        try:
            async with lane.lock:
                if pending.outcome is None:
                    await self._commit(namespace, lane)
        finally:
            if pending in lane.waiting:
                lane.waiting.remove(pending)
        assert pending.outcome is not None
        if isinstance(pending.outcome, FlowmeshError):
            raise pending.outcome
        return pending.outcome

    def _lane(self, namespace: str) -> _Lane:
        lane = self._lanes.setdefault(namespace, _Lane())
        self._lanes.move_to_end(namespace)
        if len(self._lanes) > NAMESPACES_MAX:
            oldest, idle = next(iter(self._lanes.items()))
            if not idle.lock.locked() and not idle.waiting:
                del self._lanes[oldest]
        return lane

    async def _commit(self, namespace: str, lane: _Lane) -> None:
        """Commit the requests that wait; until then they wait on, also if this one is canceled."""
        batch = _group(lane.waiting)
        requests = [each.request for each in batch]
        streams = sorted({each.stream for each in requests})
        ids = [(each.stream, event.event_id) for each in requests for event in each.events]
        async with self._store.appending(namespace) as appending:
            known = await appending.known(streams, ids)
            decided = decide(requests, known, appending.head)
            partitions = {each.position // limits.PARTITION_EVENTS for each in decided.events}
            if decided.events:
                for number in sorted(partitions - self._partitions):
                    await appending.add_partition(number)
                await appending.store(decided, self._clock.now_us())
                failpoint("eventstore.stored")
        self._partitions |= partitions
        for pending, outcome in zip(batch, decided.outcomes, strict=True):
            pending.outcome = outcome
            if pending in lane.waiting:
                lane.waiting.remove(pending)
        if decided.events:
            failpoint("eventstore.committed")
            await self._announcements.announce(namespace, decided.events[-1].position)
            first, last = decided.events[0].position, decided.events[-1].position
            number = last // limits.PARTITION_EVENTS
            if first <= number * limits.PARTITION_EVENTS + ANALYZED_AT <= last:
                await self._store.analyze(number)


def check_append(request: pb.AppendEventsRequest) -> None:
    """Raise Invalid, TooLarge or WrongState for a request that cannot be stored."""
    written_stream(request.stream)
    count = len(request.events)
    if not count:
        raise invalid("events", f"must have 1 to {limits.BATCH_EVENTS_MAX} entries")
    size = sum(len(each.data) + len(each.metadata) for each in request.events)
    if count > limits.BATCH_EVENTS_MAX or size > limits.BATCH_BYTES_MAX:
        raise TooLarge(
            "PAYLOAD_TOO_LARGE",
            f"events: has {count:,} entries with {size:,} bytes; at most"
            f" {limits.BATCH_EVENTS_MAX} and {limits.BATCH_BYTES_MAX:,} are allowed",
        )
    if request.WhichOneof("expected") == "version":
        check_range(request.version, "expected.version", 0, limits.LAST_VERSION)
    for number, event in enumerate(request.events):
        check_event(event, f"events[{number}]")
    given = [each for each in request.events if each.event_id]
    if (twice := repeated_id(given)) is not None:
        raise invalid("events", f"two of them have the id {twice!r}")


def _group(waiting: list[_Pending]) -> list[_Pending]:
    """Return the first requests that fit into a transaction, at least one."""
    batch: list[_Pending] = []
    size = 0
    for each in waiting[:GROUP_REQUESTS_MAX]:
        size += each.request.ByteSize()
        if batch and size > limits.BATCH_BYTES_MAX:
            break
        batch.append(each)
    return batch
