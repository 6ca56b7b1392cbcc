"""Keeps what must not be lost: positions, and the callbacks that follow from the events.

Callbacks are stored at once, positions alone at most every 200 ms, both in one statement; while
one runs the next collects. Nothing is written while nothing comes.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError
from structlog.typing import FilteringBoundLogger

from flowmesh.api.history.v1.history_service_pb2 import EventRow
from flowmesh.event.delivery.callbacks import Callback, callbacks_of
from flowmesh.event.intake.sequencer import Arrival
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.store import EventStore, Place
from flowmesh.event.triggers.published import Lifecycle
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Clock, Loop

POSITIONS_EVERY_S: Final = 0.2
PENDING_CALLBACKS_MAX: Final = 5_000
PENDING_BYTES_MAX: Final = 8 * 1024 * 1024
FORGET_EVERY_MS: Final = 3_600_000


@dataclass(slots=True)
class _Pending:
    positions: dict[int, int] = field(default_factory=dict)
    callbacks: list[Callback] = field(default_factory=list)
    asked: list[EventRow] = field(default_factory=list)
    size: int = 0

    def add(self, callbacks: Iterable[Callback]) -> None:
        for callback in callbacks:
            self.callbacks.append(callback)
            self.size += len(callback.event)

    def ask(self, rows: Iterable[EventRow]) -> None:
        """Rows that triggers may fire for."""
        for row in rows:
            self.asked.append(row)
            self.size += len(row.events)

    @property
    def full(self) -> bool:
        return (
            len(self.callbacks) + len(self.asked) >= PENDING_CALLBACKS_MAX
            or self.size >= PENDING_BYTES_MAX
        )

    @property
    def urgent(self) -> bool:
        return bool(self.callbacks or self.asked)


class Keeper:
    """Collects what is processed until it is stored."""

    def __init__(
        self,
        *,
        store: EventStore,
        stream: str,
        place: Place | None,
        positions: Mapping[int, int],
        metrics: EventMetrics,
        log: FilteringBoundLogger,
        on_callbacks: Callable[[], None],
        lifecycle: Lifecycle | None = None,
    ) -> None:
        self._store = store
        self._stream = stream
        self._metrics = metrics
        self._log = log
        self._on_callbacks = on_callbacks
        self._lifecycle = lifecycle
        self._pending = _Pending()
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()
        self._room = asyncio.Event()
        self.place = place
        self.stream_made_us = 0
        self.settled = 0
        # Stored positions that nobody was told of yet.
        self.unreported = dict(positions)
        self.reportable = asyncio.Event()
        if positions:
            self.reportable.set()

    def is_in(self, stream_made_us: int, settled: int) -> None:
        """Which stream is read, and up to where nothing of it is held."""
        self.stream_made_us, self.settled = stream_made_us, settled

    @property
    def full(self) -> bool:
        """Whether the intake must wait: the database is slower than the stream."""
        return self._pending.full

    async def until_room(self) -> None:
        self._room.clear()
        while self.full:
            await self._room.wait()
            self._room.clear()

    def take(self, arrival: Arrival) -> None:
        """Notes a processed commit; what it asks to be delivered is stored soon."""
        pending = self._pending
        for row in arrival.batch.rows:
            if not row.HasField("callbacks"):
                continue
            try:
                pending.add(callbacks_of(row))
            except DecodeError:
                self._log.error("event_row_malformed", execution_id=row.execution_id)
        if self._lifecycle is not None:
            pending.ask(self._lifecycle.asked(arrival.batch.rows))
        if arrival.last_part:
            pending.positions[arrival.batch.incarnation] = arrival.batch.position
        self._changed.set()
        if pending.urgent:
            self._urgent.set()

    async def until_due(self) -> None:
        """Returns when there is something that should be stored now."""
        await self._changed.wait()
        if not self._urgent.is_set():
            try:
                async with asyncio.timeout(POSITIONS_EVERY_S):
                    await self._urgent.wait()
            except TimeoutError:
                return

    async def store(self) -> int:
        """Stores what was collected; returns how many deliveries are new. Retried as a whole."""
        pending, self._pending = self._pending, _Pending()
        place = Place(self._stream, self.stream_made_us, self.settled)
        self._changed.clear()
        self._urgent.clear()
        try:
            # First: who was not heard of to be taken in comes again, and fires the same again.
            if pending.asked and self._lifecycle is not None:
                await self._lifecycle.store(pending.asked)
            new = await self._store.take_in(pending.positions, place, pending.callbacks)
        except BaseException:
            self._put_back(pending)
            raise
        failpoint("event.stored")
        self._metrics.callbacks.inc(new)
        self.place = place
        if pending.positions:
            self.unreported.update(pending.positions)
            self.reportable.set()
        if pending.callbacks:
            self._on_callbacks()
        self._room.set()
        return new

    def _put_back(self, pending: _Pending) -> None:
        pending.positions.update(self._pending.positions)
        pending.add(self._pending.callbacks)
        pending.ask(self._pending.asked)
        self._pending = pending
        self._changed.set()
        if pending.urgent:
            self._urgent.set()


class KeepLoop(Loop):
    """Stores what the keeper collected, as soon as it is due."""

    interval_ms = 1

    def __init__(self, *, keeper: Keeper, store: EventStore, clock: Clock) -> None:
        self._keeper = keeper
        self._store = store
        self._clock = clock
        self._forget_at_ms = clock.monotonic_ms() + FORGET_EVERY_MS

    async def run_once(self) -> int:
        """Waits for something to store, stores it; returns how many deliveries are new."""
        await self._keeper.until_due()
        new = await self._keeper.store()
        if self._clock.monotonic_ms() >= self._forget_at_ms:
            self._forget_at_ms = self._clock.monotonic_ms() + FORGET_EVERY_MS
            await self._store.forget()
        return new
