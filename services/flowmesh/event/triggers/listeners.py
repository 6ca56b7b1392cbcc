"""Delivery of published events to listening executions, in order. Idle without events.

An event is marked as delivered after the acknowledgment of the orchestrator. After a crash it is
delivered again with the same request id; an execution accepts it once.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from flowmesh.api.event.v1 import trigger_service_pb2
from flowmesh.api.execution.v1 import receiver_service_pb2 as pb
from flowmesh.event.triggers.published import cause_of, event_value
from flowmesh.event.triggers.store import Row, TriggerStore
from flowmesh.jsontext import dump_json
from flowmesh.runtime import Loop

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.receiver_service_pb2_grpc import ReceiverServiceAsyncStub

EVENTS_MAX: Final = 100
# Size limit of the events of a call; a larger first event is sent alone.
BYTES_MAX: Final = 2 * 1024 * 1024
TIMEOUT_S: Final = 10.0


class ListenerLoop(Loop):
    """Delivers published events; retries a failed call after a pause."""

    interval_ms = 1

    def __init__(self, *, store: TriggerStore, receivers: "ReceiverServiceAsyncStub") -> None:
        self._store = store
        self._receivers = receivers
        self._notified = asyncio.Event()

    def notify(self) -> None:
        """Wake the loop: events may have been published."""
        self._notified.set()

    async def run_once(self) -> int:
        """Deliver pending events, or wait for some. Return the number of events."""
        self._notified.clear()
        sent = await self._deliver()
        if not sent:
            await self._notified.wait()
        return sent

    async def _deliver(self) -> int:
        async with self._store.change() as change:
            rows = list(_within_bytes(await change.undelivered(EVENTS_MAX)))
            if rows:
                request = pb.DeliverEventsRequest(events=[_delivered(row) for row in rows])
                await self._receivers.DeliverEvents(request, timeout=TIMEOUT_S)
                await change.mark_delivered(rows)
        return len(rows)


def _within_bytes(rows: Iterable[Row]) -> Iterator[Row]:
    size = 0
    for row in rows:
        size += len(row["event"])
        if size > BYTES_MAX and size > len(row["event"]):
            return
        yield row


def _delivered(row: Row) -> pb.DeliveredEvent:
    event = trigger_service_pb2.Event.FromString(row["event"])
    named = hashlib.sha256(cause_of(event).encode()).hexdigest()[:40]
    return pb.DeliveredEvent(
        namespace=row["namespace"],
        request_id=f"evt_{named}",
        type=event.type,
        event=dump_json({"specversion": "1.0", **event_value(event)}),
    )
