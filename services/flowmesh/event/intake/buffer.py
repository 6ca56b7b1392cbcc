"""A buffer of positions, callbacks and trigger rows between the stream and the database.

Callbacks are stored at once, positions alone at most every 200 ms, both in one statement; new
entries are collected meanwhile. Nothing is written without new entries.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import DecodeError
from structlog.typing import FilteringBoundLogger

from flowmesh.api.history.v1.history_service_pb2 import EventRow
from flowmesh.event.callbacks import Callback, callbacks_of
from flowmesh.event.intake.audited import AuditedChange, audit_entries_of, audited_changes_of
from flowmesh.event.live.arrival import Arrival
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.store import DeliveryStore, StreamPosition
from flowmesh.event.triggers.published import LifecycleTriggers
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Clock, Loop

POSITIONS_EVERY_S: Final = 0.2
PENDING_CALLBACKS_MAX: Final = 5_000
PENDING_BYTES_MAX: Final = 8 * 1024 * 1024
# The usual size of an entry of the audit log.
ENTRY_BYTES: Final = 500
FORGET_EVERY_MS: Final = 3_600_000


@dataclass(slots=True)
class _Pending:
    positions: dict[int, int] = field(default_factory=dict)
    callbacks: list[Callback] = field(default_factory=list)
    asked: list[EventRow] = field(default_factory=list)
    # Entries of the audit log.
    entries: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0

    def add(self, callbacks: Iterable[Callback]) -> None:
        for callback in callbacks:
            self.callbacks.append(callback)
            self.size += len(callback.event)

    def note(self, entries: Iterable[dict[str, Any]]) -> None:
        before = len(self.entries)
        self.entries.extend(entries)
        self.size += (len(self.entries) - before) * ENTRY_BYTES

    def ask(self, rows: Iterable[EventRow]) -> None:
        """Add rows that triggers may fire for."""
        for row in rows:
            self.asked.append(row)
            self.size += len(row.events)

    @property
    def full(self) -> bool:
        return (
            len(self.callbacks) + len(self.asked) + len(self.entries) >= PENDING_CALLBACKS_MAX
            or self.size >= PENDING_BYTES_MAX
        )

    @property
    def urgent(self) -> bool:
        return bool(self.callbacks or self.asked)


class IntakeBuffer:
    """Collects processed commits until they are stored."""

    def __init__(
        self,
        *,
        store: DeliveryStore,
        stream: str,
        place: StreamPosition | None,
        positions: Mapping[int, int],
        metrics: EventMetrics,
        log: FilteringBoundLogger,
        on_callbacks: Callable[[], None],
        lifecycle: LifecycleTriggers | None = None,
        on_audited: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._stream = stream
        self._metrics = metrics
        self._log = log
        self._on_callbacks = on_callbacks
        self._lifecycle = lifecycle
        # None if changes of executions are not recorded.
        self._on_audited = on_audited
        self._pending = _Pending()
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()
        self._room = asyncio.Event()
        self.place = place
        self.stream_created_us = 0
        self.settled = 0
        # Stored positions that are not yet reported to the orchestrators.
        self.unreported = dict(positions)
        self.reportable = asyncio.Event()
        if positions:
            self.reportable.set()

    def set_stream_position(self, stream_created_us: int, settled: int) -> None:
        """Set the current stream, and its last message before which nothing is held."""
        self.stream_created_us, self.settled = stream_created_us, settled

    @property
    def full(self) -> bool:
        """True if the intake must wait because the database is slower than the stream."""
        return self._pending.full

    async def until_room(self) -> None:
        self._room.clear()
        while self.full:
            await self._room.wait()
            self._room.clear()

    def take(self, arrival: Arrival) -> None:
        """Add a processed commit; its callbacks are stored soon."""
        pending = self._pending
        changes: list[AuditedChange] = []
        for row in arrival.batch.rows:
            try:
                if row.HasField("callbacks"):
                    pending.add(callbacks_of(row))
                if self._on_audited is not None:
                    changes.extend(audited_changes_of(row))
            except DecodeError:
                self._log.error("event_row_malformed", execution_id=row.execution_id)
        pending.note(audit_entries_of(changes))
        if self._lifecycle is not None:
            pending.ask(self._lifecycle.matching(arrival.batch.rows))
        if arrival.last_part:
            pending.positions[arrival.batch.incarnation] = arrival.batch.position
        self._changed.set()
        if pending.urgent:
            self._urgent.set()

    async def until_due(self) -> None:
        """Return when something is due to be stored."""
        await self._changed.wait()
        if not self._urgent.is_set():
            try:
                async with asyncio.timeout(POSITIONS_EVERY_S):
                    await self._urgent.wait()
            except TimeoutError:
                return

    async def store(self) -> int:
        """Store the collected entries. Return the number of new deliveries. Retried as a whole."""
        pending, self._pending = self._pending, _Pending()
        place = StreamPosition(self._stream, self.stream_created_us, self.settled)
        self._changed.clear()
        self._urgent.clear()
        try:
            # Store firings first: a commit without stored position is redelivered and fires again.
            if pending.asked and self._lifecycle is not None:
                await self._lifecycle.store(pending.asked)
            new = await self._store.take_in(
                pending.positions, place, pending.callbacks, pending.entries
            )
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
        if pending.entries and self._on_audited is not None:
            self._on_audited()
        self._room.set()
        return new

    def _put_back(self, pending: _Pending) -> None:
        pending.positions.update(self._pending.positions)
        pending.add(self._pending.callbacks)
        pending.ask(self._pending.asked)
        pending.note(self._pending.entries)
        self._pending = pending
        self._changed.set()
        if pending.urgent:
            self._urgent.set()


class IntakeStoreLoop(Loop):
    """Stores the content of the buffer when it is due."""

    interval_ms = 1

    def __init__(self, *, buffer: IntakeBuffer, store: DeliveryStore, clock: Clock) -> None:
        self._buffer = buffer
        self._store = store
        self._clock = clock
        self._forget_at_ms = clock.monotonic_ms() + FORGET_EVERY_MS

    async def run_once(self) -> int:
        """Wait for entries and store them. Return the number of new deliveries."""
        await self._buffer.until_due()
        new = await self._buffer.store()
        if self._clock.monotonic_ms() >= self._forget_at_ms:
            self._forget_at_ms = self._clock.monotonic_ms() + FORGET_EVERY_MS
            await self._store.delete_expired()
        return new
