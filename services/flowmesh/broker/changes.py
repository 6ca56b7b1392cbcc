"""Declarations and deletions.

A change commits with a new version, and is announced to all instances as the rows that it added
and removed. It reads single rows, so that it costs the same in a large namespace.
"""

from collections.abc import Callable

import msgspec

from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker import limits
from flowmesh.broker.declarations import declared_queue, difference, refuse
from flowmesh.broker.routing.routes import Target
from flowmesh.broker.store import StoredQueue, TopologyChange, TopologyStore
from flowmesh.broker.streams import QueueStreams, exchange_missing, queue_missing
from flowmesh.broker.topology import Topologies
from flowmesh.bus import Bus
from flowmesh.contract.nouns import counted
from flowmesh.errors import TooLarge, WrongState


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
        if _same_exchange(topology.routes.exchange(exchange.exchange), exchange):
            return False, topology.version
        async with self._store.change(namespace) as change:
            created = not _same_exchange(await change.exchange(exchange.exchange), exchange)
            if created:
                _check_room("exchanges", change.exchanges, limits.EXCHANGES_MAX)
                if exchange.alternate and await change.exchange(exchange.alternate) is None:
                    raise exchange_missing(exchange.alternate)
                await change.add_exchange(exchange)
        await self._announce(change)
        return created, change.version

    async def delete_exchange(self, namespace: str, exchange: str) -> int:
        async with self._store.change(namespace) as change:
            if not await change.remove_exchange(exchange):
                raise exchange_missing(exchange)
        await self._announce(change)
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
            if (stored := await change.queue(queue.queue)) is not None:
                _check_same(stored, queue)
            else:
                made.append(StoredQueue(namespace, self._new_id(), queue))
                dead = queue.dead_letter_queue
                if dead and dead != queue.queue and await change.queue(dead) is None:
                    made.append(StoredQueue(namespace, self._new_id(), _dead_letter_queue(queue)))
                _check_room("queues", change.queues + len(made) - 1, limits.QUEUES_MAX)
            for each in made:
                await change.add_queue(each)
        await self._announce(change)
        for each in made:
            await self._streams.ensure(each)
        return bool(made), change.version

    async def delete_queue(self, namespace: str, name: str, *, if_empty: bool) -> int:
        queue = await self._topologies.queue(namespace, name)
        if if_empty:
            held = (await self._streams.info(queue))["state"]["messages"]
            if held:
                text = f"queue {name!r} holds {counted(held, 'message')}"
                raise WrongState("QUEUE_NOT_EMPTY", text)
        async with self._store.change(namespace) as change:
            if not await change.remove_queue(name):
                raise queue_missing(name)
        await self._announce(change)
        await self._streams.delete(self._streams.stream(queue))
        return change.version

    async def delete_left(self, queue: StoredQueue) -> None:
        """Delete a queue without consumers, unless one has come."""
        async with self._store.change(queue.namespace) as change:
            known = await change.queue(queue.name)
            if known is None or known.id != queue.id or await change.has_consumer(queue.id):
                return
            await change.remove_queue(queue.name)
        await self._announce(change)
        await self._streams.delete(self._streams.stream(queue))

    async def bind(self, namespace: str, binding: pb.Binding) -> tuple[bool, int]:
        """Return whether the binding was created, and the version of the topology."""
        async with self._store.change(namespace) as change:
            await _check_ends(change, binding)
            created = await change.add_binding(binding)
            if created:
                _check_room("bindings", change.bindings, limits.BINDINGS_MAX)
        await self._announce(change)
        return created, change.version

    async def unbind(self, namespace: str, binding: pb.Binding) -> tuple[bool, int]:
        """Return whether the binding existed, and the version of the topology."""
        async with self._store.change(namespace) as change:
            removed = await change.remove_binding(binding)
        await self._announce(change)
        return removed, change.version

    async def suspend(self, namespace: str, *, suspended: bool) -> bool:
        """Suspend queues or resume them; return False if nothing changes."""
        async with self._store.change(namespace) as change:
            changes = bool(change.suspension) != suspended
            if changes:
                await change.suspend(self._new_id() if suspended else "")
        await self._announce(change)
        return changes

    async def _announce(self, change: TopologyChange) -> None:
        """Apply a committed change here, then in the other instances."""
        if not change.delta.is_empty:
            self._topologies.apply(change.delta)
            await self._bus.publish_core(self._subject, msgspec.msgpack.encode(change.delta))


def _dead_letter_queue(queue: pb.Queue) -> pb.Queue:
    """Return the queue that is created for the dead letters of another."""
    return declared_queue(pb.Queue(queue=queue.dead_letter_queue, encrypt=queue.encrypt))


def _check_same(stored: StoredQueue, given: pb.Queue) -> None:
    if differs := difference(stored.config, given):
        raise WrongState("QUEUE_DIFFERS", f"queue {given.queue!r} exists, but its {differs}")


def _same_exchange(stored: pb.Exchange | None, given: pb.Exchange) -> bool:
    """Return whether the exchange exists. Raises WrongState if it differs."""
    if stored is not None and (differs := difference(stored, given)):
        text = f"exchange {given.exchange!r} exists, but its {differs}"
        raise WrongState("EXCHANGE_DIFFERS", text)
    return stored is not None


async def _check_ends(change: TopologyChange, binding: pb.Binding) -> None:
    """Raise NotFound or Invalid for a binding between things that do not exist or do not fit."""
    source = await change.exchange(binding.source)
    if source is None:
        raise exchange_missing(binding.source)
    target = Target.of(binding)
    if target.is_exchange:
        if await change.exchange(target.name) is None:
            raise exchange_missing(target.name)
    elif await change.queue(target.name) is None:
        raise queue_missing(target.name)
    if source.type != pb.EXCHANGE_TYPE_HEADERS and (binding.arguments or binding.match):
        refuse("arguments", "only bindings of headers exchanges have arguments")


def _check_room(what: str, held: int, most: int) -> None:
    if held >= most:
        raise TooLarge("TOPOLOGY_TOO_LARGE", f"a namespace has at most {most:,} {what}")
