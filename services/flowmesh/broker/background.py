"""Background tasks of the broker: due messages, stored bodies, queues without consumers."""

import asyncio
import itertools
from typing import TYPE_CHECKING, Final

from structlog.typing import FilteringBoundLogger

from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2 import RenewPayloadsRequest
from flowmesh.broker.changes import TopologyChanges
from flowmesh.broker.publishing import MessagePublisher
from flowmesh.broker.store import BodyReference, Delta, StoredQueue, TopologyStore
from flowmesh.broker.storing.delays import Delayed, Delays
from flowmesh.broker.storing.jetstream import StreamMissing
from flowmesh.broker.streams import QueueStreams, micros
from flowmesh.broker.topology import Topologies
from flowmesh.bus import Message
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable
from flowmesh.runtime import Clock, Loop

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import PayloadServiceAsyncStub

IDLE_MS: Final = 3_600_000
DUE_MAX: Final = 100
# A due message that meets them is tried again in a later round.
TRANSIENT: Final = (Unavailable, Overloaded, Timeout)
RETRIED: Final = ("QUEUE_FULL", "SERVICE_UNAVAILABLE")
RENEWED_MAX: Final = 1_000
# A reference is noted before its message is stored.
SLACK_US: Final = 3_600 * 1_000_000
# Time in which a consumer may come back before its queue is deleted.
UNUSED_MS: Final = 2_000
LEFT_KEPT_MS: Final = 3_600_000


class DelayLoop(Loop):
    """Publishes due messages; idle while none is delayed."""

    interval_ms = 500

    def __init__(
        self,
        *,
        delays: Delays,
        topologies: Topologies,
        publisher: MessagePublisher,
        log: FilteringBoundLogger,
    ) -> None:
        self._delays = delays
        self._topologies = topologies
        self._publisher = publisher
        self._log = log
        self._held = 0
        # Behind the messages of the last page, some of which may wait; 1 after an empty one.
        self._next = 1

    def pause_ms(self) -> float:
        return self.interval_ms if self._held else IDLE_MS

    async def on_announced(self, message: Message) -> None:
        """Handle the announcement of a delayed message."""
        self.wake()

    async def on_reconnect(self) -> None:
        """Look again: announcements may have been missed."""
        self.wake()

    async def run_once(self) -> int:
        """Return the number of published messages."""
        self._held = await self._delays.held()
        published = 0
        if self._held:
            due = await self._delays.due_messages(self._next, DUE_MAX)
            done = await asyncio.gather(*(self._publish(each) for each in due))
            published = sum(done)
            self._next = due[-1].sequence + 1 if due else 1
            if due:
                self.wake()
        return published

    async def _publish(self, due: Delayed) -> bool:
        """Return False if the message has to wait: a queue is full, suspended or away."""
        request = due.request
        message = request.messages[0]
        message.ClearField("delay_ms")
        try:
            (await self._topologies.of(request.namespace)).check_served(request.namespace)
            (outcome,) = await self._publisher.publish(request.namespace, request)
        except TRANSIENT:
            return False
        except FlowmeshError as error:
            outcome = pb.PublishOutcome(reason=error.reason, error=error.message)
        if outcome.reason in RETRIED:
            return False
        if outcome.reason:
            self._log.warning(
                "delayed_message_dropped",
                namespace=request.namespace,
                exchange=request.exchange,
                message=message.message_id,
                reason=outcome.reason,
                problem=outcome.error,
            )
        await self._delays.remove(due.sequence)
        return True


class ReferenceLoop(Loop):
    """Keeps the stored payloads that messages refer to, and forgets those of messages that left."""

    interval_ms = 6 * 3_600_000

    def __init__(
        self,
        *,
        store: TopologyStore,
        streams: QueueStreams,
        payloads: "PayloadServiceAsyncStub",
        clock: Clock,
    ) -> None:
        self._store = store
        self._streams = streams
        self._payloads = payloads
        self._clock = clock

    async def run_once(self) -> int:
        """Return the number of payloads that are kept."""
        found = await self._store.body_references()
        if not found:
            return 0
        queues = {queue.id: queue for queue in await self._store.queues()}
        oldest = {id: await self._oldest_us(queues.get(id)) for id in {e.queue_id for e in found}}
        needed = [each for each in found if oldest[each.queue_id] <= each.noted_us + SLACK_US]
        await self._store.forget_references([each for each in found if each not in needed])
        for namespace, group in itertools.groupby(needed, lambda each: each.namespace):
            await self._renew(namespace, list(group))
        return len(needed)

    async def _renew(self, namespace: str, references: list[BodyReference]) -> None:
        digests = sorted({each.digest for each in references})
        for start in range(0, len(digests), RENEWED_MAX):
            page = digests[start : start + RENEWED_MAX]
            await self._payloads.RenewPayloads(
                RenewPayloadsRequest(namespace=namespace, digests=page)
            )

    async def _oldest_us(self, queue: StoredQueue | None) -> int:
        """Return the instant of the oldest message; now for an empty or deleted queue."""
        if queue is not None:
            try:
                state = (await self._streams.info(queue))["state"]
            except StreamMissing:
                return self._clock.now_us()
            if state["messages"]:
                return micros(state["first_ts"])
        return self._clock.now_us()


class UnusedQueuesLoop(Loop):
    """Deletes exclusive and auto_delete queues whose consumers have left."""

    interval_ms = 1_000

    def __init__(
        self, *, store: TopologyStore, topologies: Topologies, changes: TopologyChanges
    ) -> None:
        self._store = store
        self._topologies = topologies
        self._changes = changes
        self._queues = 0

    def pause_ms(self) -> float:
        return self.interval_ms if self._queues else IDLE_MS

    def on_change(self, delta: Delta | None) -> None:
        """Begin with the first queue of this kind."""
        if delta is None or any(queue.is_temporary for queue in delta.added_queues()):
            self.wake()

    async def run_once(self) -> int:
        """Return the number of deleted queues."""
        queues = {queue.id: queue for queue in await self._store.queues() if queue.is_temporary}
        self._queues = len(queues)
        if not queues:
            return 0
        left = [queues[id] for id in await self._store.left_queues(UNUSED_MS) if id in queues]
        for queue in left:
            if not (await self._topologies.of(queue.namespace)).suspension:
                await self._changes.delete_left(queue)
        await self._store.forget_consumers(LEFT_KEPT_MS)
        return len(left)
