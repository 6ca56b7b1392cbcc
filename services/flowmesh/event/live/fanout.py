"""Distribution of events to the open streams of this process. Never blocks, stores nothing.

Rows without subscriber are not parsed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError
from structlog.typing import FilteringBoundLogger

from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.errors import Unavailable
from flowmesh.event.live.arrival import Arrival
from flowmesh.event.live.backlog import Backlog
from flowmesh.event.live.cursors import Commit, Cursor, Passed, Place, Spots
from flowmesh.event.live.selection import Selection
from flowmesh.event.metrics import EventMetrics
from flowmesh.runtime import Clock

STREAMS_MAX: Final = 10_000


@dataclass(slots=True)
class Row:
    """The events of one commit to one execution, parsed once for all subscribers."""

    namespace: str
    execution_id: str
    workflow_id: str
    events: Sequence[history_event_pb2.HistoryEvent]
    # The cursor of the first event; without `exact` it is a place before the commit.
    cursor: Cursor
    exact: bool
    commit: Commit
    size: int
    _messages: dict[int, event_service_pb2.LifecycleEvent] = field(default_factory=dict)

    def message(self, index: int) -> event_service_pb2.LifecycleEvent:
        """Return the message of an event; all subscribers share the object."""
        made = self._messages.get(index)
        if made is None:
            made = self._messages[index] = event_service_pb2.LifecycleEvent(
                namespace=self.namespace,
                execution_id=self.execution_id,
                workflow_id=self.workflow_id,
                event=self.events[index],
            )
        return made

    def cursor_of(self, index: int) -> Cursor:
        """Return the cursor after an event."""
        cursor = self.cursor
        if not self.exact:
            incarnation, position, part, row = self.commit
            return Passed(((incarnation, (position, part, row, index)),)).joined(cursor)
        place = Place(cursor.place.sequence, cursor.place.row, index)
        return Cursor(cursor.stream_created_us, place, cursor.passed)


class Feed:
    """The selection of a stream, and its backlog."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.backlog: Backlog[Row] = Backlog()

    def offer(self, row: Row) -> None:
        if not self.selection.wants_row(row.workflow_id, row.execution_id):
            return
        wanted = sum(1 for event in row.events if self.selection.wants(event))
        if wanted:
            self.backlog.put(row, events=wanted, size=row.size)


class Fanout:
    """The open streams by execution and by namespace."""

    def __init__(self, *, clock: Clock, metrics: EventMetrics, log: FilteringBoundLogger) -> None:
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._by_execution: dict[tuple[str, str], set[Feed]] = {}
        self._by_namespace: dict[str, set[Feed]] = {}
        self._streams = 0

    @contextmanager
    def follow_execution(self, namespace: str, execution_id: str) -> Iterator[Feed]:
        """Follow all events of an execution from now on, unfiltered, so that gaps are visible."""
        feed = Feed(Selection())
        with self._counted("execution"):
            watching = self._by_execution.setdefault((namespace, execution_id), set())
            watching.add(feed)
            try:
                yield feed
            finally:
                watching.discard(feed)
                if not watching:
                    self._by_execution.pop((namespace, execution_id), None)

    @contextmanager
    def follow_namespace(self, namespace: str, selection: Selection) -> Iterator[Feed]:
        """Follow the selected events of a namespace from now on."""
        feed = Feed(selection)
        with self._counted("namespace"):
            watching = self._by_namespace.setdefault(namespace, set())
            watching.add(feed)
            try:
                yield feed
            finally:
                watching.discard(feed)
                if not watching:
                    self._by_namespace.pop(namespace, None)

    def publish(self, arrival: Arrival, passed: Spots, resume: Cursor | None) -> None:
        """Offer the rows of a commit. `resume` is a place before it if its own place is not exact.

        `passed` is the progress beyond its place in the stream.
        """
        if not self._streams:
            return
        batch = arrival.batch
        made_us, sequence = arrival.stream_created_us, arrival.stream_sequence
        for index, row in enumerate(batch.rows):
            feeds = (
                *self._by_execution.get((row.namespace, row.execution_id), ()),
                *self._by_namespace.get(row.namespace, ()),
            )
            if feeds:
                parsed = parse_row(
                    row,
                    resume or Cursor(made_us, Place(sequence, index, 0), passed),
                    exact=resume is None,
                    commit=(batch.incarnation, batch.position, arrival.part, index),
                )
                self._observe(row, parsed)
                for feed in feeds:
                    feed.offer(parsed)

    def _observe(self, row: history_service_pb2.EventRow, parsed: Row) -> None:
        if parsed.events:
            lag_us = self._clock.now_us() - parsed.events[-1].at_us
            self._metrics.lag.observe(max(0, lag_us) / 1_000_000)
        elif row.events:
            self._log.error("event_row_malformed", execution_id=row.execution_id)

    @contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        if self._streams >= STREAMS_MAX:
            text = f"this process already has {STREAMS_MAX} open event streams"
            raise Unavailable("SERVICE_UNAVAILABLE", text, retry_after_ms=1_000)
        gauge = self._metrics.subscribers.labels(kind)
        self._streams += 1
        gauge.inc()
        try:
            yield
        finally:
            self._streams -= 1
            gauge.dec()


def parse_row(
    row: history_service_pb2.EventRow,
    cursor: Cursor,
    *,
    exact: bool,
    commit: Commit,
) -> Row:
    """Parse a row; a malformed one has no events."""
    try:
        events = history_event_pb2.HistoryEvents.FromString(row.events).events
    except DecodeError:
        events = history_event_pb2.HistoryEvents().events
    return Row(
        namespace=row.namespace,
        execution_id=row.execution_id,
        workflow_id=row.workflow_id,
        events=events,
        cursor=cursor,
        exact=exact,
        commit=commit,
        size=len(row.events),
    )
