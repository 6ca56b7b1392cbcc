"""Reading the event stream: ordered commits to the open streams and to the buffer."""

import asyncio
from contextlib import aclosing
from typing import Final

from google.protobuf.message import DecodeError
from structlog.typing import FilteringBoundLogger

from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2_grpc
from flowmesh.bus import Message
from flowmesh.errors import FlowmeshError
from flowmesh.event.intake.buffer import IntakeBuffer
from flowmesh.event.intake.sequencer import Gap, Sequencer, end_of_commit
from flowmesh.event.intake.stream import EventStream
from flowmesh.event.live.arrival import Arrival
from flowmesh.event.live.cursors import END, PASSED_MAX, Cursor, Passed, Place, Spot
from flowmesh.event.live.fanout import Fanout
from flowmesh.event.metrics import EventMetrics
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Loop

OUTBOX_POSITIONS: Final = 100


class Intake:
    """The position of this process in the stream, and the processing of each commit."""

    def __init__(
        self,
        *,
        stream: EventStream,
        sequencer: Sequencer,
        fanout: Fanout,
        buffer: IntakeBuffer,
        metrics: EventMetrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._stream = stream
        self._sequencer = sequencer
        self._fanout = fanout
        self._buffer = buffer
        self._metrics = metrics
        self._log = log
        self._taken = metrics.messages.labels("taken")
        self._malformed = metrics.messages.labels("malformed")
        self._needed = asyncio.Event()
        self._started = asyncio.Event()
        self.stream_created_us = 0
        # The last message received, and the last one before which nothing is held.
        self.last_sequence = 0
        self.settled = 0
        # The last message at the start: commits that were processed before are dropped up to it.
        self._initial_last_sequence = 0
        self._moved = asyncio.Event()
        self._passed = Passed()

    @property
    def here(self) -> Cursor:
        """The cursor from which a subscriber misses nothing that is not processed yet."""
        return Cursor(self.stream_created_us, Place(self.settled), self._passed.spots)

    async def read_stream(self) -> None:
        """Read the stream from the stored position. Returns only by an error."""
        await self._stream.bus.until_connected()
        await self._stream.ensure()
        await self._begin()
        async with aclosing(self._stream.messages(self.last_sequence + 1)) as messages:
            async for message in messages:
                if message.stream_sequence <= self.last_sequence:
                    # The stream was recreated; repeated commits are dropped by their position.
                    await self._restart_stream()
                self._receive(message)
                if self._buffer.full:
                    await self._buffer.until_room()

    async def _begin(self) -> None:
        state = await self._stream.state()
        known = self._buffer.place
        reached, new_stream = 0, False
        if self.stream_created_us == state.made_us:
            # Restarted after an error: the position is known in memory.
            reached = self.last_sequence
        elif known is not None and known.made_us == state.made_us:
            reached = known.sequence
        else:
            new_stream = True
        self._initial_last_sequence = state.last
        self._set_position(state.made_us, max(state.first - 1, reached), new_stream=new_stream)
        self._started.set()

    def _set_position(self, stream_created_us: int, reached: int, *, new_stream: bool) -> None:
        """Set the position; positions of another stream do not apply to this one."""
        self.stream_created_us, self.last_sequence = stream_created_us, reached
        if new_stream:
            # Publishers repeat messages that were lost with the old stream.
            self._sequencer.stream_lost()
            self._passed.reset(self._sequencer.spots(PASSED_MAX))
        self._settle()

    async def until_started(self) -> None:
        """Return when the position in the stream is known."""
        await self._started.wait()

    async def until_after(self, cursor: Cursor) -> None:
        """Return when all live events from now on are after the cursor.

        Nothing before the cursor is held any more, and all messages that existed at the start of
        this process, which its predecessor may have processed, have been read.
        """
        while self.stream_created_us < cursor.stream_created_us or (
            self.stream_created_us == cursor.stream_created_us
            and (
                self.settled < cursor.place.sequence
                or self.last_sequence < self._initial_last_sequence
            )
        ):
            self._moved.clear()
            await self._moved.wait()

    def is_done(self, batch: pb.EventBatch) -> bool:
        """Return whether the commit was processed; otherwise it will become a live event."""
        return batch.position <= self._sequencer.done(batch.incarnation)

    def held_behind(self) -> dict[int, int]:
        """Return the incarnations with held commits, and the position after which they are held."""
        return self._sequencer.held_behind()

    async def _restart_stream(self) -> None:
        self._log.warning("event_stream_made_anew")
        made_us = (await self._stream.state()).made_us
        self._initial_last_sequence = 0
        self._set_position(made_us, 0, new_stream=True)

    def _receive(self, message: Message) -> None:
        failpoint("event.received")
        self.last_sequence = message.stream_sequence
        try:
            batch = self._stream.batch(message.data)
        except DecodeError:
            self._malformed.inc()
            self._log.error("event_message_malformed", sequence=message.stream_sequence)
            self._settle()
            return
        self._taken.inc()
        arrival = Arrival(
            batch,
            batch.part,
            batch.last_part,
            message.stream_sequence,
            len(message.data),
            self.stream_created_us,
        )
        in_order = not self._sequencer.waiting
        ready = self._sequencer.offer(arrival)
        # Only commits that pass at once have an exact place. Held commits pass out of the order of
        # the stream, and a resumed subscriber must not miss the messages in between.
        exact = in_order and bool(ready)
        if in_order and not self._sequencer.waiting:
            self._passed.forget(batch.incarnation, _behind(arrival))
        self._process(ready, exact=exact)
        if self._sequencer.waiting:
            # The place stays before held commits, so it does not cover this incarnation.
            self._passed.note(
                batch.incarnation, end_of_commit(self._sequencer.done(batch.incarnation))
            )
        self._settle()

    def filled(self, gap: Gap, answer: pb.ReadOutboxResponse) -> int:
        """Process the response of an outbox. Return the number of released commits."""
        skipped = self._sequencer.skipped
        ready = self._sequencer.filled(gap, answer.batches, last_position=answer.last_position)
        if self._sequencer.skipped > skipped:
            self._log.warning(
                "event_positions_skipped",
                incarnation=gap.incarnation,
                count=self._sequencer.skipped - skipped,
            )
        self._process(ready, exact=False)
        self._settle()
        self._metrics.filled.inc(len(answer.batches))
        return len(ready)

    def log_unfilled(self, gap: Gap, error: FlowmeshError) -> None:
        self._log.info("outbox_unread", incarnation=gap.incarnation, reason=error.reason)

    def gaps(self) -> list[Gap]:
        return self._sequencer.gaps()

    async def until_needed(self) -> None:
        """Return when commits are missing that only an outbox can provide."""
        await self._needed.wait()
        self._needed.clear()

    def _process(self, ready: list[Arrival], *, exact: bool) -> None:
        for arrival in ready:
            self._fanout.publish(arrival, self._passed.spots, None if exact else self.here)
            self._buffer.take(arrival)
            if not exact:
                self._passed.note(arrival.batch.incarnation, _behind(arrival))

    def _settle(self) -> None:
        held = self._sequencer.stream_sequence_held()
        self.settled = self.last_sequence if held is None else min(held - 1, self.last_sequence)
        self._buffer.set_stream_position(self.stream_created_us, self.settled)
        self._moved.set()
        if self._sequencer.waiting:
            self._needed.set()


def _behind(arrival: Arrival) -> Spot:
    position = arrival.batch.position
    return end_of_commit(position) if arrival.last_part else (position, arrival.part, END, END)


class IntakeLoop(Loop):
    """Reads the stream; restarts after an error."""

    interval_ms = 100

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def run_once(self) -> None:
        await self._intake.read_stream()


class GapFillLoop(Loop):
    """Reads commits that the stream lacks from the outbox of an orchestrator."""

    interval_ms = 100

    def __init__(
        self, *, intake: Intake, outbox: "history_service_pb2_grpc.OutboxServiceAsyncStub"
    ) -> None:
        self._intake = intake
        self._outbox = outbox

    async def run_once(self) -> int:
        """Wait for gaps and read them from the outbox. Return the number of released commits.

        Continues while it makes progress, so that a long outbox is read page by page.
        """
        if not self._intake.gaps():
            await self._intake.until_needed()
        released = 0
        while gaps := self._intake.gaps():
            before = released
            for gap in gaps:
                released += self._intake.filled(gap, await self._read(gap))
            if released == before:
                break
        return released

    async def _read(self, gap: Gap) -> pb.ReadOutboxResponse:
        answer = await self._ask(gap)
        if answer.batches or answer.last_position <= gap.after:
            return answer
        # The outbox has no rows although more was committed. Only if a second read lacks them too
        # were they delivered before; otherwise they were committed between the two reads.
        again = await self._ask(gap)
        return pb.ReadOutboxResponse(batches=again.batches, last_position=answer.last_position)

    async def _ask(self, gap: Gap) -> pb.ReadOutboxResponse:
        request = pb.ReadOutboxRequest(
            incarnation=gap.incarnation,
            after=gap.after,
            position_count_max=OUTBOX_POSITIONS,
        )
        try:
            return await self._outbox.ReadOutbox(request)
        except FlowmeshError as error:
            # No orchestrator answered: return an empty response; the next round asks again.
            self._intake.log_unfilled(gap, error)
            return pb.ReadOutboxResponse(last_position=gap.after)
