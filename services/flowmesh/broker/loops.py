"""Background tasks of the broker: sizes of queues, orphaned streams, expired messages."""

from structlog.typing import FilteringBoundLogger

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker.counters import BrokerMetrics
from flowmesh.broker.dead_letters import DeadLetters
from flowmesh.broker.store import Delta, StoredQueue, TopologyStore
from flowmesh.broker.storing.jetstream import StreamMissing
from flowmesh.broker.streams import QueueStreams, StoredMessage, is_expired, micros
from flowmesh.broker.topology import Topologies
from flowmesh.errors import Overloaded
from flowmesh.runtime import Clock, Loop

# A younger stream may belong to a queue whose declaration is not committed yet.
ORPHAN_AGE_US = 60 * 1_000_000
EXPIRED_MAX = 100
# Pause without queues; a change of a topology ends it.
IDLE_MS = 3_600_000


class QueueSizesLoop(Loop):
    """Exports the sizes of queues, and deletes the streams of deleted ones."""

    interval_ms = 5_000

    def __init__(
        self,
        *,
        store: TopologyStore,
        streams: QueueStreams,
        metrics: BrokerMetrics,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._streams = streams
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._queues = 0
        self._changed = False

    def pause_ms(self) -> float:
        return self.interval_ms if self._queues or self._changed else IDLE_MS

    def on_change(self, delta: Delta | None) -> None:
        """Begin with the first queue; later ones are exported within an interval."""
        self._changed = True
        if not self._queues:
            self.wake()

    async def run_once(self) -> int:
        """Return the number of queues."""
        self._changed = False
        sizes: dict[tuple[str, str], int] = {}
        streams = {each["config"]["name"]: each async for each in self._streams.all_streams()}
        queues = await self._store.queues()
        for queue in queues:
            info = streams.pop(self._streams.stream(queue), None)
            labels = self._metrics.labels(queue)
            held = info["state"]["messages"] if info is not None else 0
            sizes[labels] = sizes.get(labels, 0) + held
        self._metrics.forget({queue.id for queue in queues})
        self._metrics.sizes.clear()
        for labels, size in sizes.items():
            self._metrics.sizes.labels(*labels).set(size)
        for name, info in streams.items():
            if micros(info["created"]) < self._clock.now_us() - ORPHAN_AGE_US:
                self._log.info("orphaned_stream_deleted", stream=name)
                await self._streams.delete(name)
        self._queues = len(queues)
        return self._queues


class ExpiryLoop(Loop):
    """Moves expired messages at the head of queues to their dead letter queues."""

    interval_ms = 1_000

    def __init__(
        self,
        *,
        store: TopologyStore,
        topologies: Topologies,
        streams: QueueStreams,
        dead_letters: DeadLetters,
        clock: Clock,
    ) -> None:
        self._store = store
        self._topologies = topologies
        self._streams = streams
        self._dead_letters = dead_letters
        self._clock = clock
        self._queues = 0

    def pause_ms(self) -> float:
        return self.interval_ms if self._queues else IDLE_MS

    def on_change(self, delta: Delta | None) -> None:
        """Begin with the first queue that keeps its expired messages."""
        if delta is None or any(_keeps_expired(queue) for queue in delta.added_queues()):
            self.wake()

    async def run_once(self) -> int:
        """Return the number of expired messages."""
        queues = [queue for queue in await self._store.queues() if _keeps_expired(queue)]
        self._queues = len(queues)
        return sum([await self._expire(queue) for queue in queues])

    async def _expire(self, queue: StoredQueue) -> int:
        """Expire messages in their order, up to the first that is alive or in flight."""
        if (await self._topologies.of(queue.namespace)).suspension:
            return 0
        try:
            consumers = await self._streams.consumer_states(queue)
            # Messages in flight are checked when they are delivered again.
            reached = {each["name"]: each["delivered"]["stream_seq"] for each in consumers}
            found = await self._streams.page(queue, 1, EXPIRED_MAX)
        except StreamMissing:
            return 0
        expired = 0
        for stored in found:
            priority = min(stored.message.priority, queue.config.max_priority)
            if stored.sequence <= reached.get(f"p{priority}", 0):
                continue
            if not is_expired(queue, stored.message, stored.at_us, self._clock.now_us()):
                continue
            if not await self._bury(queue, stored):
                break
            expired += 1
        return expired

    async def _bury(self, queue: StoredQueue, stored: StoredMessage) -> bool:
        """Return False if the dead letter queue is full."""
        position = f"e:{stored.sequence}:{stored.at_us}"
        reason = message_pb2.DEATH_REASON_EXPIRED
        try:
            await self._dead_letters.bury(queue, stored.message, reason, position=position)
        except Overloaded:
            return False
        await self._streams.remove(queue, stored.sequence)
        return True


def _keeps_expired(queue: StoredQueue) -> bool:
    return queue.config.on_expiry == pb.ON_EXPIRY_DEAD_LETTER
