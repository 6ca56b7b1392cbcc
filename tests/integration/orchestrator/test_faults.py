"""The execution core while the database is unavailable, slow, or owned by another process."""

import asyncio
from functools import partial
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.engine import DeliveryLost, Signal, TaskEnded
from flowmesh.errors import Unavailable
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.limits import ready_queues as ready
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.ids import token_of
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.plan import Plan
from flowmesh.telemetry import Metrics
from tests.integration.orchestrator.core import Core, running, until
from tests.integration.orchestrator.factories import digested
from tests.unit.engine.factories import node
from tests.unit.engine.factories import plan as undigested


def plan(*nodes: dict[str, Any], **fields: Any) -> Plan:
    """A plan that differs from every other one in its digest, as real ones do."""
    return digested(undigested(*nodes, **fields))


ONE_STEP = plan(node("a"))
TWO_STEPS = plan(node("a"), node("b", "a"))
SLEEPER = plan(node("nap", kind=plan_pb2.NODE_KIND_TIMER, delay_ms=1))
DONE = payload_pb2.Payload(data=b"1")


def ended(core: Core, execution_id: str) -> bool:
    entry = core.memory.states.get(execution_id)
    return entry is not None and entry.state.ended


async def result(core: Core, execution_id: str, node_id: str = "a") -> object:
    return await core.ask(
        lambda reply: PendingCommand(execution_id, 1, TaskEnded(node_id, 1, output=DONE), reply)
    )


async def lost(core: Core, execution_id: str) -> None:
    await core.ask(lambda reply: PendingCommand(execution_id, 1, DeliveryLost("a", 1), reply))


async def test_a_result_outlives_a_database_that_is_away_while_its_execution_is_read(
    store: OrchestratorStore,
) -> None:
    """The worker drops a result once it is answered, so it is answered after the commit."""
    async with running(store) as core:
        execution_id = await core.start(ONE_STEP)
        core.memory.states.evict(execution_id)
        core.queries.failures["execution_rows"] = 2

        assert isinstance(await result(core, execution_id), int)
        assert ended(core, execution_id)


async def test_a_caller_gets_an_error_when_its_execution_cannot_be_read(
    store: OrchestratorStore,
) -> None:
    """It may ask again; the result that waits beside it stays."""
    async with running(store) as core:
        execution_id = await core.start(ONE_STEP)
        core.memory.states.evict(execution_id)
        core.queries.failures["execution_rows"] = 1
        waiting = core.submit(
            lambda reply: PendingCommand(execution_id, 1, TaskEnded("a", 1, output=DONE), reply)
        )

        answer = await core.ask(
            lambda reply: PendingCommand(execution_id, 1, Signal("go", DONE), reply)
        )

        assert isinstance(answer, Unavailable)
        assert isinstance(await waiting, int)


async def test_one_execution_that_cannot_be_read_does_not_hold_up_the_others(
    store: OrchestratorStore,
) -> None:
    """Only its own commands are rejected."""
    async with running(store) as core:
        broken, sound = await core.start(ONE_STEP), await core.start(ONE_STEP)
        await store.pool.execute(
            "update orchestrator.history set events = '\\xff' where execution_id = $1", broken
        )
        core.memory.states.evict(broken)
        core.memory.states.evict(sound)
        refused, done = await asyncio.gather(result(core, broken), result(core, sound))

        assert isinstance(refused, Unavailable)
        assert isinstance(done, int)


async def test_timers_and_tasks_are_taken_over_although_the_database_breaks_meanwhile(
    store: OrchestratorStore,
) -> None:
    """Partitions are ours from the first moment; what waits in them comes as soon as it can."""
    async with running(store, data_dir_id="one") as before:
        asleep = await before.start(SLEEPER)
        waiting = await before.start(ONE_STEP)
        for task in before.tasks:
            task.cancel()
        async with running(
            store,
            data_dir_id="one",
            failures={"due_executions": 1, "stranded_executions": 1, "ready_executions": 2},
        ) as core:
            core.run(partial(core.dispatch.timers.run, Metrics()))
            await until(lambda: ended(core, asleep))
            await until(lambda: core.dispatch.dispatcher.ready.count)
            assert core.memory.states.get(waiting) is not None
            assert not +core.queries.failures


async def test_nothing_that_is_decided_but_not_committed_is_queued_by_recovery(
    store: OrchestratorStore,
) -> None:
    """A task leaves after the commit that scheduled it, never before."""
    async with running(store) as core:
        execution_id = await core.start(TWO_STEPS)
        core.dispatch.dispatcher.ready.pop(list(core.dispatch.dispatcher.ready.keys))
        gate, at_commit = asyncio.Event(), asyncio.Event()
        commit = core.memory.line.commit

        async def slow(*arguments: object) -> object:
            at_commit.set()
            await gate.wait()
            return await commit(*arguments)  # type: ignore[arg-type]

        core.memory.line.commit = slow  # type: ignore[method-assign, assignment]
        done = core.submit(
            lambda reply: PendingCommand(execution_id, 1, TaskEnded("a", 1, output=DONE), reply)
        )
        await at_commit.wait()
        read = core.queries.after("ready_executions")
        scan = asyncio.create_task(
            core.dispatch.recovery.recover(
                core.dispatch.dispatcher, dict(core.memory.ownership.epochs), frozenset()
            )
        )
        await read.wait()
        await asyncio.wait({scan}, timeout=0.3)

        assert core.dispatch.dispatcher.ready.count == 0
        gate.set()
        await asyncio.gather(scan, done)
        task = core.dispatch.dispatcher.ready.pop(list(core.dispatch.dispatcher.ready.keys))
        assert task is not None
        assert token_of(task.execution_id, task.node_id, 1) == token_of(execution_id, "b", 1)


async def test_an_execution_that_changed_while_it_was_read_is_not_kept_as_it_was(
    store: OrchestratorStore,
) -> None:
    """A slow read that finds the cache empty must not fill it with the past."""
    async with running(store) as core:
        execution_id = await core.start(TWO_STEPS)
        core.memory.states.evict(execution_id)
        gate = core.queries.hold("history_rows")
        slow = asyncio.create_task(core.memory.states.fetch([execution_id]))
        await core.queries.reached["history_rows"].wait()
        core.queries.held.clear()
        await result(core, execution_id)
        core.memory.states.evict(execution_id)
        gate.set()

        assert (await slow)[execution_id].state.at_workers.keys() == {"b"}
        kept = core.memory.states.get(execution_id)
        assert kept is not None
        assert kept.state.at_workers.keys() == {"b"}


async def test_an_execution_of_a_partition_lost_meanwhile_is_not_kept(
    store: OrchestratorStore,
) -> None:
    """Its next owner changes it, unnoticed by this process."""
    async with running(store) as core:
        execution_id = await core.start(TWO_STEPS)
        core.memory.states.evict(execution_id)
        gate = core.queries.hold("history_rows")
        answer = core.submit(
            lambda reply: PendingCommand(execution_id, 1, TaskEnded("a", 1, output=DONE), reply)
        )
        await core.queries.reached["history_rows"].wait()
        core.life.keeper.lost([1])
        gate.set()

        assert type(await answer).__name__ == "Moved"
        assert core.memory.states.get(execution_id) is None


async def test_an_execution_whose_output_was_not_rendered_yet_ends_after_a_take_over(
    store: OrchestratorStore,
) -> None:
    """Its nodes have all ended; nothing else would ever wake it."""
    by_reference = plan(
        node("a"),
        output_template=b'{"n": "{{tasks.a.output.n}}"}',
        timeout_ms=3_600_000,
    )
    async with running(store, data_dir_id="one") as before:
        execution_id = await before.start(by_reference)
        big = await before.memory.payloads.put("default", "", b'{"n": 7}')
        before.queries.failures["get_payload"] = 1_000
        answer = await before.ask(
            lambda reply: PendingCommand(execution_id, 1, TaskEnded("a", 1, output=big), reply)
        )
        assert isinstance(answer, int)
        assert not ended(before, execution_id)
        for task in before.tasks:
            task.cancel()
        async with running(store, data_dir_id="one", failures={"get_payload": 1}) as core:
            await until(lambda: ended(core, execution_id))
            entry = core.memory.states.get(execution_id)
            assert entry is not None
            assert entry.state.output is not None
            assert entry.state.output.data == b'{"n":7}'


async def test_an_execution_whose_output_needs_a_payload_that_is_gone_fails(
    store: OrchestratorStore,
) -> None:
    """It says why instead of staying open for ever."""
    by_reference = plan(node("a"), output_template=b'{"n": "{{tasks.a.output.n}}"}')
    async with running(store) as core:
        execution_id = await core.start(by_reference)
        gone = payload_pb2.Payload(
            reference=payload_pb2.PayloadReference(digest="0" * 64, size_bytes=1)
        )
        await core.ask(
            lambda reply: PendingCommand(execution_id, 1, TaskEnded("a", 1, output=gone), reply)
        )
        await until(lambda: ended(core, execution_id))
        entry = core.memory.states.get(execution_id)
        assert entry is not None
        assert entry.state.failure is not None
        assert "no payload" in entry.state.failure.message


async def test_tasks_without_room_come_back_and_were_not_lost_by_that(
    store: OrchestratorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for a worker; each reading of the rows must not count as a lost delivery."""
    monkeypatch.setattr(ready, "READY_MAX", 2)
    monkeypatch.setattr(ready, "READY_KEY_MIN", 2)
    async with running(store) as core:
        ids = [await core.start(ONE_STEP) for _ in range(7)]
        for execution_id in ids:
            await lost(core, execution_id)
        stream = WorkerStream()
        core.dispatch.dispatcher.services.attach(stream, pb.AttachHello(worker_service_id="s"))
        core.dispatch.dispatcher.services.grant(
            stream, [pb.Grant(set_id="x", slots=7, task_types=["work"])]
        )
        core.dispatch.dispatcher.pump()

        await until(lambda: len(stream.out.tasks) == 7)

        assert {item.task.execution_id for item in stream.out.tasks} == set(ids)
        entries = [core.memory.states.get(execution_id) for execution_id in ids]
        assert {e.state.scope.nodes[0].delivery for e in entries if e is not None} == {2}
