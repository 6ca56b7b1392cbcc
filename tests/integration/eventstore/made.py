"""The parts of an event store on one database, with a clock that a test moves."""

import itertools
from collections.abc import AsyncIterator
from typing import Any, cast

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.bus import Bus
from flowmesh.eventstore.announcements import Announcements
from flowmesh.eventstore.appending import Appender
from flowmesh.eventstore.following import Following
from flowmesh.eventstore.group_store import GroupStore
from flowmesh.eventstore.groups import Groups
from flowmesh.eventstore.move_store import MoveStore
from flowmesh.eventstore.moving import EventMoves
from flowmesh.eventstore.projection_store import ProjectionStore
from flowmesh.eventstore.projections import Projections
from flowmesh.eventstore.reading import Streams
from flowmesh.eventstore.store import StreamStore
from flowmesh.eventstore.virtual import VirtualStreams
from flowmesh.runtime import Clock

NAMESPACE = "shop"


class SetClock(Clock):
    """Microseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.us = 1_000_000_000

    def now_us(self) -> int:
        return self.us


class Silent:
    """A bus that reaches no one else."""

    async def publish_core(self, subject: str, data: bytes) -> None:
        """Drop the message."""


class Parts:
    """The parts, without virtual streams."""

    def __init__(self, pool: Any) -> None:
        numbers = itertools.count(1)
        virtual = VirtualStreams(histories=None, versions=None, executions=cast(Any, None))
        bus = cast(Bus, Silent())
        self.clock = SetClock()
        self.announcements = Announcements(bus=bus, subject="appended")
        self.store = StreamStore(pool)
        self.streams = Streams(store=self.store, virtual=virtual, clock=self.clock)
        self.appender = Appender(
            store=self.store,
            announcements=self.announcements,
            clock=self.clock,
            new_id=lambda: f"id-{next(numbers)}",
        )
        self.following = Following(
            streams=self.streams,
            store=self.store,
            virtual=virtual,
            announcements=self.announcements,
        )
        groups = GroupStore(pool)
        self.groups = Groups(
            store=groups, streams=self.store, announcements=self.announcements, clock=self.clock
        )
        self.projections = Projections(store=ProjectionStore(pool))
        self.moves = EventMoves(store=MoveStore(pool), streams=self.store, groups=groups)

    async def append(self, stream: str, *types: str, data: bytes = b"{}") -> int:
        """Append events; return the position of the last one."""
        events = [stored_event_pb2.NewEvent(type=each, data=data) for each in types]
        request = pb.AppendEventsRequest(stream=stream, events=events)
        return (await self.appender.append(NAMESPACE, request)).position

    async def types(self, stream: str, **options: Any) -> list[str]:
        """Return the types of the events on a page of a stream."""
        request = pb.ReadStreamRequest(stream=stream, **options)
        return [each.type for each in (await self.streams.read(NAMESPACE, request)).events]

    def subscribed(self, **options: Any) -> AsyncIterator[pb.SubscribeEventsResponse]:
        return self.following.events(NAMESPACE, pb.SubscribeEventsRequest(**options))
