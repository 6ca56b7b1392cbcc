"""The events of a namespace, from now on or from a place in the stream on."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, aclosing

from google.protobuf.message import DecodeError

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.errors import Gone, Overloaded
from flowmesh.event.cursors import END, Cursor, Place, decode, encode
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
        after = await self._checked(decode(cursor)) if cursor else Place(0)
        with ExitStack() as stack:
            joined = _Joined(lambda: self._fanout.follow_namespace(namespace, selection), stack)
            if cursor:
                yield pb.WatchEventsResponse(cursor=cursor, subscribed=True)
                async for row in self._replayed(namespace, selection, after, joined):
                    async for response in self._responses(row, selection, after):
                        yield response
            else:
                joined.join(0)
                yield pb.WatchEventsResponse(cursor=self._here(), subscribed=True)
            async for row in self._live(joined):
                async for response in self._responses(row, selection, after):
                    yield response

    def _here(self) -> str:
        """Where the live events are now; empty while the stream was not seen yet."""
        if not self._intake.stream_made_us:
            return ""
        return encode(Cursor(self._intake.stream_made_us, Place(self._intake.settled)))

    async def _checked(self, cursor: Cursor) -> Place:
        """The cursor's place, if the stream still holds what follows it."""
        state = await self._stream.state()
        next_message = cursor.place.sequence + (1 if cursor.place.row == END else 0)
        held = state.first <= max(1, next_message) <= state.last + 1
        if cursor.stream_made_us != state.made_us or not held:
            raise Gone("CURSOR_EXPIRED", "cursor: the stream no longer holds what follows it")
        return cursor.place

    async def _replayed(
        self, namespace: str, selection: Selection, after: Place, joined: "_Joined"
    ) -> AsyncIterator[Row]:
        """What the stream holds behind the place, until this process is not ahead any more.

        Joins the live events in the very moment in which that is so.
        """
        reached = after.sequence if after.row == END else after.sequence - 1
        if self._intake.last_sequence <= reached:
            joined.join(reached)
            return
        repeats = _Repeats()
        async with aclosing(self._stream.messages(reached + 1)) as messages:
            async for message in messages:
                sequence = message.stream_sequence
                batch = _batch(message.data)
                for index, row in enumerate(batch.rows if repeats.is_new(batch) else ()):
                    if row.namespace == namespace and selection.wants_row(
                        row.workflow_id, row.execution_id
                    ):
                        place = Place(sequence, index, 0)
                        yield parse_row(row, place, exact=True, stream_sequence=sequence)
                if self._intake.last_sequence <= sequence:
                    joined.join(sequence)
                    return

    async def _live(self, joined: "_Joined") -> AsyncIterator[Row]:
        while True:
            try:
                rows = await joined.feed.backlog.take()
            except Overloaded:
                self._metrics.slow.inc()
                raise
            for row in rows:
                # What was held back here while the replay passed it has been sent.
                if row.stream_sequence == 0 or row.stream_sequence > joined.reached:
                    yield row

    async def _responses(
        self, row: Row, selection: Selection, after: Place
    ) -> AsyncGenerator[pb.WatchEventsResponse, None]:
        for index, event in enumerate(row.events):
            place = row.place_of(index)
            if row.exact and place <= after:
                continue
            cursor = encode(Cursor(self._intake.stream_made_us, place))
            message = row.message(index)
            if selection.wants_itself(event):
                yield pb.WatchEventsResponse(event=message, cursor=cursor)
            if selection.derives(event):
                async for flow in self._flows.of(message):
                    yield pb.WatchEventsResponse(event=flow, cursor=cursor)


def _batch(data: bytes) -> history_service_pb2.EventBatch:
    try:
        return history_service_pb2.EventBatch.FromString(data)
    except DecodeError:
        # The intake has counted and reported it; the reader goes on behind it.
        return history_service_pb2.EventBatch()


class _Joined:
    """When and where a stream goes over to the live events."""

    def __init__(
        self, follow: Callable[[], AbstractContextManager[Feed]], stack: ExitStack
    ) -> None:
        self._follow = follow
        self._stack = stack
        self._feed: Feed | None = None
        self.reached = 0

    @property
    def feed(self) -> Feed:
        assert self._feed is not None
        return self._feed

    def join(self, reached: int) -> None:
        """All messages up to `reached` have been sent otherwise."""
        self.reached = reached
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
