"""Messages of another cell, stored in the queues of a project that moves here."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import queue_move_service_pb2 as pb
from flowmesh.broker import limits
from flowmesh.broker.messages import check_message, invalid
from flowmesh.broker.store import StoredQueue, TopologyStore
from flowmesh.broker.storing.delays import Delays
from flowmesh.broker.storing.jetstream import Stored
from flowmesh.broker.streams import QueueStreams
from flowmesh.broker.topology import Topologies
from flowmesh.errors import TooLarge, WrongState
from flowmesh.runtime import Clock

GAPS_MAX: Final = 500
"""Positions without a message that one call uses up."""

T = TypeVar("T")


class Imports:
    """Stores the messages of an origin in their order, each once.

    The position of the last one is stored after them. A repeat before that is detected by the ids
    of the messages, for ten minutes.
    """

    def __init__(
        self,
        *,
        topologies: Topologies,
        streams: QueueStreams,
        delays: Delays,
        on_delayed: Callable[[], Awaitable[None]],
        store: TopologyStore,
        clock: Clock,
    ) -> None:
        self._topologies = topologies
        self._streams = streams
        self._delays = delays
        self._on_delayed = on_delayed
        self._store = store
        self._clock = clock

    async def take(
        self,
        namespace: str,
        name: str,
        origin: str,
        messages: Sequence[pb.ExportedMessage],
        last_sequence: int,
    ) -> tuple[int, int]:
        """Return the number of stored messages, and the position of the last known one.

        Raises Invalid, TooLarge, NotFound, WrongState, and Overloaded for a full queue.
        """
        _check(messages)
        queue = await self._topologies.queue(namespace, name) if name else None
        if last_sequence:
            if queue is None or not queue.is_stream:
                raise invalid("last_sequence", "only messages of a stream keep their positions")
            return await self._continue(queue, origin, messages, last_sequence)
        id = queue.id if queue is not None else f"delayed:{namespace}"
        last = await self._store.imported(id, origin)
        fresh = [each for each in messages if each.sequence > last]
        if not fresh:
            return 0, last
        if queue is not None:
            await self._streams.ensure(queue)
            await _all(self._put(queue, origin, each) for each in fresh)
        else:
            await _all(self._delay(namespace, origin, each) for each in fresh)
            await self._on_delayed()
        await self._store.note_imported(id, origin, fresh[-1].sequence)
        return len(fresh), fresh[-1].sequence

    async def _continue(
        self,
        queue: StoredQueue,
        origin: str,
        messages: Sequence[pb.ExportedMessage],
        last_sequence: int,
    ) -> tuple[int, int]:
        """Store messages of a stream at their positions, and use up those between them."""
        await self._streams.ensure(queue)
        reached = await self._streams.last(queue)
        fresh = [each for each in messages if each.sequence > reached]
        stored = gaps = 0
        while reached < last_sequence and gaps < GAPS_MAX:
            places = enumerate(fresh[stored:], reached + 1)
            run = [each for place, each in places if each.sequence == place]
            if run:
                found = await _all(self._put(queue, origin, each) for each in run)
            else:
                found = [await self._streams.skip(queue)]
                gaps += 1
            if [each.sequence for each in found] != [*range(reached + 1, reached + 1 + len(found))]:
                text = f"stream {queue.name!r} has other messages than in the other cell"
                raise WrongState("QUEUE_DIFFERS", text)
            reached += len(found)
            stored += len(run)
        await self._store.note_imported(queue.id, origin, reached)
        return stored, reached

    async def _put(self, queue: StoredQueue, origin: str, given: pb.ExportedMessage) -> Stored:
        message = message_pb2.Message()
        message.CopyFrom(given.message)
        message.ttl_ms = given.ttl_left_ms or message.ttl_ms
        msg_id = given.key or _place(origin, given)
        return await self._streams.put(queue, message, msg_id=msg_id, earlier=given.attempts)

    async def _delay(self, namespace: str, origin: str, given: pb.ExportedMessage) -> None:
        at_us, place = given.due_at_us or self._clock.now_us(), _place(origin, given)
        await self._delays.put(namespace, given.exchange, given.message, at_us, moved=place)


def _place(origin: str, given: pb.ExportedMessage) -> str:
    return f"move:{origin}:{given.sequence}"


async def _all(stored: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all of them and return their results; raise the first failure."""
    found: list[T] = []
    for outcome in await asyncio.gather(*stored, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        found.append(outcome)
    return found


def _check(messages: Sequence[pb.ExportedMessage]) -> None:
    size = sum(len(each.message.body) for each in messages)
    if len(messages) > limits.BATCH_MESSAGES_MAX or size > limits.BATCH_BYTES_MAX:
        text = (
            f"the page has {len(messages):,} messages and {size:,} bytes; at most"
            f" {limits.BATCH_MESSAGES_MAX} and {limits.BATCH_BYTES_MAX:,} are allowed"
        )
        raise TooLarge("PAYLOAD_TOO_LARGE", text)
    last = 0
    for each in messages:
        check_message(each.message)
        if not each.message.message_id:
            raise invalid("message_id", "is missing")
        if each.message.HasField("reference"):
            raise invalid("reference", "the body is stored in the cell from which it comes")
        if each.sequence <= last:
            raise invalid("sequence", "the messages are in the order of their positions")
        last = each.sequence
