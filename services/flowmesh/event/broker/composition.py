"""Composition of the broker part of the event service, with its loops."""

import uuid
from dataclasses import dataclass

from flowmesh.event.broker.broker_server import BrokerServer
from flowmesh.event.broker.consuming.deliveries import Settler
from flowmesh.event.broker.consuming.groups import Readers
from flowmesh.event.broker.consuming.receiving import Receiving
from flowmesh.event.broker.consuming.sessions import Sessions
from flowmesh.event.broker.contents import Contents
from flowmesh.event.broker.counters import BrokerMetrics
from flowmesh.event.broker.dead_letters import DeadLetters
from flowmesh.event.broker.diagnosis import Diagnosis
from flowmesh.event.broker.loops import ExpiryLoop, QueueSizesLoop
from flowmesh.event.broker.message_server import MessageServer
from flowmesh.event.broker.publishing import MessagePublisher
from flowmesh.event.broker.routing.misses import Misses
from flowmesh.event.broker.store import TopologyStore
from flowmesh.event.broker.streams import QueueStreams
from flowmesh.event.broker.topology import Topologies, TopologyChanges
from flowmesh.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Broker:
    """The components that other parts of the service use."""

    broker: BrokerServer
    messages: MessageServer
    topologies: Topologies
    readers: Readers
    settler: Settler


async def broker_parts(runtime: Runtime, store: TopologyStore) -> Broker:
    """Create the components, and add their loops to the runtime."""
    settings, bus, clock, log = runtime.settings, runtime.bus, runtime.clock, runtime.log
    metrics = BrokerMetrics(runtime.metrics)
    misses = Misses()
    streams = QueueStreams(bus=bus, prefix=settings.bus_prefix, replicas=settings.nats_replicas)
    topologies = Topologies(store=store)
    changed = f"{settings.bus_prefix}.topology.changed"
    await bus.subscribe_core(changed, topologies.on_message)
    bus.on_reconnect(topologies.on_reconnect)
    dead_letters = DeadLetters(
        topologies=topologies, streams=streams, metrics=metrics, clock=clock, log=log
    )
    settler = Settler(bus=bus, dead_letters=dead_letters, metrics=metrics, clock=clock, log=log)
    readers = Readers(bus=bus, topologies=topologies, streams=streams, settler=settler, clock=clock)
    sessions = Sessions(
        topologies=topologies, readers=readers, settler=settler, metrics=metrics, clock=clock
    )
    contents = Contents(topologies=topologies, streams=streams, metrics=metrics)
    sizes = QueueSizesLoop(store=store, streams=streams, metrics=metrics, clock=clock, log=log)
    expiry = ExpiryLoop(store=store, streams=streams, dead_letters=dead_letters, clock=clock)
    for loop in (sizes, expiry):
        runtime.add_loop(loop)
        topologies.listeners.append(loop.wake)
    broker = BrokerServer(
        changes=TopologyChanges(
            store=store,
            topologies=topologies,
            streams=streams,
            bus=bus,
            subject=changed,
            new_id=_new_id,
        ),
        topologies=topologies,
        contents=contents,
        diagnosis=Diagnosis(
            topologies=topologies,
            contents=contents,
            streams=streams,
            sessions=sessions,
            misses=misses,
        ),
    )
    messages = MessageServer(
        publisher=MessagePublisher(
            topologies=topologies,
            streams=streams,
            dead_letters=dead_letters,
            metrics=metrics,
            misses=misses,
            clock=clock,
            new_id=_new_id,
        ),
        sessions=sessions,
        receiving=Receiving(
            topologies=topologies,
            streams=streams,
            readers=readers,
            settler=settler,
            clock=clock,
            key=await store.receipt_key(),
        ),
        readers=readers,
        contents=contents,
        topologies=topologies,
        store=store,
    )
    return Broker(broker, messages, topologies, readers, settler)


def _new_id() -> str:
    return uuid.uuid4().hex
