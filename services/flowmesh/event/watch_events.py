"""The events of a namespace, from now on or from a place in the stream on."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, aclosing
from dataclasses import replace

from google.protobuf.message import DecodeError

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.errors import Gone, Overloaded
from flowmesh.event.cursors import END, Cursor, Passed, Place, decode, encode
from flowmesh.event.fanout import Fanout, Feed, Row, parse_row
from flowmesh.event.flows import Flows
from flowmesh.event.intake import Intake
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.selection import Selection
from flowmesh.event.stream import EventStream


class NamespaceWatch:
    """Streams the selected events of a namespace to whoever asks."""

    def __init__(
        self,
        *,
        fanout: Fanout,
        intake: Intake,
        stream: EventStream,
        flows: Flows,
        metrics: EventMetrics,
    ) -> None:
        self._fanout = fanout
        self._intake = intake
        self._stream = stream
        self._flows = flows
        self._metrics = metrics

    async def events(
        self, namespace: str, selection: Selection, *, cursor: str
    ) -> AsyncGenerator[pb.WatchEventsResponse, None]:
        """Says that it has begun, then the events with a cursor each; never ends by itself."""
        asked = decode(cursor) if cursor else Cursor(0, Place(0))
        # Before that nobody can say what comes live, nor give a cursor to resume from.
        await self._intake.until_begun()
        after = await self._checked(asked) if cursor else asked
        with ExitStack() as stack:
            joined = _Joined(
                lambda: self._fanout.follow_namespace(namespace, selection), stack, after
            )
            if cursor:
                yield pb.WatchEventsResponse(cursor=cursor, subscribed=True)
                async for row in self._replayed(namespace, selection, after, joined):
                    async for response in self._responses(row, selection, joined):
                        yield response
            else:
                joined.join(Cursor(0, Place(0)))
                yield pb.WatchEventsResponse(cursor=encode(self._intake.here), subscribed=True)
            async for row in self._live(joined):
                async for response in self._responses(row, selection, joined):
                    yield response

    async def _checked(self, cursor: Cursor) -> Cursor:
        """The cursor, if the stream still holds what follows it."""
        state = await self._stream.state()
        next_message = cursor.place.sequence + (1 if cursor.place.row == END else 0)
        held = state.first <= max(1, next_message) <= state.last + 1
        if cursor.stream_made_us != state.made_us or not held:
            raise _expired()
        return cursor

    async def _replayed(
        self, namespace: str, selection: Selection, after: Cursor, joined: "_Joined"
    ) -> AsyncIterator[Row]:
        """What the stream holds behind the place, until this process is not ahead any more.

        Joins the live events in the very moment in which that is so.
        """
        made_us, place = after.stream_made_us, after.place
        reached = place.sequence if place.row == END else place.sequence - 1
        if self._is_at(made_us, reached):
            joined.join(Cursor(made_us, Place(reached)))
            return
        repeats = _Repeats()
        async with aclosing(self._stream.messages(reached + 1)) as messages:
            async for message in messages:
                if message.stream_sequence <= reached:
                    raise _expired()
                sequence = reached = message.stream_sequence
                batch = _batch(message.data)
                if not self._is_settled(made_us, sequence):
                    joined.ahead.add((batch.incarnation, batch.position, batch.part))
                for index, row in enumerate(batch.rows if repeats.is_new(batch) else ()):
                    if row.namespace == namespace and selection.wants_row(
                        row.workflow_id, row.execution_id
                    ):
                        yield parse_row(
                            row,
                            Cursor(made_us, Place(sequence, index, 0)),
                            exact=True,
                            commit=(batch.incarnation, batch.position, batch.part, index),
                            stream_made_us=made_us,
                            stream_sequence=sequence,
                        )
                if self._is_at(made_us, sequence):
                    joined.join(Cursor(made_us, Place(sequence)))
                    return

    def _is_at(self, stream_made_us: int, sequence: int) -> bool:
        """Whether all that follows this message will come as live events."""
        here = self._intake.stream_made_us
        if here > stream_made_us:
            raise _expired()
        return here < stream_made_us or sequence >= max(
            self._intake.last_sequence, self._intake.begun_at
        )

    def _is_settled(self, stream_made_us: int, sequence: int) -> bool:
        """Whether nothing of what there is up to this message can still come as a live event."""
        intake = self._intake
        return intake.stream_made_us == stream_made_us and sequence <= intake.settled

    async def _live(self, joined: "_Joined") -> AsyncIterator[Row]:
        while True:
            try:
                rows = await joined.feed.backlog.take()
            except Overloaded:
                self._metrics.slow.inc()
                raise
            for row in rows:
                # What was held back here while the replay passed it has been sent.
                if not joined.replayed(row):
                    yield row

    async def _responses(
        self, row: Row, selection: Selection, joined: "_Joined"
    ) -> AsyncGenerator[pb.WatchEventsResponse, None]:
        sent = joined.sent(row)
        for index, event in enumerate(row.events):
            if index < sent:
                continue
            cursor = encode(joined.cursor(row, index))
            message = row.message(index)
            if selection.wants_itself(event):
                yield pb.WatchEventsResponse(event=message, cursor=cursor)
            if selection.derives(event):
                async for flow in self._flows.of(message):
                    yield pb.WatchEventsResponse(event=flow, cursor=cursor)


def _expired() -> Gone:
    return Gone("CURSOR_EXPIRED", "cursor: the stream no longer holds what follows it")


def _batch(data: bytes) -> history_service_pb2.EventBatch:
    try:
        return history_service_pb2.EventBatch.FromString(data)
    except DecodeError:
        # The intake has counted and reported it; the reader goes on behind it.
        return history_service_pb2.EventBatch()


class _Joined:
    """When and where a stream goes over to the live events."""

    def __init__(
        self, follow: Callable[[], AbstractContextManager[Feed]], stack: ExitStack, after: Cursor
    ) -> None:
        self._follow = follow
        self._stack = stack
        self._after = after
        self._passed = Passed(after.passed)
        self._feed: Feed | None = None
        self._reached = Cursor(0, Place(0))
        # Commits that were replayed before this process had processed them.
        self.ahead: set[tuple[int, int, int]] = set()

    @property
    def feed(self) -> Feed:
        assert self._feed is not None
        return self._feed

    def replayed(self, row: Row) -> bool:
        """Whether the row was sent before the stream joined, by the replay.

        By its message, unless that is of a stream made anew; by its commit where it was held back
        meanwhile, and comes from an outbox now.
        """
        here = row.stream_made_us == self._reached.stream_made_us
        if here and 0 < row.stream_sequence <= self._reached.place.sequence:
            return True
        return row.commit[:3] in self.ahead

    def sent(self, row: Row) -> int:
        """How many of the events of a row were sent before the cursor that this began with."""
        after, here = self._after, row.cursor
        if row.exact and here.stream_made_us == after.stream_made_us:
            if (here.place.sequence, here.place.row) < (after.place.sequence, after.place.row):
                return END
            if (here.place.sequence, here.place.row) == (after.place.sequence, after.place.row):
                return after.place.event + 1
        sent = self._passed.sent(row.commit)
        if row.exact and not sent:
            incarnation, position, part, number = row.commit
            self._passed.forget(incarnation, (position, part, number, END))
        return sent

    def cursor(self, row: Row, index: int) -> Cursor:
        """From where to resume after an event."""
        here, reached = row.cursor_of(index), self._reached
        if here.stream_made_us == reached.stream_made_us and here.place < reached.place:
            here = replace(here, place=reached.place)
        return self._passed.joined(here)

    def join(self, reached: Cursor) -> None:
        """All messages up to `reached` have been sent otherwise."""
        self._reached = reached
        self._feed = self._stack.enter_context(self._follow())


class _Repeats:
    """Recognises commits that a publisher sent again."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int]] = {}

    def is_new(self, batch: history_service_pb2.EventBatch) -> bool:
        key = (batch.position, batch.part)
        if key <= self._seen.get(batch.incarnation, (0, -1)):
            return False
        self._seen[batch.incarnation] = key
        return True
