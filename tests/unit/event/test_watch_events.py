"""A subscriber of a namespace gets every event once, despite held commits and restarts."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from copy import copy
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.errors import Gone
from flowmesh.event.intake.buffer import IntakeBuffer
from flowmesh.event.intake.intake import Intake
from flowmesh.event.intake.sequencer import Gap, Sequencer
from flowmesh.event.intake.stream import StreamState
from flowmesh.event.live.cursors import END, Cursor, Place, encode
from flowmesh.event.live.fanout import Fanout
from flowmesh.event.live.selection import Selection
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.store import StreamPosition as Stored
from flowmesh.event.subscriptions.watch_events import NamespaceWatch
from flowmesh.runtime import Clock
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import done

MADE_US = 7
A, B, C = 1, 2, 3
"""Incarnations."""


def commit(incarnation: int, position: int) -> pb.EventBatch:
    """A commit with one event, which names its incarnation and position."""
    event = history_event_pb2.HistoryEvent(sequence=position)
    event.task_scheduled.node = f"{incarnation}/{position}"
    row = pb.EventRow(
        namespace="default",
        execution_id=f"e{incarnation}",
        workflow_id="w",
        events=history_event_pb2.HistoryEvents(events=[event]).SerializeToString(),
    )
    return pb.EventBatch(incarnation=incarnation, position=position, last_part=True, rows=[row])


class Stream:
    """Messages by sequence, of a stream that can be recreated."""

    def __init__(self, *batches: pb.EventBatch) -> None:
        self.name, self.made_us = "S", MADE_US
        self.batches = list(batches)
        self.more = asyncio.Event()
        self.read = 0
        self.bus: Any = SimpleNamespace(until_connected=self.ensure)

    async def ensure(self) -> None:
        """The stream exists."""

    async def state(self) -> StreamState:
        return StreamState(self.made_us, 1, len(self.batches))

    def batch(self, data: bytes) -> pb.EventBatch:
        return pb.EventBatch.FromString(data)

    def put(self, *batches: pb.EventBatch) -> None:
        self.batches.extend(batches)
        self.more.set()

    def lose(self, *batches: pb.EventBatch) -> None:
        """Recreate the stream with these messages."""
        self.made_us, self.batches = self.made_us + 1, []
        self.put(*batches)

    async def messages(self, start: int) -> AsyncIterator[Any]:
        made_us, following = self.made_us, start
        while True:
            if made_us != self.made_us:
                made_us, following = self.made_us, 1
            while following <= len(self.batches):
                data = self.batches[following - 1].SerializeToString()
                yield SimpleNamespace(stream_sequence=following, data=data)
                following += 1
            self.more.clear()
            await self.more.wait()


class Service:
    """An event service that continues where an earlier one ended."""

    def __init__(self, stream: Stream, positions: dict[int, int], settled: int) -> None:
        metrics, log, unused = EventMetrics(Metrics()), structlog.get_logger(), Any
        self.stream = stream
        fanout = Fanout(clock=Clock(), metrics=metrics, log=log)
        nowhere: Any = unused
        self.buffer = IntakeBuffer(
            store=nowhere,
            stream=stream.name,
            place=Stored(stream.name, MADE_US, settled),
            positions=positions,
            metrics=metrics,
            log=log,
            on_callbacks=lambda: None,
        )
        some: Any = stream
        self.sequencer = Sequencer(positions)
        self.intake = Intake(
            stream=some,
            sequencer=self.sequencer,
            fanout=fanout,
            buffer=self.buffer,
            metrics=metrics,
            log=log,
        )
        self.watch = NamespaceWatch(
            fanout=fanout, intake=self.intake, stream=some, flows=nowhere, metrics=metrics
        )
        self.got: list[str] = []
        self.cursors: list[str] = []
        self.others: list[Service] = []
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._tasks.append(asyncio.create_task(self.intake.read_stream()))

    def follow(self, cursor: str) -> None:
        self._tasks.append(asyncio.create_task(self._follow(cursor)))

    async def _follow(self, cursor: str) -> None:
        async for response in self.watch.events("default", Selection(), cursor=cursor):
            self.cursors.append(response.cursor)
            if not response.subscribed:
                self.got.append(_name(response))

    def fill(self, *batches: pb.EventBatch) -> None:
        """Fill gaps from the outbox."""
        (gap,) = self.intake.gaps()
        last = max(batch.position for batch in batches)
        self.intake.filled(gap, pb.ReadOutboxResponse(batches=batches, last_position=last))

    def another(self) -> "Service":
        """Add a subscriber to the process."""
        made = copy(self)
        made.got, made.cursors = [], []
        self.others.append(made)
        return made

    async def has(self, *names: str) -> None:
        """Assert that exactly these events arrive."""
        await done(f"{names}", lambda: len(self.got) >= len(names), within_s=5)
        await rest()
        assert self.got == [*names]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def rest() -> None:
    """Wait until all tasks are idle."""
    for _ in range(50):
        await asyncio.sleep(0)


def _name(response: event_service_pb2.WatchEventsResponse) -> str:
    return response.event.event.task_scheduled.node


async def test_events_processed_before_a_restart_are_replayed() -> None:
    """The former process had processed more than the stored position."""
    stream = Stream(commit(A, 1), commit(B, 2), commit(A, 2), commit(A, 3))
    service = Service(stream, {A: 3}, settled=1)
    await service.intake._begin()
    service.follow(encode(Cursor(MADE_US, Place(1, 0, 0))))
    service.begin()
    await service.has("1/2", "1/3")
    service.fill(commit(B, 1), commit(B, 2))
    await service.has("1/2", "1/3", "2/1", "2/2")
    stream.put(commit(A, 4), commit(B, 3))
    await service.has("1/2", "1/3", "2/1", "2/2", "1/4", "2/3")
    await service.close()


async def test_held_commits_are_sent_once_and_in_order_to_a_resumed_subscriber() -> None:
    """The replay leaves them to the live events, which include the outbox's version."""
    stream = Stream(commit(A, 1), commit(B, 2), commit(A, 2))
    service = Service(stream, {}, settled=0)
    service.begin()
    await done("the gap is seen", service.intake.gaps, within_s=5)
    service.follow(encode(Cursor(MADE_US, Place(1, 0, 0))))
    await service.has("1/2")
    service.fill(commit(B, 1), commit(B, 2))
    await service.has("1/2", "2/1", "2/2")
    stream.put(commit(B, 3))
    await service.has("1/2", "2/1", "2/2", "2/3")
    await service.close()


async def test_each_cursor_issued_while_commits_are_held_resumes_after_it() -> None:
    """In the same and the next process, before and after the gap is filled."""
    for restarted, filled in product((False, True), repeat=2):
        stream = Stream(commit(A, 1), commit(B, 1), commit(B, 3), commit(A, 2), commit(C, 1))
        service = Service(stream, {}, settled=0)
        service.begin()
        await done("the gap is seen", service.intake.gaps, within_s=5)
        service.follow(encode(Cursor(MADE_US, Place(2))))
        await service.has("1/2", "3/1")
        cursors, positions = service.cursors, {A: 2, B: 1, C: 1}
        if restarted:
            await service.close()
            service = Service(stream, positions, settled=2)
            service.begin()
        for known, cursor in enumerate(cursors):
            follower = service.another()
            follower.follow(cursor)
            if not filled:
                await follower.has(*["1/2", "3/1"][known:])
        await done("the gap is seen", service.intake.gaps, within_s=5)
        await rest()
        service.fill(commit(B, 2), commit(B, 3))
        for known, follower in enumerate(service.others):
            await follower.has(*["1/2", "3/1", "2/2", "2/3"][known:])
        await service.close()


async def test_the_place_stays_before_held_commits_of_an_outbox() -> None:
    """Its message is in the stream: a later place would skip it after a restart."""
    heir = commit(B, 1)
    heir.after.add(incarnation=C, position=1)
    heir.after.add(incarnation=A, position=9)
    stream = Stream(commit(A, 1), heir, commit(A, 2))
    service = Service(stream, {}, settled=0)
    service.begin()
    await done("the gap is seen", service.intake.gaps, within_s=5)
    service.intake.filled(Gap(B, 0), pb.ReadOutboxResponse(batches=[heir], last_position=1))
    assert service.buffer.settled == 1
    await service.close()


async def test_a_commit_with_a_lost_part_is_sent_once() -> None:
    """The outbox has all parts; the subscriber has got none before."""
    whole = commit(A, 1)
    whole.rows.append(commit(A, 2).rows[0])
    first = pb.EventBatch(incarnation=A, position=1, rows=[whole.rows[0]])
    stream = Stream(commit(B, 1), first)
    service = Service(stream, {}, settled=0)
    service.begin()
    service.follow(encode(Cursor(MADE_US, Place(1))))
    await done("the part has come", lambda: service.intake.last_sequence == 2, within_s=5)
    stream.put(commit(A, 2))
    await done("the gap is seen", service.intake.gaps, within_s=5)
    service.fill(whole)
    await service.has("1/1", "1/2", "1/2")
    await service.close()


async def test_a_subscriber_waits_for_a_process_that_is_behind_its_cursor() -> None:
    """Another process had filled the gap and issued the cursor; this one fills it again."""
    stream = Stream(commit(A, 1), commit(A, 3), commit(B, 1))
    service = Service(stream, {}, settled=0)
    service.begin()
    await done("the gap is seen", service.intake.gaps, within_s=5)
    service.follow(encode(Cursor(MADE_US, Place(3))))
    await service.has()
    service.fill(commit(A, 2), commit(A, 3))
    stream.put(commit(B, 2))
    await service.has("2/2")
    await service.close()


async def test_a_restarted_intake_continues_at_its_position() -> None:
    """Not at the stored position: a resumed subscriber gets the events in between."""
    stream = Stream(commit(A, 1), commit(A, 2), commit(A, 3))
    service = Service(stream, {}, settled=0)
    service.begin()
    await done("all is read", lambda: service.intake.settled == 3, within_s=5)
    await service.close()
    service.begin()
    service.follow(encode(Cursor(MADE_US, Place(1))))
    await service.has("1/2", "1/3")
    stream.put(commit(A, 4))
    await service.has("1/2", "1/3", "1/4")
    await service.close()


class Life:
    """Commits, lost messages, late outboxes, restarts, and a subscriber during all of it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.stream = Stream()
        self.committed: list[pb.EventBatch] = []
        self.service = self.follower = Service(self.stream, {}, settled=0)
        self.got: list[str] = []

    def commit(self, incarnation: int, *, lost: float) -> None:
        last = Counter(batch.incarnation for batch in self.committed)
        batch = commit(incarnation, last[incarnation] + 1)
        if incarnation != A and last[A] and self.chance.random() < 0.3:
            batch.after.add(incarnation=A, position=last[A])
        self.committed.append(batch)
        if self.chance.random() >= lost:
            self.stream.put(batch)

    def fill(self) -> None:
        for gap in self.service.intake.gaps():
            mine = [each for each in self.committed if each.incarnation == gap.incarnation]
            page = [each for each in mine if each.position > gap.after]
            last = mine[-1].position if mine else 0
            answer = pb.ReadOutboxResponse(
                batches=page[: self.chance.randrange(1, 4)], last_position=last
            )
            self.service.intake.filled(gap, answer)

    async def restart(self) -> None:
        """Processed commits are stored before."""
        await self.service.close()
        positions = {each: self.service.sequencer.done(each) for each in (A, B, C)}
        self.service = Service(self.stream, positions, self.service.buffer.settled)
        self.service.begin()
        self.resume(self.service)

    def resume(self, follower: Service) -> None:
        cursor = self.follower.cursors[-1]
        self.got += self.follower.got
        self.follower = follower
        follower.follow(cursor)

    async def step(self) -> None:
        what = self.chance.random()
        if what < 0.6:
            self.commit(self.chance.choice((A, B, C)), lost=0.3)
        elif what < 0.7:
            self.fill()
        elif what < 0.85:
            self.resume(self.service.another())
        else:
            await self.restart()
        await rest()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100))
async def test_a_subscriber_resumed_at_any_time_gets_every_event_once_in_order(seed: int) -> None:
    """With lost messages, late outboxes and restarts."""
    life = Life(seed)
    life.service.begin()
    life.follower.follow("")
    await rest()
    for _ in range(60):
        await life.step()
    for incarnation in (A, B, C):
        life.commit(incarnation, lost=0)
    await rest()
    while life.service.intake.gaps():
        life.fill()
        await rest()
    await life.service.close()

    got = life.got + life.follower.got
    assert sorted(got) == sorted(f"{b.incarnation}/{b.position}" for b in life.committed)
    at = {name: index for index, name in enumerate(got)}
    for batch in life.committed:
        former = [f"{each.incarnation}/{each.position}" for each in batch.after]
        former += [f"{batch.incarnation}/{batch.position - 1}"] if batch.position > 1 else []
        assert all(at[each] < at[f"{batch.incarnation}/{batch.position}"] for each in former)


async def test_a_permanent_gap_of_the_stream_is_reported() -> None:
    """An outbox provided the gap after the cursor, and no longer holds it."""
    stream = Stream(commit(A, 1), commit(A, 3), commit(B, 1))
    service = Service(stream, {A: 3, B: 1}, settled=3)
    service.begin()
    await service.intake.until_started()
    cursor = encode(Cursor(MADE_US, Place(1), ((A, (1, END, END, END)),)))
    watched = service.watch.events("default", Selection(), cursor=cursor)
    assert (await anext(watched)).subscribed
    with pytest.raises(Gone):
        await anext(watched)
    await service.close()


async def test_places_of_a_lost_stream_are_invalid_in_the_next() -> None:
    """Nothing of the new stream is settled while commits of the old one are held."""
    stream = Stream(commit(A, 1), commit(A, 2), commit(B, 2))
    service = Service(stream, {}, settled=0)
    service.begin()
    await done("the gap is seen", service.intake.gaps, within_s=5)
    assert (service.buffer.stream_created_us, service.buffer.settled) == (MADE_US, 2)
    stream.lose(commit(A, 3))
    await done(
        "it is in the new one", lambda: service.buffer.stream_created_us != MADE_US, within_s=5
    )
    assert (service.buffer.settled, service.intake.last_sequence) == (0, 1)
    service.fill(commit(B, 1))
    assert service.buffer.settled == 1
    await service.close()
