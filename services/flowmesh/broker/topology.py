"""The topology of namespaces in memory.

It follows the changes of this and other instances, which are announced over the bus, one by one;
after a gap it is read again. A request may name the version that its client saw.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker.routing.routes import Routes
from flowmesh.broker.store import Delta, StoredQueue, StoredTopology, TopologyStore
from flowmesh.broker.streams import queue_missing
from flowmesh.bus import Message
from flowmesh.errors import Unavailable
from flowmesh.plan.schemas import Schema

NAMESPACES_MAX: Final = 1_000
SUSPENDED_RETRY_MS: Final = 500

Listener = Callable[[Delta | None], None]
"""Called with each change, and with None when changes may have been missed."""


class Topology:
    """The compiled topology of a namespace at a version."""

    def __init__(self, stored: StoredTopology) -> None:
        self.version = stored.version
        # Not empty while the project moves to another cell.
        self.suspension = stored.suspension
        self.queues: dict[str, StoredQueue] = {}
        self.routes = Routes(stored.exchanges, stored.bindings)
        self.schemas: dict[str, Schema] = {}
        for queue in stored.queues:
            self._add_queue(queue)

    def queue(self, name: str) -> StoredQueue:
        """Return a queue. Raises NotFound."""
        found = self.queues.get(name)
        if found is None:
            raise queue_missing(name)
        return found

    def check_served(self, namespace: str) -> None:
        """Raise Unavailable while the queues are suspended."""
        if self.suspension:
            raise suspended(namespace)

    def follow(self, delta: Delta) -> bool:
        """Apply the next change. Return False if one before it was missed."""
        if delta.version <= self.version:
            return True
        if delta.version > self.version + 1:
            return False
        for binding in delta.removed_bindings:
            self.routes.remove_binding(pb.Binding.FromString(binding))
        for exchange in delta.removed_exchanges:
            self.routes.remove_exchange(exchange)
        for queue in delta.removed_queues:
            self.routes.remove_queue(queue)
            self.schemas.pop(queue, None)
            del self.queues[queue]
        for body in delta.exchanges:
            self.routes.add_exchange(pb.Exchange.FromString(body))
        for added in delta.added_queues():
            self._add_queue(added)
        for body in delta.bindings:
            self.routes.add_binding(pb.Binding.FromString(body))
        if delta.suspension is not None:
            self.suspension = delta.suspension
        self.version = delta.version
        return True

    def _add_queue(self, queue: StoredQueue) -> None:
        self.queues[queue.name] = queue
        if queue.config.schema:
            self.schemas[queue.name] = Schema(queue.config.schema)


class _Reading:
    """The reads of one namespace, which run one at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        # Changes during the read, which may not contain them.
        self.missed: list[Delta] = []


class Topologies:
    """Topologies by namespace, read when they are first used."""

    def __init__(self, *, store: TopologyStore) -> None:
        self._store = store
        self._known: dict[str, Topology] = {}
        self._reading: dict[str, _Reading] = {}
        self.listeners: list[Listener] = []

    async def of(self, namespace: str, *, version: int = 0) -> Topology:
        """Return the topology, at least at a version that exists."""
        known = self._known.get(namespace)
        if known is not None and known.version >= version:
            return known
        with self._reads(namespace) as reading:
            async with reading.lock:
                known = self._known.get(namespace)
                if known is not None and known.version >= version:
                    return known
                return await self._read(namespace, reading)

    async def current(self, namespace: str) -> Topology:
        """Return the topology with all committed changes."""
        return await self.of(namespace, version=await self._store.version(namespace))

    async def queue(self, namespace: str, name: str, *, version: int = 0) -> StoredQueue:
        """Return a queue; an unknown one is looked up again. Raises NotFound."""
        found = (await self.of(namespace, version=version)).queues.get(name)
        if found is None:
            found = (await self.current(namespace)).queue(name)
        return found

    def apply(self, delta: Delta) -> None:
        """Apply a committed change; after a gap the namespace is read again when it is used."""
        reading = self._reading.get(delta.namespace)
        if reading is not None:
            reading.missed.append(delta)
        known = self._known.get(delta.namespace)
        if known is not None and not known.follow(delta):
            del self._known[delta.namespace]
        for listener in self.listeners:
            listener(delta)

    async def on_message(self, message: Message) -> None:
        """Handle the announcement of a change."""
        self.apply(msgspec.msgpack.decode(message.data, type=Delta))

    async def on_reconnect(self) -> None:
        """Forget everything: announcements may have been missed."""
        self._known.clear()
        for listener in self.listeners:
            listener(None)

    async def _read(self, namespace: str, reading: _Reading) -> Topology:
        reading.missed.clear()
        topology = Topology(await self._store.load(namespace))
        if all(topology.follow(delta) for delta in reading.missed):
            if len(self._known) >= NAMESPACES_MAX:
                self._known.clear()
            self._known[namespace] = topology
        return topology

    @contextmanager
    def _reads(self, namespace: str) -> Iterator[_Reading]:
        reading = self._reading.setdefault(namespace, _Reading())
        reading.users += 1
        try:
            yield reading
        finally:
            reading.users -= 1
            if not reading.users:
                del self._reading[namespace]


def suspended(namespace: str) -> Unavailable:
    """Return the refusal of what takes messages from the queues of a project that moves."""
    text = f"the queues of project {namespace} move to another cell"
    return Unavailable("CELL_UNAVAILABLE", text, retry_after_ms=SUSPENDED_RETRY_MS)
