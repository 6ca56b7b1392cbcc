"""Composition root of the broker, which the suite runs in the process of the event service."""

import uuid
from contextlib import AsyncExitStack
from typing import Final

from flowmesh.access.encryption import DataKeys
from flowmesh.api.broker.v1 import (
    broker_service_pb2_grpc,
    message_service_pb2_grpc,
    queue_move_service_pb2_grpc,
)
from flowmesh.api.execution.v1.execution_service_pb2_grpc import PayloadServiceStub
from flowmesh.audit import audit_relay
from flowmesh.broker.background import DelayLoop, ReferenceLoop, UnusedQueuesLoop
from flowmesh.broker.broker_server import BrokerServer
from flowmesh.broker.changes import TopologyChanges
from flowmesh.broker.consuming.deliveries import Settler
from flowmesh.broker.consuming.groups import Readers
from flowmesh.broker.consuming.holders import Holders
from flowmesh.broker.consuming.receiving import Receiving
from flowmesh.broker.consuming.sessions import Sessions
from flowmesh.broker.contents import Contents
from flowmesh.broker.counters import BrokerMetrics
from flowmesh.broker.dead_letters import DeadLetters
from flowmesh.broker.diagnosis import Diagnosis
from flowmesh.broker.in_process import LocalQueues
from flowmesh.broker.loops import ExpiryLoop, QueueSizesLoop
from flowmesh.broker.message_server import MessageServer
from flowmesh.broker.moving.exporting import Exports
from flowmesh.broker.moving.importing import Imports
from flowmesh.broker.moving.server import QueueMoveServer
from flowmesh.broker.publishing import MessagePublisher
from flowmesh.broker.routing.misses import Misses
from flowmesh.broker.store import MIGRATIONS, SCHEMA, TopologyStore
from flowmesh.broker.storing.cipher import BodyCipher
from flowmesh.broker.storing.delays import Delays
from flowmesh.broker.storing.jetstream import JetStream
from flowmesh.broker.streams import QueueStreams
from flowmesh.broker.topology import Topologies
from flowmesh.broker.watching import Watching
from flowmesh.runtime import Loop, Runtime

ORCHESTRATOR: Final = "orchestrator"
CONNECTIONS: Final = 4


async def serve_broker(runtime: Runtime, stack: AsyncExitStack, keys: DataKeys) -> LocalQueues:
    """Serve the broker until the stack is closed; return its queues for other services."""
    pool = await stack.enter_async_context(
        runtime.database(SCHEMA, MIGRATIONS, pool_max=CONNECTIONS)
    )
    store = TopologyStore(pool, call=audit_relay(runtime, pool).call)
    cipher = BodyCipher(
        open_key=await store.body_key(),
        installation_key=runtime.keys.messages if runtime.keys else None,
        keys=keys,
    )
    parts = _Parts(runtime, store, cipher)
    await parts.listen()
    publisher = parts.publisher()
    await parts.add_loops(publisher)
    runtime.serve(
        parts.broker_server(), broker_service_pb2_grpc.add_BrokerServiceServicer_to_server
    )
    runtime.serve(
        parts.message_server(publisher, await store.receipt_key()),
        message_service_pb2_grpc.add_MessageServiceServicer_to_server,
    )
    runtime.serve(
        parts.move_server(),
        queue_move_service_pb2_grpc.add_QueueMoveServiceServicer_to_server,
    )
    return LocalQueues(
        topologies=parts.topologies,
        readers=parts.readers,
        settler=parts.settler,
        publisher=publisher,
        contents=parts.contents,
    )


class _Parts:
    """The shared components, and factories of the others."""

    def __init__(self, runtime: Runtime, store: TopologyStore, cipher: BodyCipher) -> None:
        prefix, replicas = runtime.settings.bus_prefix, runtime.settings.nats_replicas
        clock, log, jetstream = runtime.clock, runtime.log, JetStream(runtime.bus)
        self._runtime = runtime
        self._store = store
        self._changed = f"{prefix}.topology.changed"
        self._delayed = f"{prefix}.broker.delayed"
        self._misses = Misses()
        self._metrics = BrokerMetrics(runtime.metrics)
        self._payloads = runtime.stub(PayloadServiceStub, ORCHESTRATOR)
        self._delays = Delays(jetstream=jetstream, prefix=prefix, replicas=replicas, cipher=cipher)
        self._streams = QueueStreams(
            jetstream=jetstream, store=store, cipher=cipher, prefix=prefix, replicas=replicas
        )
        self.topologies = Topologies(store=store)
        self._dead_letters = DeadLetters(
            topologies=self.topologies,
            streams=self._streams,
            metrics=self._metrics,
            clock=clock,
            log=log,
        )
        self.settler = Settler(
            bus=runtime.bus,
            dead_letters=self._dead_letters,
            metrics=self._metrics,
            clock=clock,
            log=log,
        )
        self.readers = Readers(
            bus=runtime.bus,
            topologies=self.topologies,
            streams=self._streams,
            settler=self.settler,
            holders=Holders(store=store),
            clock=clock,
            new_id=_new_id,
        )
        self._sessions = Sessions(
            topologies=self.topologies,
            readers=self.readers,
            settler=self.settler,
            metrics=self._metrics,
            clock=clock,
        )
        self.contents = Contents(
            topologies=self.topologies, streams=self._streams, metrics=self._metrics
        )
        self._changes = TopologyChanges(
            store=store,
            topologies=self.topologies,
            streams=self._streams,
            bus=runtime.bus,
            subject=self._changed,
            new_id=_new_id,
        )

    async def listen(self) -> None:
        """Follow the changes of topologies of other instances."""
        await self._runtime.bus.subscribe_core(self._changed, self.topologies.on_message)
        self._runtime.bus.on_reconnect(self.topologies.on_reconnect)

    def publisher(self) -> MessagePublisher:
        return MessagePublisher(
            topologies=self.topologies,
            streams=self._streams,
            dead_letters=self._dead_letters,
            metrics=self._metrics,
            misses=self._misses,
            delays=self._delays,
            on_delayed=self._announce_delayed,
            payloads=self._payloads,
            store=self._store,
            clock=self._runtime.clock,
            new_id=_new_id,
        )

    async def add_loops(self, publisher: MessagePublisher) -> None:
        """Add the background tasks, and wake them for changes."""
        runtime, streams = self._runtime, self._streams
        clock, log = runtime.clock, runtime.log
        delayed = DelayLoop(
            delays=self._delays, topologies=self.topologies, publisher=publisher, log=log
        )
        await runtime.bus.subscribe_core(self._delayed, delayed.on_announced)
        runtime.bus.on_reconnect(delayed.on_reconnect)
        references = ReferenceLoop(
            store=self._store, streams=streams, payloads=self._payloads, clock=clock
        )
        sizes = QueueSizesLoop(
            store=self._store, streams=streams, metrics=self._metrics, clock=clock, log=log
        )
        expiry = ExpiryLoop(
            store=self._store,
            topologies=self.topologies,
            streams=streams,
            dead_letters=self._dead_letters,
            clock=clock,
        )
        unused = UnusedQueuesLoop(
            store=self._store, topologies=self.topologies, changes=self._changes
        )
        listeners = (sizes.on_change, expiry.on_change, unused.on_change, self.readers.on_change)
        self.topologies.listeners.extend(listeners)
        loops: tuple[Loop, ...] = (sizes, expiry, unused, delayed, references)
        for loop in loops:
            runtime.add_loop(loop)

    def move_server(self) -> QueueMoveServer:
        clock = self._runtime.clock
        return QueueMoveServer(
            changes=self._changes,
            exports=Exports(
                topologies=self.topologies,
                streams=self._streams,
                delays=self._delays,
                clock=clock,
            ),
            imports=Imports(
                topologies=self.topologies,
                streams=self._streams,
                delays=self._delays,
                on_delayed=self._announce_delayed,
                store=self._store,
                clock=clock,
            ),
            store=self._store,
        )

    async def _announce_delayed(self) -> None:
        await self._runtime.bus.publish_core(self._delayed, b"")

    def broker_server(self) -> BrokerServer:
        return BrokerServer(
            changes=self._changes,
            topologies=self.topologies,
            contents=self.contents,
            diagnosis=Diagnosis(
                topologies=self.topologies,
                contents=self.contents,
                streams=self._streams,
                sessions=self._sessions,
                misses=self._misses,
            ),
            watching=Watching(
                topologies=self.topologies, contents=self.contents, clock=self._runtime.clock
            ),
        )

    def message_server(self, publisher: MessagePublisher, receipt_key: bytes) -> MessageServer:
        return MessageServer(
            publisher=publisher,
            sessions=self._sessions,
            receiving=Receiving(
                topologies=self.topologies,
                streams=self._streams,
                readers=self.readers,
                settler=self.settler,
                clock=self._runtime.clock,
                key=receipt_key,
            ),
            readers=self.readers,
            contents=self.contents,
            topologies=self.topologies,
            store=self._store,
        )


def _new_id() -> str:
    return uuid.uuid4().hex
