"""Composition of the event store, a part of the event service."""

import uuid
from typing import TYPE_CHECKING

from flowmesh.api.definition.v1.version_service_pb2_grpc import VersionServiceStub
from flowmesh.api.eventstore.v1 import (
    event_group_service_pb2_grpc,
    event_store_service_pb2_grpc,
    projection_service_pb2_grpc,
)
from flowmesh.api.history.v1.history_service_pb2_grpc import HistoryServiceStub
from flowmesh.audit import AuditRelay
from flowmesh.event.eventstore.announcements import Announcements
from flowmesh.event.eventstore.appending import Appender
from flowmesh.event.eventstore.following import Following
from flowmesh.event.eventstore.group_store import GroupStore
from flowmesh.event.eventstore.groups import Groups
from flowmesh.event.eventstore.loops import StreamRetentionLoop
from flowmesh.event.eventstore.projection_store import ProjectionStore
from flowmesh.event.eventstore.projections import Projections
from flowmesh.event.eventstore.reading import Streams
from flowmesh.event.eventstore.servers import EventGroupServer, EventStoreServer, ProjectionServer
from flowmesh.event.eventstore.store import StreamStore
from flowmesh.event.eventstore.virtual import VirtualStreams
from flowmesh.event.subscriptions.watch_execution import ExecutionWatch
from flowmesh.runtime import Runtime

if TYPE_CHECKING:
    import asyncpg


async def serve_event_store(
    runtime: Runtime,
    pool: "asyncpg.Pool[asyncpg.Record]",
    relay: AuditRelay,
    watch: ExecutionWatch,
) -> None:
    """Create the components, serve them, and add their loop to the runtime."""
    store = StreamStore(pool, call=relay.call)
    announcements = Announcements(
        bus=runtime.bus, subject=f"{runtime.settings.bus_prefix}.eventstore.appended"
    )
    await runtime.bus.subscribe_core(announcements.subject, announcements.on_message)
    runtime.bus.on_reconnect(announcements.on_reconnect)
    virtual = VirtualStreams(
        histories=runtime.stub(HistoryServiceStub, "orchestrator"),
        versions=runtime.stub(VersionServiceStub, "definition"),
        watch=watch,
    )
    streams = Streams(store=store, virtual=virtual, clock=runtime.clock)
    runtime.add_loop(StreamRetentionLoop(store=store, streams=streams))
    runtime.serve(
        EventStoreServer(
            appender=Appender(
                store=store, announcements=announcements, clock=runtime.clock, new_id=_new_id
            ),
            streams=streams,
            following=Following(
                streams=streams, store=store, virtual=virtual, announcements=announcements
            ),
        ),
        event_store_service_pb2_grpc.add_EventStoreServiceServicer_to_server,
    )
    groups = Groups(
        store=GroupStore(pool, call=relay.call),
        streams=store,
        announcements=announcements,
        clock=runtime.clock,
    )
    runtime.serve(
        EventGroupServer(groups=groups),
        event_group_service_pb2_grpc.add_EventGroupServiceServicer_to_server,
    )
    projections = Projections(store=ProjectionStore(pool, call=relay.call))
    runtime.serve(
        ProjectionServer(projections=projections),
        projection_service_pb2_grpc.add_ProjectionServiceServicer_to_server,
    )


def _new_id() -> str:
    return uuid.uuid4().hex
