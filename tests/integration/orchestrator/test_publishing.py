"""Every commit is published once, whole and in order; what waits for that is bounded."""

import asyncio
from functools import partial
from typing import Any

import orjson
import structlog

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import history_service_pb2 as pb
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import Start, TaskEnded
from flowmesh.orchestrator.commit.publisher import QUEUE_BYTES_MAX, Publisher, message_parts
from flowmesh.orchestrator.model.commands import PendingCommand, PendingStart
from flowmesh.orchestrator.storage.outbox import READ_BYTES_MAX
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.integration.orchestrator.core import Core, MemoryBus, running, until
from tests.integration.orchestrator.factories import digested
from tests.unit.engine.factories import node, plan

ONE_STEP = digested(plan(node("a")))
LARGE = b'"' + b"x" * (200 << 10) + b'"'


class MemoryOutbox:
    """Committed batches by incarnation and position."""

    def __init__(self) -> None:
        self.batches: list[pb.EventBatch] = []
        self.reading = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    def commit(self, incarnation: int, position: int, data: bytes = b"") -> pb.EventBatch:
        batch = pb.EventBatch(incarnation=incarnation, position=position, last_part=True)
        if data:
            batch.rows.add(execution_id="exec", events=data)
        self.batches.append(batch)
        return batch

    async def read(self, incarnation: int, after: int, count: int) -> list[pb.EventBatch]:
        self.reading.set()
        await self.gate.wait()
        mine = [b for b in self.batches if b.incarnation == incarnation and b.position > after]
        return mine[:count]


def publisher_of(bus: Any, outbox: Any) -> Publisher:
    return Publisher(bus=bus, outbox=outbox, prefix="t", log=structlog.get_logger("test"))


async def test_what_is_committed_while_an_earlier_incarnation_is_caught_up_is_published() -> None:
    """Positions of two incarnations are not compared."""
    bus, outbox = MemoryBus(), MemoryOutbox()
    publisher = publisher_of(bus, outbox)
    for position in (1, 2, 3):
        outbox.commit(1, position)
    publisher.begin(1, 0)
    publisher.offer(outbox.batches[-1])
    outbox.gate.clear()
    task = asyncio.create_task(publisher.run())
    await outbox.reading.wait()
    publisher.begin(2, 0)
    publisher.offer(outbox.commit(2, 1))
    publisher.offer(outbox.commit(2, 2))
    outbox.gate.set()
    await until(lambda: {"2:1:0", "2:2:0"} <= set(bus.ids()))
    task.cancel()
    assert [i for i in bus.ids() if i.startswith("2:")] == ["2:1:0", "2:2:0"]


async def test_commits_wait_in_the_outbox_not_in_memory_while_the_bus_is_away() -> None:
    """Large ones too; afterwards all follow in order."""
    bus, outbox = MemoryBus(), MemoryOutbox()
    publisher = publisher_of(bus, outbox)
    publisher.begin(1, 0)
    bus.away = True
    most = 0
    for position in range(1, 200):
        publisher.offer(outbox.commit(1, position, b"x" * (1 << 19)))
        most = max(most, publisher.queued_bytes)
    assert most <= QUEUE_BYTES_MAX + (1 << 19)
    bus.away = False
    task = asyncio.create_task(publisher.run())
    await until(lambda: len(bus.messages) == 199)
    task.cancel()
    assert bus.ids() == [f"1:{position}:0" for position in range(1, 200)]
    assert publisher.queued_bytes == 0


async def started(core: Core, count: int, data: bytes) -> None:
    """So many executions in one commit, as far as they fit."""
    command = Start(payload_pb2.Payload(data=data))
    await asyncio.gather(
        *(
            core.ask(
                lambda reply, p=partition: PendingStart(  # type: ignore[misc]
                    p, command, reply, plan=ONE_STEP, start_digest=b""
                )
            )
            for partition in range(count, 0, -1)
        )
    )


async def test_a_commit_gives_the_same_messages_from_any_publisher(
    store: OrchestratorStore,
) -> None:
    """A part is known by its number: it must hold the same rows when it is sent again."""
    async with running(store) as core:
        core.run(core.memory.publisher.run)
        await started(core, 12, LARGE)
        position = core.memory.line.position
        incarnation = core.memory.ownership.incarnation
        await until(lambda: any(i.startswith(f"{incarnation}:{position}:") for i in core.bus.ids()))
        await until(lambda: not core.memory.publisher.queued_bytes)
        again = await core.memory.outbox.read(incarnation, 0, 1_000)
        parts = [part for batch in again for part in message_parts(batch)]
        assert parts == [data for _, data, _ in core.bus.messages]


async def test_outbox_answers_are_bounded_and_the_next_continues(
    store: OrchestratorStore,
) -> None:
    """Large commits come a few at a time, each of them whole."""
    async with running(store) as core:
        for _ in range(6):
            await started(core, 6, LARGE)
        after, seen = 0, []
        incarnation, last = core.memory.ownership.incarnation, core.memory.line.position
        while after < last:
            batches = await core.memory.outbox.read(incarnation, after, 1_000)
            events = (len(row.events) for batch in batches for row in batch.rows)
            assert sum(events) <= READ_BYTES_MAX
            seen += [batch.position for batch in batches]
            after = seen[-1]
        assert seen == list(range(1, last + 1))


async def test_an_output_too_large_for_an_event_is_stored_and_referred_to(
    store: OrchestratorStore,
) -> None:
    """One that no message could carry would block all later events."""
    both = digested(
        plan(
            node("a"),
            node("b"),
            output_template=b'{"a": "{{tasks.a.output}}", "b": "{{tasks.b.output}}"}',
        )
    )
    async with running(store) as core:
        execution_id = await core.start(both)
        for name in ("a", "b"):
            command = TaskEnded(name, 1, output=payload_pb2.Payload(data=LARGE))
            await core.ask(partial(PendingCommand, execution_id, 1, command))
        await until(lambda: ended(core, execution_id))
        await core.memory.lock.settled(execution_id)
        entry = core.memory.states.get(execution_id)
        assert entry is not None
        output = entry.state.output
        assert output is not None
        assert output.reference.size_bytes > INLINE_BYTES_MAX
        data = await core.memory.payloads.read("default", output.reference.digest)
        assert orjson.loads(data) == {"a": orjson.loads(LARGE), "b": orjson.loads(LARGE)}
        references = await store.pool.fetchval(
            "select count(*) from orchestrator.payload_refs where digest = $1",
            output.reference.digest,
        )
        assert references == 1


def ended(core: Core, execution_id: str) -> bool:
    entry = core.memory.states.get(execution_id)
    return entry is not None and entry.state.ended
