"""Dead letters: messages that a queue gives up move to its dead letter queue, or are dropped."""

from structlog.typing import FilteringBoundLogger

from flowmesh.api.broker.v1 import message_pb2 as pb
from flowmesh.broker.counters import BrokerMetrics
from flowmesh.broker.messages import dead_letter
from flowmesh.broker.store import StoredQueue
from flowmesh.broker.storing.jetstream import Stored, StreamMissing
from flowmesh.broker.streams import QueueStreams
from flowmesh.broker.topology import Topologies
from flowmesh.errors import FlowmeshError
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Clock

CAUSES = {
    pb.DEATH_REASON_REJECTED: "rejected",
    pb.DEATH_REASON_EXPIRED: "expired",
    pb.DEATH_REASON_MAX_SIZE: "max_size",
    pb.DEATH_REASON_ATTEMPTS: "attempts",
}


class DeadLetters:
    """Stores dead letters. The caller removes the message from its queue afterwards."""

    def __init__(
        self,
        *,
        topologies: Topologies,
        streams: QueueStreams,
        metrics: BrokerMetrics,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._topologies = topologies
        self._streams = streams
        self._metrics = metrics
        self._clock = clock
        self._log = log

    async def bury(
        self,
        queue: StoredQueue,
        message: pb.Message,
        reason: pb.DeathReason.ValueType,
        *,
        position: str,
        error: str = "",
    ) -> None:
        """Store a message as a dead letter, or drop it if its queue has none.

        `position` identifies the message, so that a repeat after a crash is stored once. Raises
        Overloaded if the dead letter queue is full.
        """
        target = await self._target(queue, message)
        if target is not None:
            await self._put(queue, target, message, reason, position, error)
        self._metrics.ended(queue, CAUSES[reason], dead_lettered=target is not None)
        failpoint("broker.dead")

    async def overflowed(self, queue: StoredQueue, message: pb.Message) -> Stored:
        """Store a message for a full queue in its dead letter queue. Raises Overloaded."""
        target = await self._target(queue, message)
        if target is None:
            self._metrics.ended(queue, CAUSES[pb.DEATH_REASON_MAX_SIZE], dead_lettered=False)
            return Stored(0, False)
        reason = pb.DEATH_REASON_MAX_SIZE
        stored = await self._put(queue, target, message, reason, f"o:{message.message_id}", "")
        if not stored.duplicate:
            self._metrics.ended(queue, CAUSES[reason], dead_lettered=True)
        return stored

    async def _put(
        self,
        queue: StoredQueue,
        target: StoredQueue,
        message: pb.Message,
        reason: pb.DeathReason.ValueType,
        position: str,
        error: str,
    ) -> Stored:
        dead = dead_letter(message, queue.name, reason, error, self._clock.now_us())
        msg_id = f"dlq:{queue.id}:{position}"
        try:
            return await self._streams.put(target, dead, msg_id=msg_id)
        except StreamMissing:
            await self._streams.ensure(target)
            return await self._streams.put(target, dead, msg_id=msg_id)

    async def _target(self, queue: StoredQueue, message: pb.Message) -> StoredQueue | None:
        """Return the dead letter queue; None without one, and at the end of a ring of them."""
        name = queue.config.dead_letter_queue
        if not name or name in message.death.queues:
            return None
        try:
            return await self._topologies.queue(queue.namespace, name)
        except FlowmeshError:
            self._log.warning(
                "dead_letter_queue_missing", namespace=queue.namespace, queue=queue.name
            )
            return None
