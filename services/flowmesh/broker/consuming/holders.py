"""Consumers of queues that limit them: exclusive, single_active and auto_delete ones.

An open consumer has a row with a lease, so that its queue is known to be in use on every instance,
also after a crash. The first of the open consumers of a queue, or of a group of a stream, reads.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from flowmesh.broker.store import StoredQueue, TopologyStore
from flowmesh.errors import FlowmeshError, Unavailable, WrongState

LEASE_MS: Final = 10_000
RENEW_S: Final = 3.0
# A waiting consumer takes over within this time after the first one has left.
WAITING_RENEW_S: Final = 0.5


class Hold:
    """The place of a consumer: it may read while it is the first."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.lost: FlowmeshError | None = None

    async def turn(self, wait_s: float) -> bool:
        """Wait until this consumer is the first; return False after `wait_s`.

        Raises Unavailable if its lease expired.
        """
        if not self.first.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.first.wait()
        if self.lost is not None:
            raise self.lost
        return self.first.is_set()


class Holders:
    """Opens consumers, and keeps their leases."""

    def __init__(self, *, store: TopologyStore) -> None:
        self._store = store

    @asynccontextmanager
    async def hold(self, queue: StoredQueue, group: str, consumer: str) -> AsyncIterator[Hold]:
        """Hold a place as a consumer. Raises WrongState if the queue is exclusive and in use."""
        hold = Hold()
        if not (queue.is_temporary or queue.orders_consumers):
            hold.first.set()
            yield hold
            return
        connection = await self._store.open_consumer(queue.id, group, consumer, LEASE_MS)
        keeper: asyncio.Task[None] | None = None
        try:
            await self._renew(hold, queue, group, consumer)
            if queue.config.exclusive and not hold.first.is_set():
                raise in_use(queue)
            keeper = asyncio.create_task(self._keep(hold, queue, group, consumer))
            yield hold
        finally:
            if keeper is not None:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)
            await self._store.close_consumer(queue.id, group, consumer, connection)

    async def check_free(self, queue: StoredQueue, group: str) -> None:
        """Raise WrongState if an open consumer has to get the messages."""
        if queue.orders_consumers and await self._store.has_consumer(queue.id, group):
            raise in_use(queue)

    async def _keep(self, hold: Hold, queue: StoredQueue, group: str, consumer: str) -> None:
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while hold.lost is None:
            await asyncio.sleep(RENEW_S if hold.first.is_set() else WAITING_RENEW_S)
            try:
                await self._renew(hold, queue, group, consumer)
                renewed = clock()
            except Exception:  # noqa: BLE001 the database may be back before the lease expires
                if clock() - renewed > LEASE_MS / 1_000:
                    self._lose(hold)

    async def _renew(self, hold: Hold, queue: StoredQueue, group: str, consumer: str) -> None:
        first = await self._store.renew_consumer(queue.id, group, consumer, LEASE_MS)
        if first is None:
            self._lose(hold)
        elif first or not queue.orders_consumers:
            hold.first.set()

    def _lose(self, hold: Hold) -> None:
        text = "the lease of the consumer expired; connect again"
        hold.lost = Unavailable("SERVICE_UNAVAILABLE", text, retry_after_ms=100)
        hold.first.set()


def in_use(queue: StoredQueue) -> WrongState:
    kind = "is exclusive" if queue.config.exclusive else "has a single active consumer"
    return WrongState("QUEUE_IN_USE", f"queue {queue.name!r} {kind}, and another one reads it")
