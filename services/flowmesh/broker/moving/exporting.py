"""Stored messages of suspended queues, as another cell takes them."""

from collections.abc import Mapping, Sequence
from typing import Final

from flowmesh.api.broker.v1 import queue_move_service_pb2 as pb
from flowmesh.broker import limits
from flowmesh.broker.store import StoredQueue
from flowmesh.broker.storing.delays import Delayed, Delays
from flowmesh.broker.storing.jetstream import StreamMissing
from flowmesh.broker.streams import QueueStreams, StoredMessage, ttl_of
from flowmesh.broker.topology import Topologies
from flowmesh.errors import WrongState
from flowmesh.runtime import Clock

# Pages of delayed messages of all projects that one call reads.
PAGES_MAX: Final = 20
MICROSECONDS: Final = 1_000_000


class Exports:
    """Pages of the messages of a project. Nothing leaves its queues between two of them."""

    def __init__(
        self, *, topologies: Topologies, streams: QueueStreams, delays: Delays, clock: Clock
    ) -> None:
        self._topologies = topologies
        self._streams = streams
        self._delays = delays
        self._clock = clock

    async def page(self, namespace: str, name: str, sequence: int) -> pb.ExportMessagesResponse:
        """Return messages of a queue, or the delayed ones, from a position on.

        Raises NotFound without the queue, WrongState if it is no stream and not suspended.
        """
        topology = await self._topologies.current(namespace)
        queue = topology.queue(name) if name else None
        is_stream = queue is not None and queue.is_stream
        if not topology.suspension and not is_stream:
            text = f"the queues of {namespace!r} are in use; suspend them first"
            raise WrongState("QUEUES_NOT_SUSPENDED", text)
        if queue is None:
            return await self._delayed(namespace, topology.suspension, sequence)
        origin = "stream" if is_stream else topology.suspension
        response = pb.ExportMessagesResponse(origin=f"{origin}:{queue.id}")
        try:
            # Before the page: what is stored meanwhile is behind this position.
            last = await self._streams.last(queue)
            page = await self._streams.page(queue, sequence, limits.BATCH_MESSAGES_MAX)
            states = await self._streams.consumer_states(queue)
        except StreamMissing:
            return response
        reached = {each["name"]: int(each["delivered"]["stream_seq"]) for each in states}
        response.messages.extend(self._exported(queue, each, reached) for each in page)
        response.next_sequence = page[-1].sequence + 1 if page else 0
        if is_stream:
            response.last_sequence = page[-1].sequence if page else last
        return response

    async def remove(self, namespace: str, name: str, last: int) -> int:
        """Remove the messages up to a position; return their number. Raises NotFound."""
        if not name:
            return await self._remove_delayed(namespace, last)
        queue = await self._topologies.queue(namespace, name)
        try:
            return await self._streams.purge(queue, below=last + 1)
        except StreamMissing:
            return 0

    async def _remove_delayed(self, namespace: str, last: int) -> int:
        removed, sequence = 0, 1
        while True:
            try:
                page = await self._delays.page(sequence, limits.BATCH_MESSAGES_MAX)
            except StreamMissing:
                return removed
            for each in page:
                if each.request.namespace == namespace and each.sequence <= last:
                    await self._delays.remove(each.sequence)
                    removed += 1
            if not page or page[-1].sequence >= last:
                return removed
            sequence = page[-1].sequence + 1

    def _exported(
        self, queue: StoredQueue, stored: StoredMessage, reached: Mapping[str, int]
    ) -> pb.ExportedMessage:
        message, now_us = stored.message, self._clock.now_us()
        age_us = now_us - stored.at_us
        priority = min(message.priority, queue.config.max_priority)
        was_delivered = stored.sequence <= reached.get(f"p{priority}", 0)
        # The time to live of a dead letter is that of its queue, and begins again.
        ttl_us = 0 if message.HasField("death") else ttl_of(queue, message) * 1_000
        return pb.ExportedMessage(
            sequence=stored.sequence,
            message=message,
            key=stored.msg_id if age_us < limits.DUPLICATES_S * MICROSECONDS else "",
            attempts=stored.earlier + was_delivered,
            ttl_left_ms=max(1, (ttl_us - age_us) // 1_000) if ttl_us else 0,
        )

    async def _delayed(
        self, namespace: str, suspension: str, sequence: int
    ) -> pb.ExportMessagesResponse:
        response = pb.ExportMessagesResponse(origin=f"{suspension}:delayed")
        for _ in range(PAGES_MAX):
            try:
                page = await self._delays.page(sequence, limits.BATCH_MESSAGES_MAX)
            except StreamMissing:
                page = []
            own = [each for each in page if each.request.namespace == namespace]
            response.messages.extend(_delayed(own))
            response.next_sequence = sequence = page[-1].sequence + 1 if page else 0
            if response.messages or not page:
                break
        return response


def _delayed(found: Sequence[Delayed]) -> list[pb.ExportedMessage]:
    return [
        pb.ExportedMessage(
            sequence=each.sequence,
            message=each.request.messages[0],
            exchange=each.request.exchange,
            due_at_us=each.at_us,
        )
        for each in found
    ]
