"""Seconds of agents, booked as metered use once a minute."""

from typing import TYPE_CHECKING, ClassVar

from flowmesh.api.execution.v1 import meter_service_pb2 as pb
from flowmesh.errors import Overloaded, Timeout, Unavailable
from flowmesh.fleet.storage.store import FleetStore
from flowmesh.runtime.loop import Loop

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.meter_service_pb2_grpc import MeterServiceAsyncStub

BOOKINGS_MAX = 1_000


class MeterLoop(Loop):
    """Books what each agent has lived in this hour and in the one before.

    A booking is the sum so far, so a repeat, of this instance or of another, adds nothing.
    """

    interval_ms: ClassVar[int] = 60_000

    def __init__(self, store: FleetStore, meters: "MeterServiceAsyncStub") -> None:
        self._store, self._meters = store, meters

    async def run_once(self) -> int:
        """Book the seconds; return the number of bookings."""
        bookings = [
            pb.Booking(
                source=agent_id,
                namespace=namespace,
                at_us=at_us,
                used=pb.Metered(agent_seconds=seconds),
            )
            for agent_id, namespace, at_us, seconds in await self._store.lived()
        ]
        try:
            for first in range(0, len(bookings), BOOKINGS_MAX):
                some = bookings[first : first + BOOKINGS_MAX]
                await self._meters.BookMeters(pb.BookMetersRequest(bookings=some))
        except (Unavailable, Overloaded, Timeout):
            return 0
        return len(bookings)
