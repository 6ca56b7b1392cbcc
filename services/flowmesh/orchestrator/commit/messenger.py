"""Messages between executions: sent after their commit until the receiver confirms them.

Messages are sent from memory. A new owner of a partition sends the ones left in the rows again. A
later commit deletes the row of a confirmed message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.storage.batch import Message
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, until_answered
from flowmesh.orchestrator.storage.stores.message_store import MessageStore
from flowmesh.telemetry import trace

IN_FLIGHT_MAX = 200
"""Limit of messages in flight."""

PENDING_MAX = 10_000
"""Limit of messages in memory; others stay in their rows until half of these are delivered."""

DELIVERY_TIMEOUT_S = 10.0
"""Timeout of a delivery; the retry looks up the owner again."""

PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Delays before the retries of a delivery; the last one repeats."""

Deliver = Callable[[pb.ExecutionMessage], Awaitable[None]]
"""Returns when the effect of a message is committed; an error makes the messenger retry."""


class Messenger:
    """Messages of owned partitions."""

    def __init__(
        self,
        *,
        store: MessageStore,
        epochs: Mapping[int, int],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        deliver: Deliver,
        answered: Callable[[Message], None],
        log: Any,
    ) -> None:
        self._store = store
        self._epochs = epochs
        self._spawn = spawn
        self._answered = answered
        self._log = log
        self._deliver = deliver
        self._pending: set[str] = set()
        # Messages by target, in order; the first is in flight.
        self._queues: dict[str, deque[Message]] = {}
        self._in_flight = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._left: set[int] = set()

    def __len__(self) -> int:
        return len(self._pending)

    def send(self, messages: Iterable[Message]) -> None:
        """Send committed messages."""
        for message in messages:
            if message.id in self._pending:
                continue
            if len(self._pending) >= PENDING_MAX:
                self._left.add(message.partition)
                continue
            self._pending.add(message.id)
            queue = self._queues.get(message.target)
            if queue is not None:
                queue.append(message)
            else:
                self._queues[message.target] = deque((message,))
                self._spawn(self._deliver_all(message.target))

    async def load(self, partitions: Iterable[int]) -> None:
        """Send stored messages again that an earlier owner may not have delivered."""
        rows = await self._store.pending(list(partitions), PENDING_MAX)
        self.send(Message(row.partition, row.id, row.target, row.command) for row in rows)
        if len(rows) == PENDING_MAX:
            self._left.update(partitions)

    async def _deliver_all(self, target: str) -> None:
        queue = self._queues[target]
        try:
            while queue:
                await self._deliver_one(queue[0])
                self._pending.discard(queue.popleft().id)
        finally:
            self._pending.difference_update(message.id for message in queue)
            del self._queues[target]
        if self._left and len(self._pending) <= PENDING_MAX // 2:
            left, self._left = self._left & self._epochs.keys(), set()
            await until_answered(lambda: self.load(left))

    async def _deliver_one(self, message: Message) -> None:
        """Send a message until it is confirmed or its partition has another owner."""
        command = pb.ExecutionMessage.FromString(message.command)
        tries = 0
        while message.partition in self._epochs:
            failpoint("orchestrator.delivering")
            try:
                async with self._in_flight, asyncio.timeout(DELIVERY_TIMEOUT_S):
                    with trace(command.traceparent):
                        await self._deliver(command)
            except (FlowmeshError, *CONNECTION_LOST) as error:
                self._log.info("message_waits", id=message.id, problem=str(error))
            else:
                failpoint("orchestrator.delivered")
                self._answered(message)
                return
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1
