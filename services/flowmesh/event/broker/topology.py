"""The topology of namespaces in memory, and its changes.

Every change commits with a new version and is announced over the bus. A request may name the
version that its client saw; an instance that is behind reads again.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import orjson

from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.bus import Bus, Message
from flowmesh.errors import NotFound, TooLarge, WrongState
from flowmesh.event.broker import limits
from flowmesh.event.broker.declarations import declared_queue, difference, refuse
from flowmesh.event.broker.routing.routes import Routes, Target
from flowmesh.event.broker.store import StoredQueue, StoredTopology, TopologyChange, TopologyStore
from flowmesh.event.broker.streams import QueueStreams, queue_missing
from flowmesh.plan.schemas import Schema

NAMESPACES_MAX: Final = 1_000


class Topology:
    """The compiled topology of a namespace at a version."""

    def __init__(self, stored: StoredTopology) -> None:
        self.version = stored.version
        self.exchanges = stored.exchanges
        self.bindings = stored.bindings
        self.queues = {queue.name: queue for queue in stored.queues}
        self.routes = Routes(stored.exchanges, stored.bindings)
        self.schemas = {
            queue.name: Schema(queue.config.schema)
            for queue in stored.queues
            if queue.config.schema
        }

    def queue(self, name: str) -> StoredQueue:
        """Return a queue. Raises NotFound."""
        found = self.queues.get(name)
        if found is None:
            raise queue_missing(name)
        return found


class Topologies:
    """Topologies by namespace, read when they are first used."""

    def __init__(self, *, store: TopologyStore) -> None:
        self._store = store
        self._known: dict[str, Topology] = {}
        self._reading: dict[str, asyncio.Lock] = {}
        # Called when a topology may have changed.
        self.listeners: list[Callable[[], None]] = []

    async def of(self, namespace: str, *, version: int = 0) -> Topology:
        """Return the topology, at least at a version that exists."""
        known = self._known.get(namespace)
        if known is not None and known.version >= version:
            return known
        async with self._reading.setdefault(namespace, asyncio.Lock()):
            known = self._known.get(namespace)
            if known is not None and known.version >= version:
                return known
            return await self.read(namespace)

    async def read(self, namespace: str) -> Topology:
        """Read the topology again."""
        topology = Topology(await self._store.load(namespace))
        if len(self._known) >= NAMESPACES_MAX:
            self._known.clear()
            self._reading.clear()
        known = self._known.get(namespace)
        if known is None or known.version <= topology.version:
            self._known[namespace] = topology
        return topology

    async def queue(self, namespace: str, name: str, *, version: int = 0) -> StoredQueue:
        """Return a queue; an unknown one is looked up again. Raises NotFound."""
        found = (await self.of(namespace, version=version)).queues.get(name)
        if found is None:
            found = (await self.read(namespace)).queue(name)
        return found

    def forget(self, namespace: str, version: int) -> None:
        """Drop the copy of a namespace that is older than a version."""
        known = self._known.get(namespace)
        if known is not None and known.version < version:
            del self._known[namespace]
        for listener in self.listeners:
            listener()

    async def on_message(self, message: Message) -> None:
        """Handle the announcement of a change."""
        namespace, version = orjson.loads(message.data)
        self.forget(namespace, version)

    async def on_reconnect(self) -> None:
        """Forget everything: announcements may have been missed."""
        self._known.clear()
        for listener in self.listeners:
            listener()


class TopologyChanges:
    """Declarations and deletions."""

    def __init__(
        self,
        *,
        store: TopologyStore,
        topologies: Topologies,
        streams: QueueStreams,
        bus: Bus,
        subject: str,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._topologies = topologies
        self._streams = streams
        self._bus = bus
        self._subject = subject
        self._new_id = new_id

    async def declare_exchange(self, namespace: str, exchange: pb.Exchange) -> tuple[bool, int]:
        """Return whether the exchange was created, and the version of the topology."""
        topology = await self._topologies.of(namespace)
        if _same_exchange(topology.exchanges, exchange):
            return False, topology.version
        async with self._store.change(namespace) as change:
            created = not _same_exchange(change.before.exchanges, exchange)
            if created:
                _check_room("exchanges", len(change.before.exchanges), limits.EXCHANGES_MAX)
                _check_alternate(change, exchange)
                await change.add_exchange(exchange)
        await self._announce(namespace, change.version)
        return created, change.version

    async def delete_exchange(self, namespace: str, exchange: str) -> int:
        async with self._store.change(namespace) as change:
            if not await change.remove_exchange(exchange):
                raise exchange_missing(exchange)
        await self._announce(namespace, change.version)
        return change.version

    async def declare_queue(self, namespace: str, queue: pb.Queue) -> tuple[bool, int]:
        """Return whether the queue was created, and the version of the topology."""
        topology = await self._topologies.of(namespace)
        known = topology.queues.get(queue.queue)
        if known is not None:
            _check_same(known, queue)
            await self._streams.ensure(known)
            return False, topology.version
        made: list[StoredQueue] = []
        async with self._store.change(namespace) as change:
            queues = {each.name: each for each in change.before.queues}
            if (stored := queues.get(queue.queue)) is not None:
                _check_same(stored, queue)
            else:
                made.append(StoredQueue(namespace, self._new_id(), queue))
            dead = queue.dead_letter_queue
            if made and dead and dead != queue.queue and dead not in queues:
                made.append(StoredQueue(namespace, self._new_id(), _dead_letter_queue(queue)))
            _check_room("queues", len(queues) + len(made) - 1, limits.QUEUES_MAX)
            for each in made:
                await change.add_queue(each)
        for each in made:
            await self._streams.ensure(each)
        await self._announce(namespace, change.version)
        return bool(made), change.version

    async def delete_queue(self, namespace: str, name: str, *, if_empty: bool) -> int:
        queue = await self._topologies.queue(namespace, name)
        if if_empty:
            held = (await self._streams.info(queue))["state"]["messages"]
            if held:
                text = f"queue {name!r} holds {held:,} messages"
                raise WrongState("QUEUE_NOT_EMPTY", text)
        async with self._store.change(namespace) as change:
            if not await change.remove_queue(name):
                raise queue_missing(name)
        await self._announce(namespace, change.version)
        await self._streams.delete(self._streams.stream(queue))
        return change.version

    async def delete_left(self, queue: StoredQueue) -> None:
        """Delete a queue without consumers, unless one has come."""
        namespace = queue.namespace
        async with self._store.change(namespace) as change:
            known = {each.id for each in change.before.queues}
            if queue.id not in known or await change.has_consumer(queue.id):
                return
            await change.remove_queue(queue.name)
        await self._announce(namespace, change.version)
        await self._streams.delete(self._streams.stream(queue))

    async def bind(self, namespace: str, binding: pb.Binding) -> tuple[bool, int]:
        """Return whether the binding was created, and the version of the topology."""
        async with self._store.change(namespace) as change:
            _check_ends(change, binding)
            created = await change.add_binding(binding)
            if created:
                _check_room("bindings", len(change.before.bindings), limits.BINDINGS_MAX)
        await self._announce(namespace, change.version)
        return created, change.version

    async def unbind(self, namespace: str, binding: pb.Binding) -> tuple[bool, int]:
        """Return whether the binding existed, and the version of the topology."""
        async with self._store.change(namespace) as change:
            removed = await change.remove_binding(binding)
        await self._announce(namespace, change.version)
        return removed, change.version

    async def _announce(self, namespace: str, version: int) -> None:
        self._topologies.forget(namespace, version)
        await self._bus.publish_core(self._subject, orjson.dumps([namespace, version]))


def exchange_missing(name: str) -> NotFound:
    return NotFound("EXCHANGE_NOT_FOUND", f"no exchange {name!r}; declare it first")


def _dead_letter_queue(queue: pb.Queue) -> pb.Queue:
    """Return the queue that is created for the dead letters of another."""
    return declared_queue(pb.Queue(queue=queue.dead_letter_queue, encrypt=queue.encrypt))


def _check_same(stored: StoredQueue, given: pb.Queue) -> None:
    if differs := difference(stored.config, given):
        raise WrongState("QUEUE_DIFFERS", f"queue {given.queue!r} exists, but its {differs}")


def _same_exchange(exchanges: Iterable[pb.Exchange], given: pb.Exchange) -> bool:
    """Return whether the exchange exists. Raises WrongState if it differs."""
    for stored in exchanges:
        if stored.exchange == given.exchange:
            if differs := difference(stored, given):
                text = f"exchange {given.exchange!r} exists, but its {differs}"
                raise WrongState("EXCHANGE_DIFFERS", text)
            return True
    return False


def _check_alternate(change: TopologyChange, exchange: pb.Exchange) -> None:
    known = {each.exchange for each in change.before.exchanges}
    if exchange.alternate and exchange.alternate not in known:
        raise exchange_missing(exchange.alternate)


def _check_ends(change: TopologyChange, binding: pb.Binding) -> None:
    """Raise NotFound or Invalid for a binding between things that do not exist or do not fit."""
    exchanges = {each.exchange: each for each in change.before.exchanges}
    source = exchanges.get(binding.source)
    if source is None:
        raise exchange_missing(binding.source)
    target = Target.of(binding)
    if target.is_exchange and target.name not in exchanges:
        raise exchange_missing(target.name)
    if not target.is_exchange and all(each.name != target.name for each in change.before.queues):
        raise queue_missing(target.name)
    if source.type != pb.EXCHANGE_TYPE_HEADERS and (binding.arguments or binding.match):
        refuse("arguments", "only bindings of headers exchanges have arguments")


def _check_room(what: str, held: int, most: int) -> None:
    if held >= most:
        raise TooLarge("TOPOLOGY_TOO_LARGE", f"a namespace has at most {most:,} {what}")
