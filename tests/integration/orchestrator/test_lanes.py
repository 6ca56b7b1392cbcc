"""The rows that say in which queues executions wait: right after every commit, and enough."""

import random
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.common.v1 import priority_pb2 as p
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.engine import TaskEnded, Terminate
from flowmesh.orchestrator.dispatch import recovery
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.limits import ready_queues as ready
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.storage.states import Found
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.integration.orchestrator.core import Core, running, until
from tests.integration.orchestrator.factories import digested
from tests.unit.engine.factories import node, plan

DONE = payload_pb2.Payload(data=b"1")
QUEUES = ("default", "gpu", "mail")


async def lanes_in_rows(store: OrchestratorStore) -> dict[str, set[tuple[str, int]]]:
    """Queues and priorities by execution, as the rows have them; each at most once."""
    found: dict[str, set[tuple[str, int]]] = {}
    firsts = await store.pool.fetch(
        "select id, queue, priority from orchestrator.executions where ready_since is not null"
    )
    further = await store.pool.fetch("select execution_id, queue, priority from orchestrator.ready")
    for execution_id, queue, priority in (*firsts, *further):
        lanes = found.setdefault(execution_id, set())
        assert (queue, priority) not in lanes
        lanes.add((queue, priority))
    return found


def lanes_open(entries: Found) -> dict[str, set[tuple[str, int]]]:
    """The same, from the states."""
    found: dict[str, set[tuple[str, int]]] = {}
    for execution_id, entry in entries.items():
        state = entry.state
        nodes = [one.planned for one in state.at_workers.values()]
        if nodes and not state.ended:
            found[execution_id] = {(one.queue, one.priority) for one in nodes}
    return found


async def answer(core: Core, execution_id: str, command: Any) -> None:
    await core.ask(lambda reply: PendingCommand(execution_id, 1, command, reply))


def wide(rng: random.Random) -> Any:
    """Nodes of several queues and priorities, some after others."""
    nodes = [
        node(
            f"n{number}",
            *([f"n{rng.randrange(number)}"] if number and rng.random() < 0.5 else []),
            queue=rng.choice(QUEUES),
            priority=rng.choice([p.PRIORITY_NORMAL, p.PRIORITY_HIGH]),
        )
        for number in range(rng.randint(2, 9))
    ]
    return digested(plan(*nodes))


async def test_rows_name_every_queue_an_execution_waits_in(store: OrchestratorStore) -> None:
    """After any commit, whether the state was in memory or had to be rebuilt."""
    rng = random.Random(7)
    async with running(store) as core:
        ids = [await core.start(wide(rng)) for _ in range(12)]
        for _ in range(150):
            execution_id = rng.choice(ids)
            entry = (await core.memory.states.fetch([execution_id]))[execution_id]
            if rng.random() < 0.3:
                core.memory.states.evict(execution_id)
            at_workers = list(entry.state.at_workers)
            if at_workers and not entry.state.ended:
                command = TaskEnded(rng.choice(at_workers), 1, output=DONE)
                await answer(core, execution_id, command)
            elif rng.random() < 0.5:
                ids.append(await core.start(wide(rng)))
            entries = await core.memory.states.fetch(ids)
            assert await lanes_in_rows(store) == lanes_open(entries)
        for execution_id in ids:
            await answer(core, execution_id, Terminate())
        assert await lanes_in_rows(store) == {}


FANNED = digested(plan(node("d"), node("g", queue="gpu"), node("m", queue="mail")))


def serve(core: Core, queue: str, slots: int) -> WorkerStream:
    stream = WorkerStream()
    core.dispatch.dispatcher.services.attach(stream, pb.AttachHello(worker_service_id=f"s-{queue}"))
    grant = pb.Grant(set_id="x", slots=slots, task_types=["work"], queues=[queue])
    core.dispatch.dispatcher.services.grant(stream, [grant])
    core.dispatch.dispatcher.pump()
    return stream


async def test_tasks_of_further_queues_come_back_from_their_rows(
    store: OrchestratorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those for which memory had no room; only executions of that queue are read, page by page."""
    monkeypatch.setattr(ready, "READY_MAX", 3)
    monkeypatch.setattr(ready, "READY_KEY_MIN", 1)
    monkeypatch.setattr(recovery, "PAGE", 2)
    async with running(store) as core:
        ids = {await core.start(FANNED) for _ in range(7)}
        other = digested(plan(node("o", queue="other")))
        others = [await core.start(other) for _ in range(3)]
        for execution_id in (*ids, *others):
            core.memory.states.evict(execution_id)

        stream = serve(core, "mail", 10)
        await until(lambda: len(stream.out.tasks) == len(ids))

        assert {item.task.execution_id for item in stream.out.tasks} == ids
        assert {item.task.node for item in stream.out.tasks} == {"m"}
        assert all(core.memory.states.get(execution_id) is None for execution_id in others)


async def test_a_new_owner_finds_the_tasks_of_every_queue(store: OrchestratorStore) -> None:
    """Each once, though an execution has rows for several queues."""
    async with running(store, data_dir_id="one") as before:
        ids = {await before.start(FANNED) for _ in range(3)}
        for task in before.tasks:
            task.cancel()
        async with running(store, data_dir_id="one") as core:
            assert core.dispatch.dispatcher.ready.count == 3 * len(ids)
            for queue, name in (("default", "d"), ("gpu", "g"), ("mail", "m")):
                stream = serve(core, queue, 10)
                assert {item.task.node for item in stream.out.tasks} == {name}
                assert {item.task.execution_id for item in stream.out.tasks} == ids
