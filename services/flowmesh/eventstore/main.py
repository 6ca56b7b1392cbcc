"""Composition root of the event store, which the suite runs in the process of the event service."""

import uuid
from contextlib import AsyncExitStack
from typing import Final

from flowmesh.access.encryption import DataKeys
from flowmesh.api.definition.v1.version_service_pb2_grpc import VersionServiceStub
from flowmesh.api.eventstore.v1 import (
    event_group_service_pb2_grpc,
    event_move_service_pb2_grpc,
    event_store_service_pb2_grpc,
    projection_service_pb2_grpc,
)
from flowmesh.api.history.v1.history_service_pb2_grpc import HistoryServiceStub
from flowmesh.audit import audit_relay
from flowmesh.eventstore.announcements import Announcements
from flowmesh.eventstore.appending import Appender
from flowmesh.eventstore.following import Following
from flowmesh.eventstore.group_store import GroupStore
from flowmesh.eventstore.groups import Groups
from flowmesh.eventstore.loops import StreamRetentionLoop
from flowmesh.eventstore.move_store import MoveStore
from flowmesh.eventstore.moving import EventMoves
from flowmesh.eventstore.projection_store import ProjectionStore
from flowmesh.eventstore.projections import Projections
from flowmesh.eventstore.reading import Streams
from flowmesh.eventstore.servers import (
    EventGroupServer,
    EventMoveServer,
    EventStoreServer,
    ProjectionServer,
)
from flowmesh.eventstore.store import MIGRATIONS, SCHEMA, StreamStore
from flowmesh.eventstore.virtual import ExecutionEvents, VirtualStreams
from flowmesh.runtime import Runtime

CONNECTIONS: Final = 6


async def serve_event_store(
    runtime: Runtime, stack: AsyncExitStack, keys: DataKeys, executions: ExecutionEvents
) -> None:
    """Serve the event store until the stack is closed."""
    pool = await stack.enter_async_context(
        runtime.database(SCHEMA, MIGRATIONS, pool_max=CONNECTIONS)
    )
    relay = audit_relay(runtime, pool)
    store = StreamStore(pool, call=relay.call, keys=keys)
    announcements = Announcements(
        bus=runtime.bus, subject=f"{runtime.settings.bus_prefix}.eventstore.appended"
    )
    await runtime.bus.subscribe_core(announcements.subject, announcements.on_message)
    runtime.bus.on_reconnect(announcements.on_reconnect)
    virtual = VirtualStreams(
        histories=runtime.stub(HistoryServiceStub, "orchestrator"),
        versions=runtime.stub(VersionServiceStub, "definition"),
        executions=executions,
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
    group_store = GroupStore(pool, call=relay.call, keys=keys)
    runtime.serve(
        EventMoveServer(
            moves=EventMoves(
                store=MoveStore(pool, call=relay.call, keys=keys), streams=store, groups=group_store
            )
        ),
        event_move_service_pb2_grpc.add_EventMoveServiceServicer_to_server,
    )
    groups = Groups(
        store=group_store,
        streams=store,
        announcements=announcements,
        clock=runtime.clock,
    )
    runtime.serve(
        EventGroupServer(groups=groups),
        event_group_service_pb2_grpc.add_EventGroupServiceServicer_to_server,
    )
    projections = Projections(store=ProjectionStore(pool, call=relay.call, keys=keys))
    runtime.serve(
        ProjectionServer(projections=projections),
        projection_service_pb2_grpc.add_ProjectionServiceServicer_to_server,
    )


def _new_id() -> str:
    return uuid.uuid4().hex
