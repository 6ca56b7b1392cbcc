"""Who follows a namespace gets every event once, whatever is held back and whoever restarts."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import structlog

from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.event.cursors import Cursor, Place, encode
from flowmesh.event.fanout import Fanout
from flowmesh.event.intake import Intake
from flowmesh.event.keeper import Keeper
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.selection import Selection
from flowmesh.event.sequencer import Sequencer
from flowmesh.event.store import Place as Stored
from flowmesh.event.stream import StreamState
from flowmesh.event.watch_events import NamespaceWatch
from flowmesh.runtime import Clock
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import done

MADE_US = 7
A, B = 1, 2
"""Two incarnations."""


def commit(incarnation: int, position: int) -> pb.EventBatch:
    """One event of one execution, which says whose and which it is."""
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
    """Messages by their sequence, of a stream that can be made anew."""

    def __init__(self, *batches: pb.EventBatch) -> None:
        self.name, self.made_us = "S", MADE_US
        self.batches = list(batches)
        self.more = asyncio.Event()
        self.read = 0
        self.bus: Any = SimpleNamespace(until_connected=self.ensure)

    async def ensure(self) -> None:
        """It is there."""

    async def state(self) -> StreamState:
        return StreamState(self.made_us, 1, len(self.batches))

    def put(self, *batches: pb.EventBatch) -> None:
        self.batches.extend(batches)
        self.more.set()

    def lose(self, *batches: pb.EventBatch) -> None:
        """Another one of the same name holds these."""
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
    """An event service that goes on where one before it was."""

    def __init__(self, stream: Stream, positions: dict[int, int], settled: int) -> None:
        metrics, log, unused = EventMetrics(Metrics()), structlog.get_logger(), Any
        self.stream = stream
        fanout = Fanout(clock=Clock(), metrics=metrics, log=log)
        nowhere: Any = unused
        self.keeper = Keeper(
            store=nowhere,
            stream=stream.name,
            place=Stored(stream.name, MADE_US, settled),
            positions=positions,
            metrics=metrics,
            log=log,
            on_callbacks=lambda: None,
        )
        some: Any = stream
        self.intake = Intake(
            stream=some,
            sequencer=Sequencer(positions),
            fanout=fanout,
            keeper=self.keeper,
            metrics=metrics,
            log=log,
        )
        self.watch = NamespaceWatch(
            fanout=fanout, intake=self.intake, stream=some, flows=nowhere, metrics=metrics
        )
        self.got: list[str] = []
        self.cursors: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._tasks.append(asyncio.create_task(self.intake.run()))

    def follow(self, cursor: str) -> None:
        self._tasks.append(asyncio.create_task(self._follow(cursor)))

    async def _follow(self, cursor: str) -> None:
        async for response in self.watch.events("default", Selection(), cursor=cursor):
            self.cursors.append(response.cursor)
            if not response.subscribed:
                self.got.append(_name(response))

    def fill(self, *batches: pb.EventBatch) -> None:
        """The outbox answers what is needed."""
        (need,) = self.intake.needs()
        last = max(batch.position for batch in batches)
        self.intake.filled(need, pb.ReadOutboxResponse(batches=batches, last_position=last))

    async def has(self, *names: str) -> None:
        """These have come, and once all is still no others."""
        await done(f"{names}", lambda: len(self.got) >= len(names), within_s=5)
        for _ in range(20):
            await asyncio.sleep(0)
        assert self.got == [*names]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _name(response: event_service_pb2.WatchEventsResponse) -> str:
    return response.event.event.task_scheduled.node


async def test_what_was_processed_before_a_restart_is_replayed() -> None:
    """The former process was further than the place before which nothing is held."""
    stream = Stream(commit(A, 1), commit(B, 2), commit(A, 2), commit(A, 3))
    service = Service(stream, {A: 3}, settled=1)
    await service.intake._begin()
    service.follow(encode(Cursor(MADE_US, Place(1, 0, 0))))
    await service.has("2/2", "1/2", "1/3")
    service.begin()
    await done("the gap is seen", service.intake.needs, within_s=5)
    service.fill(commit(B, 1), commit(B, 2))
    await service.has("2/2", "1/2", "1/3", "2/1")
    stream.put(commit(A, 4), commit(B, 3))
    await service.has("2/2", "1/2", "1/3", "2/1", "1/4", "2/3")
    await service.close()


async def test_what_is_held_while_somebody_resumes_comes_once() -> None:
    """The replay has passed it when the outbox gives it."""
    stream = Stream(commit(A, 1), commit(B, 2), commit(A, 2))
    service = Service(stream, {}, settled=0)
    service.begin()
    await done("the gap is seen", service.intake.needs, within_s=5)
    service.follow(encode(Cursor(MADE_US, Place(1, 0, 0))))
    await service.has("2/2", "1/2")
    service.fill(commit(B, 1), commit(B, 2))
    await service.has("2/2", "1/2", "2/1")
    stream.put(commit(B, 3))
    await service.has("2/2", "1/2", "2/1", "2/3")
    await service.close()


async def test_the_place_of_a_lost_stream_is_none_in_the_next() -> None:
    """Also of what was held from it: a place that high would leave out what comes there."""
    stream = Stream(commit(A, 1), commit(A, 2), commit(B, 2))
    service = Service(stream, {}, settled=0)
    service.begin()
    await done("the gap is seen", service.intake.needs, within_s=5)
    assert (service.keeper.stream_made_us, service.keeper.settled) == (MADE_US, 2)
    stream.lose(commit(A, 3))
    await done("it is in the new one", lambda: service.keeper.stream_made_us != MADE_US, within_s=5)
    assert service.keeper.settled <= service.intake.last_sequence == 1
    service.fill(commit(B, 1))
    assert service.keeper.settled == 1
    await service.close()
