"""The queues for other services of this process, without a call over gRPC."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flowmesh.api.broker.v1 import message_pb2, message_service_pb2, topology_pb2
from flowmesh.broker.consuming.deliveries import Delivery, Settler
from flowmesh.broker.consuming.groups import Readers
from flowmesh.broker.consuming.reader import QueueReader
from flowmesh.broker.contents import Contents
from flowmesh.broker.publishing import MessagePublisher
from flowmesh.broker.store import Delta, StoredQueue
from flowmesh.broker.topology import Topologies


@dataclass(frozen=True, slots=True)
class LocalDelivery:
    """A message in flight, which is redelivered unless it is settled."""

    delivery: Delivery
    settler: Settler

    @property
    def message(self) -> message_pb2.Message:
        return self.delivery.message

    async def ack(self) -> None:
        await self.settler.ack(self.delivery)

    async def reject(self, error: str) -> None:
        """Make the message a dead letter."""
        await self.settler.reject(self.delivery, error=error)


@dataclass(frozen=True, slots=True)
class LocalConsumer:
    """An open consumer of a queue, or of a group of a stream."""

    queue: StoredQueue
    group: str
    reader: QueueReader
    readers: Readers
    settler: Settler

    @property
    def visibility_timeout_ms(self) -> int:
        return self.queue.config.visibility_timeout_ms

    async def next(self, count: int, wait_s: float) -> list[LocalDelivery]:
        """Return up to `count` deliveries, or none after `wait_s`. Raises FlowmeshError."""
        found = await self.readers.next_restored(self.reader, self.queue, self.group, count, wait_s)
        return [LocalDelivery(each, self.settler) for each in found]


class LocalQueues:
    """The queues and streams of all namespaces."""

    def __init__(
        self,
        *,
        topologies: Topologies,
        readers: Readers,
        settler: Settler,
        publisher: MessagePublisher,
        contents: Contents,
    ) -> None:
        self._topologies = topologies
        self._readers = readers
        self._settler = settler
        self._publisher = publisher
        self._contents = contents

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back when queues may have been declared or deleted."""

        def listener(delta: Delta | None) -> None:
            if delta is None or delta.queues:
                callback()

        self._topologies.listeners.append(listener)

    @asynccontextmanager
    async def consume(
        self, namespace: str, queue: str, *, group: str
    ) -> AsyncIterator[LocalConsumer]:
        """Open a consumer; the group is that of a stream. Raises FlowmeshError."""
        found = await self._topologies.queue(namespace, queue)
        group = group if found.is_stream else ""
        async with self._readers.open(found, group) as reader:
            yield LocalConsumer(found, group, reader, self._readers, self._settler)

    async def publish(
        self, namespace: str, request: message_service_pb2.PublishRequest
    ) -> Sequence[message_service_pb2.PublishOutcome]:
        """Store messages. Raises FlowmeshError."""
        return await self._publisher.publish(namespace, request)

    async def state(self, namespace: str, queue: str) -> topology_pb2.QueueState:
        """Return the counts of a queue. Raises FlowmeshError."""
        found = await self._topologies.queue(namespace, queue)
        return await self._contents.state_with_dead_letters(found)
