"""The port to the broker. The suite composes both in one process."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from flowmesh.api.broker.v1 import message_pb2, message_service_pb2, topology_pb2


class Delivery(Protocol):
    """A message in flight, which is redelivered unless it is settled."""

    @property
    def message(self) -> message_pb2.Message: ...

    async def ack(self) -> None: ...

    async def reject(self, error: str) -> None:
        """Make the message a dead letter."""


class Consumer(Protocol):
    """An open consumer of a queue."""

    @property
    def visibility_timeout_ms(self) -> int: ...

    async def next(self, count: int, wait_s: float) -> Sequence[Delivery]:
        """Return up to `count` deliveries, or none after `wait_s`. Raises FlowmeshError."""


class Queues(Protocol):
    """The queues and streams of all namespaces."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back when queues may have been declared or deleted."""

    def consume(
        self, namespace: str, queue: str, *, group: str
    ) -> AbstractAsyncContextManager[Consumer]:
        """Open a consumer; the group is that of a stream. Raises FlowmeshError."""

    async def publish(
        self, namespace: str, request: message_service_pb2.PublishRequest
    ) -> Sequence[message_service_pb2.PublishOutcome]:
        """Store messages. Raises FlowmeshError."""

    async def state(self, namespace: str, queue: str) -> topology_pb2.QueueState:
        """Return the counts of a queue. Raises FlowmeshError."""
