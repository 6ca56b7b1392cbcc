"""The events of a namespace, from now on or from a cursor."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, aclosing

from google.protobuf.message import DecodeError

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.errors import Gone, Overloaded
from flowmesh.event.intake.intake import Intake
from flowmesh.event.intake.stream import EventStream
from flowmesh.event.live.cursors import END, Cursor, Passed, Place, Spots, decode, encode
from flowmesh.event.live.fanout import Fanout, Feed, Row, parse_row
from flowmesh.event.live.selection import Selection
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.subscriptions.flows import Flows


class NamespaceWatch:
    """Streams the selected events of a namespace."""

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
        """Yield a confirmation, then events, each with a cursor; never ends by itself."""
        asked = decode(cursor) if cursor else Cursor(0, Place(0))
        # Before that, neither the live events nor a cursor to resume from are known.
        await self._intake.until_started()
        after = await self.checked(asked) if cursor else asked
        with ExitStack() as stack:
            joined = _LiveSwitch(
                lambda: self._fanout.follow_namespace(namespace, selection), stack, after
            )
            if cursor:
                yield pb.WatchEventsResponse(cursor=cursor, subscribed=True)
                async for row in self._replayed(namespace, selection, after, joined):
                    async for response in self._responses(row, selection, joined):
                        yield response
            else:
                joined.join(self._intake)
                yield pb.WatchEventsResponse(cursor=encode(self._intake.here), subscribed=True)
            async for row in self._live(joined):
                async for response in self._responses(row, selection, joined):
                    yield response

    async def checked(self, cursor: Cursor) -> Cursor:
        """Return the cursor. Raise CURSOR_EXPIRED if the stream lacks events after it."""
        state = await self._stream.state()
        next_message = cursor.place.sequence + (1 if cursor.place.row == END else 0)
        held = state.first <= max(1, next_message) <= state.last + 1
        if cursor.stream_created_us != state.made_us or not held:
            raise _expired()
        return cursor

    async def _replayed(
        self, namespace: str, selection: Selection, after: Cursor, joined: "_LiveSwitch"
    ) -> AsyncIterator[Row]:
        """Yield the processed messages of the stream after the cursor.

        Unprocessed messages become live events, which are joined before the first unprocessed
        message or at the end of the stream.
        """
        await self._intake.until_after(after)
        made_us, place = after.stream_created_us, after.place
        reached = place.sequence if place.row == END else place.sequence - 1
        if self._is_last(made_us, reached):
            joined.join(self._intake)
            return
        repeats = _Repeats(after.passed)
        # The last place before the first unprocessed message; live events follow it.
        unsure: Cursor | None = None
        async with aclosing(self._stream.messages(reached + 1)) as messages:
            async for message in messages:
                if message.stream_sequence <= reached or self._intake.stream_created_us != made_us:
                    raise _expired()
                batch = _batch(self._stream, message.data)
                if unsure is None and not self._intake.is_done(batch):
                    unsure = Cursor(made_us, Place(reached))
                    joined.join(self._intake)
                reached = message.stream_sequence
                if reached > joined.until:
                    return
                if not joined.comes_live(batch) and repeats.is_new(batch):
                    for row in _rows(batch, namespace, selection, made_us, reached, unsure):
                        yield row
                        joined.passed(row)
                if unsure is None and self._is_last(made_us, reached):
                    joined.join(self._intake)
                if reached >= joined.until:
                    return

    def _is_last(self, stream_created_us: int, sequence: int) -> bool:
        """Return whether this process has read no message after this one."""
        if self._intake.stream_created_us != stream_created_us:
            raise _expired()
        return self._intake.last_sequence <= sequence

    async def _live(self, joined: "_LiveSwitch") -> AsyncIterator[Row]:
        while True:
            try:
                rows = await joined.feed.backlog.take()
            except Overloaded:
                self._metrics.slow.inc()
                raise
            for row in rows:
                yield row

    async def _responses(
        self, row: Row, selection: Selection, joined: "_LiveSwitch"
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
    return Gone("CURSOR_EXPIRED", "cursor: the stream no longer holds the events after it")


def _batch(stream: EventStream, data: bytes) -> history_service_pb2.EventBatch:
    try:
        return stream.batch(data)
    except DecodeError:
        # The intake has reported it; skip the message.
        return history_service_pb2.EventBatch()


def _rows(
    batch: history_service_pb2.EventBatch,
    namespace: str,
    selection: Selection,
    stream_created_us: int,
    sequence: int,
    unsure: Cursor | None,
) -> Iterator[Row]:
    """Yield the selected rows of a message; `unsure` replaces their places if these are inexact."""
    for index, row in enumerate(batch.rows):
        if row.namespace == namespace and selection.wants_row(row.workflow_id, row.execution_id):
            yield parse_row(
                row,
                unsure or Cursor(stream_created_us, Place(sequence, index, 0)),
                exact=unsure is None,
                commit=(batch.incarnation, batch.position, batch.part, index),
            )


class _LiveSwitch:
    """The switch of a subscriber from stored messages to live events."""

    def __init__(
        self, follow: Callable[[], AbstractContextManager[Feed]], stack: ExitStack, after: Cursor
    ) -> None:
        self._follow = follow
        self._stack = stack
        self._after = after
        self._passed = Passed(after.passed)
        self._feed: Feed | None = None
        # The last message read at the switch, and the commits that were held then.
        self.until = 2**63
        self._held_behind: dict[int, int] = {}

    @property
    def feed(self) -> Feed:
        assert self._feed is not None
        return self._feed

    def comes_live(self, batch: history_service_pb2.EventBatch) -> bool:
        """Return whether the commit was held at the switch."""
        behind = self._held_behind.get(batch.incarnation)
        return behind is not None and batch.position > behind

    def passed(self, row: Row) -> None:
        """Record a row as sent if its place does not cover it."""
        if not row.exact:
            incarnation, *spot = row.commit
            self._passed.note(incarnation, (spot[0], spot[1], spot[2], END))

    def sent(self, row: Row) -> int:
        """Return the number of events of a row that were sent before the initial cursor."""
        after, here = self._after, row.cursor
        if row.exact and here.stream_created_us == after.stream_created_us:
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
        """Return the cursor after an event."""
        return self._passed.joined(row.cursor_of(index))

    def join(self, intake: Intake) -> None:
        """Switch: commits that are processed from now on become live events."""
        self.until, self._held_behind = intake.last_sequence, intake.held_behind()
        self._feed = self._stack.enter_context(self._follow())


class _Repeats:
    """Detection of repeated and of missing commits."""

    def __init__(self, passed: Spots) -> None:
        self._seen = {
            incarnation: (position, part if row == END else part - 1)
            for incarnation, (position, part, row, _) in passed
        }

    def is_new(self, batch: history_service_pb2.EventBatch) -> bool:
        """Return whether the commit is new. Raise CURSOR_EXPIRED if one before it is missing."""
        key = (batch.position, batch.part)
        seen = self._seen.get(batch.incarnation, (batch.position, -1))
        if key <= seen:
            return False
        if batch.position > seen[0] + 1:
            raise _expired()
        self._seen[batch.incarnation] = key
        return True
