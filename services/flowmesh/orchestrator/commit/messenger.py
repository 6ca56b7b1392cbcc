"""Messages between executions: sent after their commit until the receiver confirms them.

Messages are sent from memory. A new owner of a partition sends the ones left in the rows again. A
later commit deletes the row of a confirmed message. Those to other projects wait for long, so they
have bounds of their own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.storage.batch import Message
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, until_answered
from flowmesh.orchestrator.storage.stores.message_store import PendingMessage
from flowmesh.telemetry import trace

IN_FLIGHT_MAX = 200
"""Limit of messages in flight; those to other projects are bounded by their routes."""

PENDING_MAX = 10_000
"""Limit of messages in memory; others stay in their rows until half of these are delivered."""

OUTWARD_MAX = 1_000
"""The same limit for the messages of one namespace to other projects."""

DELIVERY_TIMEOUT_S = 10.0
"""Timeout of a delivery; the retry looks up the owner again."""

PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Delays before the retries of a delivery; the last one repeats."""

Deliver = Callable[[pb.ExecutionMessage], Awaitable[None]]
"""Returns when the effect of a message is committed; an error makes the messenger retry."""

Load = Callable[[list[int]], Awaitable[list[PendingMessage]]]
"""Returns the first stored messages of partitions."""


def of_all(_message: Message) -> str:
    """Return the share of a message if all messages have one limit."""
    return ""


def of_sender(message: Message) -> str:
    """Return the namespace of the sender."""
    return pb.ExecutionMessage.FromString(message.command).namespace


class Messenger:
    """Messages of owned partitions.

    `share_of` names those that have one limit, `share_max`, beside the limit of all.
    """

    def __init__(
        self,
        *,
        load: Load,
        epochs: Mapping[int, int],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        deliver: Deliver,
        answered: Callable[[Message], None],
        log: Any,
        share_of: Callable[[Message], str] = of_all,
        share_max: int = PENDING_MAX,
        in_flight_max: int = IN_FLIGHT_MAX,
        timeout_s: float | None = DELIVERY_TIMEOUT_S,
    ) -> None:
        self._load = load
        self._epochs = epochs
        self._spawn = spawn
        self._answered = answered
        self._log = log
        self._deliver = deliver
        self._share_of = share_of
        self._share_max = share_max
        self._timeout_s = timeout_s
        # The share of each message in memory.
        self._pending: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        # Messages by target, in order; the first is in flight.
        self._queues: dict[str, deque[Message]] = {}
        self._in_flight = asyncio.Semaphore(in_flight_max)
        # Partitions with messages in rows only, by share.
        self._left: defaultdict[str, set[int]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._pending)

    def send(self, messages: Iterable[Message]) -> None:
        """Send committed messages."""
        for message in messages:
            if message.id in self._pending:
                continue
            share = self._share_of(message)
            if len(self._pending) >= PENDING_MAX or self._counts[share] >= self._share_max:
                self._left[share].add(message.partition)
                continue
            self._pending[message.id] = share
            self._counts[share] += 1
            queue = self._queues.get(message.target)
            if queue is not None:
                queue.append(message)
            else:
                self._queues[message.target] = deque((message,))
                self._spawn(self._deliver_all(message.target))

    async def load(self, partitions: Iterable[int]) -> None:
        """Send stored messages again that an earlier owner may not have delivered."""
        wanted = list(partitions)
        rows = await self._load(wanted)
        stored = [Message(row.partition, row.id, row.target, row.command) for row in rows]
        self.send(stored)
        for share, count in Counter(map(self._share_of, stored)).items():
            if len(rows) == PENDING_MAX or count == self._share_max:
                self._left[share].update(wanted)

    async def _deliver_all(self, target: str) -> None:
        queue = self._queues[target]
        try:
            while queue:
                await self._deliver_one(queue[0])
                self._forget(queue.popleft())
        finally:
            for message in queue:
                self._forget(message)
            del self._queues[target]
        for share in [each for each in self._left if self._has_room(each)]:
            left = self._left.pop(share) & self._epochs.keys()
            await until_answered(partial(self.load, left))

    def _has_room(self, share: str) -> bool:
        """Return whether messages of a share may leave their rows."""
        total, count = len(self._pending), self._counts[share]
        if not count:
            return total < PENDING_MAX
        return total <= PENDING_MAX // 2 and count <= self._share_max // 2

    def _forget(self, message: Message) -> None:
        share = self._pending.pop(message.id)
        self._counts[share] -= 1
        if not self._counts[share]:
            del self._counts[share]

    async def _deliver_one(self, message: Message) -> None:
        """Send a message until it is confirmed or its partition has another owner."""
        command = pb.ExecutionMessage.FromString(message.command)
        tries = 0
        while message.partition in self._epochs:
            failpoint("orchestrator.delivering")
            try:
                async with self._in_flight, asyncio.timeout(self._timeout_s):
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


class Messengers:
    """The messages to executions of their own project, and those to other projects."""

    def __init__(self, *, inside: Messenger, outward: Messenger) -> None:
        self._inside = inside
        self._outward = outward

    def __len__(self) -> int:
        return len(self._inside) + len(self._outward)

    def send(self, messages: Iterable[Message]) -> None:
        """Send committed messages."""
        for message in messages:
            (self._outward if message.is_outward else self._inside).send((message,))

    async def load(self, partitions: Iterable[int]) -> None:
        """Send stored messages again that an earlier owner may not have delivered."""
        wanted = list(partitions)
        await self._inside.load(wanted)
        await self._outward.load(wanted)
