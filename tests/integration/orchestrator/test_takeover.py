"""Expired leases: events stay in order, answers are right, and waiting work continues."""

import asyncio
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.engine import TaskEnded
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.ownership.lease_keeper import LEASE_MS
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.integration.orchestrator.core import Core, MemoryBus, running, until
from tests.integration.orchestrator.factories import TWO_STEPS
from tests.unit.engine.factories import node, plan

ONE_STEP = plan(node("a"))
DONE = payload_pb2.Payload(data=b"1")
MACHINE = "one"


class SlowBus(MemoryBus):
    """Delays publishing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def publish(self, subject: str, data: bytes, *, msg_id: str = "") -> None:
        self.asked.set()
        await self.gate.wait()
        await super().publish(subject, data, msg_id=msg_id)


async def stop(core: Core) -> None:
    """The process is gone: nothing of it runs any more."""
    for task in core.tasks:
        task.cancel()
    await asyncio.gather(*core.tasks, return_exceptions=True)


async def end(core: Core, execution_id: str, partition: int = 1) -> None:
    """Sends the result of the only step."""
    command = TaskEnded("a", 1, output=DONE)
    answer = await core.ask(lambda reply: PendingCommand(execution_id, partition, command, reply))
    assert isinstance(answer, int), answer


async def afters(store: OrchestratorStore, incarnation: int) -> list[dict[int, int]]:
    """Return the positions that each commit of an incarnation must wait for."""
    rows = await store.pool.fetch(
        "select after from orchestrator.outbox where incarnation = $1 order by position",
        incarnation,
    )
    batches = (history_service_pb2.EventBatch.FromString(row["after"] or b"") for row in rows)
    return [{each.incarnation: each.position for each in batch.after} for batch in batches]


async def test_the_first_commit_after_a_take_over_stands_behind_those_before(
    store: OrchestratorStore,
) -> None:
    """Also when what came first was about an execution that had to be read before."""
    async with running(store, data_dir_id=MACHINE) as before:
        execution_id = await before.start(ONE_STEP)
        await stop(before)
        former = before.memory.ownership.incarnation
        async with running(store, data_dir_id=MACHINE) as core:
            core.memory.states.evict(execution_id)
            await end(core, execution_id)

            found = await afters(store, core.memory.ownership.incarnation)
            assert found == [{former: 1}]


async def test_the_stream_holds_the_former_owners_commits_first(
    store: OrchestratorStore,
) -> None:
    """Although the new owner was just publishing its own when it took over."""
    bus = SlowBus()
    async with running(store) as before, running(store, bus) as core:
        await before.life.keeper.renew()
        await core.life.keeper.renew()
        partition = next(iter(before.memory.ownership.epochs))
        taken = await before.start(ONE_STEP, partition)
        core.run(core.memory.publisher.run)
        await core.start(ONE_STEP, next(iter(core.memory.ownership.epochs)))
        await bus.asked.wait()
        await stop(before)
        former, own = before.memory.ownership.incarnation, core.memory.ownership.incarnation
        await store.partitions.end_lease(former)
        await core.life.keeper.renew()
        await end(core, taken, partition)
        bus.gate.set()
        await until(lambda: len(bus.messages) == 3)

        assert bus.ids() == [f"{own}:1:0", f"{former}:1:0", f"{own}:2:0"]


async def test_an_owner_whose_lease_is_over_tells_what_is_stored(
    store: OrchestratorStore,
) -> None:
    """It was paused and does not know yet that another process continues its executions."""
    async with running(store) as paused, running(store) as core:
        taken = await paused.start(ONE_STEP)
        paused.clock.ahead_ms = LEASE_MS
        await store.partitions.end_lease(paused.memory.ownership.incarnation)
        await core.life.keeper.renew()
        await end(core, taken)
        assert paused.memory.states.get(taken) is not None

        assert (await paused.calls.reader.state(ONE_STEP.namespace, taken)).ended


def no_stub(address: str) -> Any:
    raise AssertionError(address)


async def test_what_became_ready_while_the_lease_was_over_leaves_when_it_is_renewed(
    store: OrchestratorStore,
) -> None:
    """Nothing else may come to set the dispatch going again."""
    async with running(store) as core:
        stream = WorkerStream()
        core.dispatch.dispatcher.services.attach(stream, pb.AttachHello(worker_service_id="w"))
        grant = pb.Grant(set_id="s", worker_id="w", slots=5, task_types=["work"])
        core.dispatch.dispatcher.services.grant(stream, [grant])
        core.clock.ahead_ms = LEASE_MS
        execution_id = await core.start(ONE_STEP)
        assert not stream.out.tasks
        await core.life.keeper.renew()

        assert [sent.task.execution_id for sent in stream.out.tasks] == [execution_id]


async def test_a_partition_owned_elsewhere_meanwhile_is_read_again(
    store: OrchestratorStore,
) -> None:
    """A partition goes and comes back between two renewals of an owner that was paused."""
    async with running(store) as paused, running(store) as core:
        await paused.life.keeper.renew()
        await core.life.keeper.renew()
        paused_id, core_id = (one.memory.ownership.incarnation for one in (paused, core))
        partition, epoch = next(iter(paused.memory.ownership.epochs.items()))
        taken = await paused.start(TWO_STEPS, partition)
        raised = await store.partitions.hand_over(
            partition, epoch=epoch, incarnation=paused_id, receiver=core_id
        )
        assert raised is not None
        await core.life.keeper.receive()
        await end(core, taken, partition)
        await store.partitions.hand_over(
            partition, epoch=raised, incarnation=core_id, receiver=paused_id
        )
        await paused.life.keeper.receive()

        command = TaskEnded("b", 1, output=DONE)
        await paused.ask(lambda reply: PendingCommand(taken, partition, command, reply))
        stored = (await paused.memory.states.load([taken]))[taken].state
        assert stored.ended
