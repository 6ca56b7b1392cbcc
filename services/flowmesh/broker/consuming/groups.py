"""Consumers of queues and of groups of streams: their checks, and their readers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.broker.consuming.deliveries import Settler
from flowmesh.broker.consuming.holders import Hold, Holders
from flowmesh.broker.consuming.reader import QueueReader
from flowmesh.broker.store import Delta, StoredQueue
from flowmesh.broker.storing.jetstream import StreamMissing
from flowmesh.broker.streams import QueueStreams, queue_missing
from flowmesh.broker.topology import Topologies, suspended
from flowmesh.bus import Bus
from flowmesh.errors import Invalid, Violation
from flowmesh.rpc import valid_id
from flowmesh.runtime import Clock

INT64_MAX = 2**63 - 1


class Readers:
    """Opens readers of queues, and creates what they read where it is missing."""

    def __init__(
        self,
        *,
        bus: Bus,
        topologies: Topologies,
        streams: QueueStreams,
        settler: Settler,
        holders: Holders,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._bus = bus
        self._topologies = topologies
        self._streams = streams
        self._settler = settler
        self._holders = holders
        self._clock = clock
        self._new_id = new_id
        # Open readers by namespace.
        self._opened: dict[str, set[QueueReader]] = {}

    def on_change(self, delta: Delta | None) -> None:
        """End the readers of a suspended namespace.

        After missed changes, each finds the suspension before its next deliveries.
        """
        if delta is not None and delta.suspension:
            for reader in self._opened.get(delta.namespace, ()):
                reader.refuse(suspended(delta.namespace))

    @asynccontextmanager
    async def open(
        self,
        queue: StoredQueue,
        group: str,
        start: pb.Position | None = None,
        *,
        consumer: str = "",
    ) -> AsyncIterator[QueueReader]:
        """Open a reader for a consumer, which keeps its place if it comes back under its id.

        Raises Invalid for a group that does not fit the queue, WrongState for an exclusive queue
        that is in use.
        """
        check_group(queue, group)
        async with (
            self._holders.hold(queue, group, consumer or self._new_id()) as hold,
            self._reader(queue, group, start, hold) as reader,
        ):
            yield reader

    @asynccontextmanager
    async def peek(
        self, queue: StoredQueue, group: str, start: pb.Position | None
    ) -> AsyncIterator[QueueReader]:
        """Open a reader for one call, which is no consumer. Raises Invalid or WrongState."""
        check_group(queue, group)
        await self._holders.check_free(queue, group)
        hold = Hold()
        hold.first.set()
        async with self._reader(queue, group, start, hold) as reader:
            yield reader

    @asynccontextmanager
    async def _reader(
        self, queue: StoredQueue, group: str, start: pb.Position | None, hold: Hold
    ) -> AsyncIterator[QueueReader]:
        if queue.is_stream:
            await self._streams.ensure_group(
                queue, group, start_of(start or pb.Position()), metadata=group
            )
        reader = QueueReader(
            bus=self._bus,
            streams=self._streams,
            settler=self._settler,
            queue=queue,
            group=group,
            hold=hold,
            clock=self._clock,
        )
        opened = self._opened.setdefault(queue.namespace, set())
        opened.add(reader)
        try:
            (await self._topologies.of(queue.namespace)).check_served(queue.namespace)
            async with reader:
                yield reader
        finally:
            opened.discard(reader)
            if not opened:
                self._opened.pop(queue.namespace, None)

    async def restore(self, queue: StoredQueue, group: str) -> None:
        """Create a missing stream again.

        Raises NotFound if the queue was deleted, Unavailable while it is suspended.
        """
        topology = await self._topologies.current(queue.namespace)
        topology.check_served(queue.namespace)
        known = topology.queues.get(queue.name)
        if known is None or known.id != queue.id:
            raise queue_missing(queue.name)
        await self._streams.ensure(queue)
        if queue.is_stream:
            await self._streams.ensure_group(queue, group, start_of(pb.Position()), metadata=group)

    async def seek(self, queue: StoredQueue, group: str, position: pb.Position) -> None:
        """Move a group to a position."""
        check_group(queue, group)
        if not queue.is_stream:
            raise group_invalid("a queue has no positions; only a stream has")
        await self._streams.remove_group(queue, group)
        await self._streams.ensure_group(queue, group, start_of(position), metadata=group)

    async def next_restored(
        self, reader: QueueReader, queue: StoredQueue, group: str, want: int, wait_s: float
    ) -> list[Any]:
        """Return the next deliveries of a session, across losses of the stream."""
        (await self._topologies.of(queue.namespace)).check_served(queue.namespace)
        try:
            return list(await reader.next(want, wait_s, prefetch=True))
        except StreamMissing:
            await self.restore(queue, group)
            await asyncio.sleep(0)
            return []


def check_group(queue: StoredQueue, group: str) -> None:
    if queue.is_stream:
        if not group:
            raise group_invalid(f"stream {queue.name!r} is read by groups: name one")
        valid_id(group, "group")
    elif group:
        raise group_invalid(f"queue {queue.name!r} has no groups: omit it")


def start_of(position: pb.Position) -> dict[str, Any]:
    """Return the options of a consumer that begins at a position."""
    match position.WhichOneof("position"):
        case "latest":
            return {"deliver_policy": "new"}
        case "sequence":
            sequence = max(1, min(position.sequence, INT64_MAX))
            return {"deliver_policy": "by_start_sequence", "opt_start_seq": sequence}
        case "at_us":
            try:
                at = datetime.fromtimestamp(position.at_us / 1_000_000, UTC)
            except (ValueError, OverflowError, OSError) as error:
                raise group_invalid(f"{position.at_us} is not an instant in µs") from error
            text = at.isoformat().replace("+00:00", "Z")
            return {"deliver_policy": "by_start_time", "opt_start_time": text}
        case _:
            return {"deliver_policy": "all"}


def group_invalid(what: str) -> Invalid:
    text = f"group: {what}."
    return Invalid("GROUP_INVALID", text, violations=(Violation("group", what, "GROUP_INVALID"),))
