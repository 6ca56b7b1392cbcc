"""Takes the stream in: in order to the open streams, and to the keeper what must be delivered."""

import asyncio
from contextlib import aclosing
from typing import Final

from google.protobuf.message import DecodeError
from structlog.typing import FilteringBoundLogger

from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2_grpc
from flowmesh.bus import Message
from flowmesh.errors import FlowmeshError
from flowmesh.event.intake.buffer import Keeper
from flowmesh.event.intake.sequencer import Arrival, Need, Sequencer, whole
from flowmesh.event.intake.stream import EventStream
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.subscriptions.cursors import END, PASSED_MAX, Cursor, Passed, Place, Spot
from flowmesh.event.subscriptions.fanout import Fanout
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Loop

OUTBOX_POSITIONS: Final = 100


class Intake:
    """How far this process is in the stream, and what it does with each commit."""

    def __init__(
        self,
        *,
        stream: EventStream,
        sequencer: Sequencer,
        fanout: Fanout,
        keeper: Keeper,
        metrics: EventMetrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._stream = stream
        self._sequencer = sequencer
        self._fanout = fanout
        self._keeper = keeper
        self._metrics = metrics
        self._log = log
        self._taken = metrics.messages.labels("taken")
        self._malformed = metrics.messages.labels("malformed")
        self._needed = asyncio.Event()
        self._begun = asyncio.Event()
        self.stream_made_us = 0
        # Of the last message that came, and of the last one before which nothing is held.
        self.last_sequence = 0
        self.settled = 0
        # Of the last one that there was at the beginning: what was processed before it is dropped.
        self._begun_at = 0
        self._moved = asyncio.Event()
        self._passed = Passed()

    @property
    def here(self) -> Cursor:
        """From where to resume without missing anything that was not processed yet."""
        return Cursor(self.stream_made_us, Place(self.settled), self._passed.spots)

    async def run(self) -> None:
        """Reads the stream from where the keeper says; ends only by an error."""
        await self._stream.bus.until_connected()
        await self._stream.ensure()
        await self._begin()
        async with aclosing(self._stream.messages(self.last_sequence + 1)) as messages:
            async for message in messages:
                if message.stream_sequence <= self.last_sequence:
                    # The stream was made anew; what it repeats is dropped by position.
                    await self._begin_anew()
                self._receive(message)
                if self._keeper.full:
                    await self._keeper.until_room()

    async def _begin(self) -> None:
        state = await self._stream.state()
        known = self._keeper.place
        reached, anew = 0, False
        if self.stream_made_us == state.made_us:
            # Begun again after an error: what was read is known here.
            reached = self.last_sequence
        elif known is not None and known.made_us == state.made_us:
            reached = known.sequence
        else:
            anew = True
        self._begun_at = state.last
        self._is_in(state.made_us, max(state.first - 1, reached), anew=anew)
        self._begun.set()

    def _is_in(self, stream_made_us: int, reached: int, *, anew: bool) -> None:
        """Whatever counted in another stream counts in this one no more."""
        self.stream_made_us, self.last_sequence = stream_made_us, reached
        if anew:
            # Publishers send again what was sent out of the lost one.
            self._sequencer.stream_lost()
            self._passed.reset(self._sequencer.spots(PASSED_MAX))
        self._settle()

    async def until_begun(self) -> None:
        """Returns when this process knows where it is in the stream."""
        await self._begun.wait()

    async def until_at(self, cursor: Cursor) -> None:
        """Returns when all that comes live from now on is behind the cursor.

        Nothing before it is held here any more; what was there when this process began, and may
        have been processed by the one before it, has been read.
        """
        while self.stream_made_us < cursor.stream_made_us or (
            self.stream_made_us == cursor.stream_made_us
            and (self.settled < cursor.place.sequence or self.last_sequence < self._begun_at)
        ):
            self._moved.clear()
            await self._moved.wait()

    def is_done(self, batch: pb.EventBatch) -> bool:
        """Whether it was processed: it never comes live any more then, and else it will."""
        return batch.position <= self._sequencer.done(batch.incarnation)

    def held_behind(self) -> dict[int, int]:
        """The incarnations of which something is held, and the position behind which that is."""
        return self._sequencer.held_behind()

    async def _begin_anew(self) -> None:
        self._log.warning("event_stream_made_anew")
        made_us = (await self._stream.state()).made_us
        self._begun_at = 0
        self._is_in(made_us, 0, anew=True)

    def _receive(self, message: Message) -> None:
        failpoint("event.received")
        self.last_sequence = message.stream_sequence
        try:
            batch = pb.EventBatch.FromString(message.data)
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
            self.stream_made_us,
        )
        in_order = not self._sequencer.waiting
        ready = self._sequencer.offer(arrival)
        # Only what passes at once has a place of its own: what was held comes out of the
        # stream's order, and whoever resumes must not miss what was behind it.
        exact = in_order and bool(ready)
        if in_order and not self._sequencer.waiting:
            self._passed.forget(batch.incarnation, _behind(arrival))
        self._process(ready, exact=exact)
        if self._sequencer.waiting:
            # The place stays before what is held: it does not tell how far this one is.
            self._passed.note(batch.incarnation, whole(self._sequencer.done(batch.incarnation)))
        self._settle()

    def filled(self, need: Need, answer: pb.ReadOutboxResponse) -> int:
        """Processes what an outbox had; returns how many commits that released."""
        skipped = self._sequencer.skipped
        ready = self._sequencer.filled(need, answer.batches, last_position=answer.last_position)
        if self._sequencer.skipped > skipped:
            self._log.warning(
                "event_positions_skipped",
                incarnation=need.incarnation,
                count=self._sequencer.skipped - skipped,
            )
        self._process(ready, exact=False)
        self._settle()
        self._metrics.filled.inc(len(answer.batches))
        return len(ready)

    def log_unfilled(self, need: Need, error: FlowmeshError) -> None:
        self._log.info("outbox_unread", incarnation=need.incarnation, reason=error.reason)

    def needs(self) -> list[Need]:
        return self._sequencer.needs()

    async def until_needed(self) -> None:
        """Returns when something is missing that only an outbox can give."""
        await self._needed.wait()
        self._needed.clear()

    def _process(self, ready: list[Arrival], *, exact: bool) -> None:
        for arrival in ready:
            self._fanout.publish(arrival, self._passed.spots, None if exact else self.here)
            self._keeper.take(arrival)
            if not exact:
                self._passed.note(arrival.batch.incarnation, _behind(arrival))

    def _settle(self) -> None:
        held = self._sequencer.stream_sequence_held()
        self.settled = self.last_sequence if held is None else min(held - 1, self.last_sequence)
        self._keeper.is_in(self.stream_made_us, self.settled)
        self._moved.set()
        if self._sequencer.waiting:
            self._needed.set()


def _behind(arrival: Arrival) -> Spot:
    position = arrival.batch.position
    return whole(position) if arrival.last_part else (position, arrival.part, END, END)


class IntakeLoop(Loop):
    """Reads the stream for ever; starts again after an error."""

    interval_ms = 100

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def run_once(self) -> None:
        await self._intake.run()


class FillLoop(Loop):
    """Asks an orchestrator's outbox for what the stream lacks. Does nothing otherwise."""

    interval_ms = 100

    def __init__(
        self, *, intake: Intake, outbox: "history_service_pb2_grpc.OutboxServiceAsyncStub"
    ) -> None:
        self._intake = intake
        self._outbox = outbox

    async def run_once(self) -> int:
        """Waits until something is missing, asks for it; returns how much that released.

        Goes on at once while that helps, so that a long outbox is read page by page.
        """
        if not self._intake.needs():
            await self._intake.until_needed()
        released = 0
        while needs := self._intake.needs():
            before = released
            for need in needs:
                released += self._intake.filled(need, await self._read(need))
            if released == before:
                break
        return released

    async def _read(self, need: Need) -> pb.ReadOutboxResponse:
        answer = await self._ask(need)
        if answer.batches or answer.last_position <= need.after:
            return answer
        # Nothing there although more was committed. Only when it is still not there after that
        # was known has it been served; else it may have been committed just in between.
        again = await self._ask(need)
        return pb.ReadOutboxResponse(batches=again.batches, last_position=answer.last_position)

    async def _ask(self, need: Need) -> pb.ReadOutboxResponse:
        request = pb.ReadOutboxRequest(
            incarnation=need.incarnation,
            after=need.after,
            position_count_max=OUTBOX_POSITIONS,
        )
        try:
            return await self._outbox.ReadOutbox(request)
        except FlowmeshError as error:
            # Nobody can say now: an answer that proves nothing, and the next round asks again.
            self._intake.log_unfilled(need, error)
            return pb.ReadOutboxResponse(last_position=need.after)
