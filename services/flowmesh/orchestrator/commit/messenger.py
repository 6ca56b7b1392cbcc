"""What executions have to tell others: sent after its commit, until it is known there.

A message leaves once it is committed, from memory; a new owner of its partition reads what is left
in the rows and tells it again. Its row goes with a later commit, once the other side has answered.
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

AT_ONCE_MAX = 200
"""Messages on their way at a time."""

PENDING_MAX = 10_000
"""Messages kept in memory; more stay in their rows until half of these are told."""

DELIVERY_TIMEOUT_S = 10.0
"""After this the other side is taken for gone, and its owner is looked for again."""

PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Before a message that could not be told is sent again; the last one repeats."""

Deliver = Callable[[pb.ExecutionMessage], Awaitable[None]]
"""Returns when what a message asks is committed, or has been before; raises to be asked again."""


class Messenger:
    """The messages of the partitions that are owned here."""

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
        # Messages to the same target in their order; the first is on its way.
        self._lines: dict[str, deque[Message]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)
        self._left: set[int] = set()

    def __len__(self) -> int:
        return len(self._pending)

    def send(self, messages: Iterable[Message]) -> None:
        """Tells what has been committed."""
        for message in messages:
            if message.id in self._pending:
                continue
            if len(self._pending) >= PENDING_MAX:
                self._left.add(message.partition)
                continue
            self._pending.add(message.id)
            line = self._lines.get(message.target)
            if line is not None:
                line.append(message)
            else:
                self._lines[message.target] = deque((message,))
                self._spawn(self._tell(message.target))

    async def load(self, partitions: Iterable[int]) -> None:
        """Tells again what an earlier owner may not have."""
        rows = await self._store.pending(list(partitions), PENDING_MAX)
        self.send(Message(row.partition, row.id, row.target, row.command) for row in rows)
        if len(rows) == PENDING_MAX:
            self._left.update(partitions)

    async def _tell(self, target: str) -> None:
        line = self._lines[target]
        try:
            while line:
                await self._told(line[0])
                self._pending.discard(line.popleft().id)
        finally:
            self._pending.difference_update(message.id for message in line)
            del self._lines[target]
        if self._left and len(self._pending) <= PENDING_MAX // 2:
            left, self._left = self._left & self._epochs.keys(), set()
            await until_answered(lambda: self.load(left))

    async def _told(self, message: Message) -> None:
        """Sends a message until it is known there, or somebody else's to send."""
        command = pb.ExecutionMessage.FromString(message.command)
        tries = 0
        while message.partition in self._epochs:
            failpoint("orchestrator.telling")
            try:
                async with self._at_once, asyncio.timeout(DELIVERY_TIMEOUT_S):
                    with trace(command.traceparent):
                        await self._deliver(command)
            except (FlowmeshError, *CONNECTION_LOST) as error:
                self._log.info("message_waits", id=message.id, problem=str(error))
            else:
                failpoint("orchestrator.told")
                self._answered(message)
                return
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1
