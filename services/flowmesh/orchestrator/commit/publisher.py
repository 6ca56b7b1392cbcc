"""Publisher of events: one message per commit, in commit order, from memory or the outbox.

Commits never wait for it. After a lost connection it compares the last message of the stream with
its own position and publishes the difference from the outbox.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable
from itertools import chain
from typing import Any

from flowmesh.access.encryption import MARK, NO_KEYS, DataKeys, events_place
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.bus import Bus
from flowmesh.errors import Unavailable
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.storage.database import CONNECTION_LOST
from flowmesh.orchestrator.storage.outbox import Outbox

PART_BYTES_MAX = 512 << 10
"""Messages are split above this size: between rows, or between the events of a large row."""

QUEUE_MAX = 1_000
QUEUE_BYTES_MAX = 64 << 20
"""Limits of commits queued in memory; beyond them, commits are read from the outbox."""

FORMER_MAX = 1_000
"""Limit of ended incarnations whose last position is kept."""

STREAM_MAX_AGE_S = 24 * 3600
STREAM_BYTES_MAX = 8 << 30
RETRY_DELAY_S = 0.2

LOOP_PASSES = 4
"""Passes of the event loop before publishing: a commit's tasks and answers leave before events."""


def message_parts(batch: history_service_pb2.EventBatch) -> list[bytes]:
    """Return the messages for a batch, each of about 512 KiB at most; the last one is marked."""
    if batch.ByteSize() <= PART_BYTES_MAX:
        batch.last_part = True
        return [batch.SerializeToString()]
    parts = [_part(batch, 0)]
    size = 0
    for row in chain.from_iterable(map(_pieces, batch.rows)):
        if size and size + len(row.events) > PART_BYTES_MAX:
            parts.append(_part(batch, len(parts)))
            size = 0
        parts[-1].rows.append(row)
        size += len(row.events)
    parts[-1].last_part = True
    return [part.SerializeToString() for part in parts]


def _part(batch: history_service_pb2.EventBatch, number: int) -> history_service_pb2.EventBatch:
    return history_service_pb2.EventBatch(
        incarnation=batch.incarnation, position=batch.position, part=number, after=batch.after
    )


def _pieces(row: history_service_pb2.EventRow) -> Iterable[history_service_pb2.EventRow]:
    """Return the row, or several rows of its execution if it is too large for one message."""
    if len(row.events) <= PART_BYTES_MAX or row.events.startswith(MARK):
        yield row
        return
    events = history_event_pb2.HistoryEvents.FromString(row.events).events
    chunk = history_event_pb2.HistoryEvents()
    size = 0
    for event in events:
        if chunk.events and size + event.ByteSize() > PART_BYTES_MAX:
            yield _piece(row, chunk)
            chunk, size = history_event_pb2.HistoryEvents(), 0
        chunk.events.append(event)
        size += event.ByteSize()
    yield _piece(row, chunk)


def _piece(
    row: history_service_pb2.EventRow, chunk: history_event_pb2.HistoryEvents
) -> history_service_pb2.EventRow:
    piece = history_service_pb2.EventRow()
    piece.CopyFrom(row)
    piece.first_sequence = chunk.events[0].sequence
    piece.events = chunk.SerializeToString()
    return piece


class Publisher:
    """Publishes for the incarnation of this process and for ended ones that it inherits."""

    def __init__(
        self, *, bus: Bus, outbox: Outbox, prefix: str, log: Any, keys: DataKeys = NO_KEYS
    ) -> None:
        self._keys = keys
        self._bus = bus
        self._outbox = outbox
        self._log = log
        self._prefix = prefix
        self._stream = f"{prefix.upper()}_EVENTS"
        self._queue: deque[tuple[history_service_pb2.EventBatch, int]] = deque()
        self.queued_bytes = 0
        self._inherited: dict[int, int] = {}
        # Last positions of published incarnations: a lost stream has lost them too.
        self._former: OrderedDict[int, int] = OrderedDict()
        self._wake = asyncio.Event()
        self._in_step = False
        self._incarnation = 0
        self._position = 0
        bus.on_reconnect(self._resync)

    def begin(self, incarnation: int, position: int) -> None:
        """Publish for this incarnation from now on."""
        self._clear_queue()
        self._incarnation, self._position = incarnation, position
        self._in_step = False
        self._wake.set()

    def offer(self, batch: history_service_pb2.EventBatch) -> None:
        """Queue the events of a commit; never waits."""
        self._position = batch.position
        if len(self._queue) >= QUEUE_MAX or self.queued_bytes >= QUEUE_BYTES_MAX:
            self._clear_queue()
            self._in_step = False
        size = batch.ByteSize()
        self._queue.append((batch, size))
        self.queued_bytes += size
        self._wake.set()

    def _clear_queue(self) -> None:
        self._queue.clear()
        self.queued_bytes = 0

    def inherit(self, incarnation: int, position: int) -> None:
        """Publish the events of an ended incarnation that the stream lacks, up to `position`."""
        self._inherited[incarnation] = max(position, self._inherited.get(incarnation, 0))
        self._wake.set()

    async def _resync(self) -> None:
        self._in_step = False
        self._inherited = {**self._former, **self._inherited}
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for _ in range(LOOP_PASSES):
                await asyncio.sleep(0)
            try:
                await self._publish_all()
            except (Unavailable, *CONNECTION_LOST) as error:
                self._in_step = False
                self._log.info("publish_waits", problem=type(error).__name__)
                await self._retry_later()
            except Exception:  # noqa: BLE001 committed events must be published
                self._in_step = False
                self._log.exception("publish_failed")
                await self._retry_later()

    async def _retry_later(self) -> None:
        await asyncio.sleep(RETRY_DELAY_S)
        self._wake.set()

    async def _publish_all(self) -> None:
        if not self._in_step:
            await self._bus.ensure_stream(
                self._stream, [f"{self._prefix}.events.>"], STREAM_MAX_AGE_S, STREAM_BYTES_MAX
            )
        await self._publish_inherited()
        if not self._in_step:
            incarnation, position = self._incarnation, self._position
            await self._catch_up(incarnation, position)
            if incarnation != self._incarnation:
                # A new incarnation has begun: the queue holds its positions.
                return
            while self._queue and self._queue[0][0].position <= position:
                self._drop_first()
            self._in_step = True
        while self._queue and self._in_step:
            # A commit after a take-over must follow those of the former owner in the stream.
            await self._publish_inherited()
            batch, _ = self._queue[0]
            await self._publish(batch)
            if self._queue and self._queue[0][0] is batch:
                self._drop_first()

    def _drop_first(self) -> None:
        _, size = self._queue.popleft()
        self.queued_bytes -= size

    async def _publish_inherited(self) -> None:
        for incarnation, position in sorted(self._inherited.items()):
            failpoint("orchestrator.inherited")
            await self._catch_up(incarnation, position)
            if self._inherited.get(incarnation) == position:
                del self._inherited[incarnation]
                self._former[incarnation] = position
                if len(self._former) > FORMER_MAX:
                    self._former.popitem(last=False)

    async def _catch_up(self, incarnation: int, position: int) -> None:
        """Publish the events of an incarnation that the stream lacks, from the outbox."""
        published = await self._published(incarnation)
        while published < position:
            batches = await self._outbox.read(incarnation, published, 100)
            for batch in batches:
                if batch.position > position:
                    return
                await self._publish(batch)
                published = batch.position
            if not batches:
                return

    async def _published(self, incarnation: int) -> int:
        """Return the last position of an incarnation that the stream holds in full; 0 if none."""
        last = await self._bus.last_message(self._stream, self._subject(incarnation))
        if last is None:
            return 0
        batch = history_service_pb2.EventBatch.FromString(last.data)
        return batch.position if batch.last_part else batch.position - 1

    async def _publish(self, batch: history_service_pb2.EventBatch) -> None:
        subject = self._subject(batch.incarnation)
        for number, data in enumerate(message_parts(self._sealed(batch))):
            await self._bus.publish(
                subject, data, msg_id=f"{batch.incarnation}:{batch.position}:{number}"
            )
        failpoint("orchestrator.published")

    def _sealed(self, batch: history_service_pb2.EventBatch) -> history_service_pb2.EventBatch:
        """Return the batch as it is on the bus: the events of namespaces with a key encrypted."""
        keys = self._keys
        if not any(keys.covers(row.namespace) for row in batch.rows):
            return batch
        sealed = history_service_pb2.EventBatch()
        sealed.CopyFrom(batch)
        del sealed.rows[:]
        for row in chain.from_iterable(map(_pieces, batch.rows)):
            added = sealed.rows.add()
            added.CopyFrom(row)
            place = events_place(row.execution_id)
            added.events = keys.seal(row.namespace, row.events, place)
        return sealed

    def _subject(self, incarnation: int) -> str:
        return f"{self._prefix}.events.{incarnation}"
