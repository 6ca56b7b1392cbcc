"""Running tasks at a new owner of partitions, and its first messages."""

from random import Random
from typing import Any

import pytest

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import limits_service_pb2 as limits_pb
from flowmesh.orchestrator.limits import ready_queues as ready
from flowmesh.orchestrator.model.ids import partition_of
from tests.simulation.actors.faults import Fate, Faults
from tests.simulation.actors.peers import RemoteWorker
from tests.simulation.actors.plans import chain
from tests.simulation.actors.scripted import Stage, play
from tests.simulation.servers.hosts import OrchestratorHost
from tests.simulation.servers.loop import elapsed


class _SlowLine(Faults):
    """Messages that all take as long."""

    delay_s = 0.0

    def latency(self) -> float:
        return self.delay_s or super().latency()


async def _replaced(stage: Stage, owner: OrchestratorHost, request_id: str) -> Any:
    """Kills an owner; the next one as soon as it has the partition of an execution."""
    world, partition = stage.world, partition_of(stage.execution(request_id))
    assert partition is not None
    row = world.tables.partitions[partition]
    owner.process.kill()
    world.restart(owner.name)
    host = world.orchestrators[owner.name]
    core = host.core
    await stage.until(lambda: row.incarnation == core.memory.ownership.incarnation)
    await stage.until(lambda: partition in core.memory.ownership.epochs)
    return host


@pytest.mark.parametrize("limited", [False, True])
def test_a_take_over_of_an_epoch_that_is_over_sends_nothing(limited: bool) -> None:
    """Neither the task that a worker holds nor, under a limit of one, the next one beside it."""

    async def script(stage: Stage) -> None:
        world = stage.world
        line: Any = _SlowLine(Random("x"))
        world.network.faults = line
        world.work.fixed["a"] = 9.0
        await elapsed(4.0)
        if limited:
            limit = limits_pb.Limit(
                kind=limits_pb.LIMIT_KIND_WORKFLOW, subject="long", concurrency=1
            )
            await stage.client.call("limit", "SetLimit", limits_pb.SetLimitRequest(limit=limit))
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        for number in range(2, 6):
            world.add_remote(f"rw{number}", slots=1)
        await elapsed(0.5)
        if limited:
            stage.start("long", "s")
            await stage.until(lambda: stage.has("s"))
        await elapsed(1.2)
        workers = [remote.worker_id for remote in world.remotes.values()]
        # A worker that the next owner waits for, for a second.
        next(
            host
            for host in world.workers.values()
            if not any(worker in host.relay._workers for worker in workers)
        ).process.kill()
        host = await _replaced(stage, stage.owner("r"), "r")
        await elapsed(0.97)
        line.delay_s = 0.1
        partition = partition_of(stage.execution("r"))
        epoch = host.core.memory.ownership.epochs[partition]
        host.core.memory.background.spawn(host.life.keeper.raise_epoch(partition, epoch))
        await elapsed(0.5)
        line.delay_s = 0.0
        await elapsed(2.0)
        assert stage.effects("r", "a") == 1
        assert not stage.effects("s", "a")

    play(script, workers=4, slots=1)


def test_tasks_without_room_are_not_read_while_their_holders_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker of the task reconnects within the grace period of a second."""
    monkeypatch.setattr(ready, "READY_MAX", 2)
    monkeypatch.setattr(ready, "READY_KEY_MIN", 1)

    async def script(stage: Stage) -> None:
        world = stage.world
        world.work.fixed.update(a=9.0, x=0.05)
        world.definitions.added["one"] = chain("one", "x")
        await elapsed(4.0)
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        for number in range(2, 6):
            world.add_remote(f"rw{number}", slots=1)
        await elapsed(1.5)
        worker = world.remotes["rw"].worker_id
        host = next(one for one in world.workers.values() if worker in one.relay._workers)
        host.process.pause()
        await _replaced(stage, stage.owner("r"), "r")
        names = [f"s{number}" for number in range(30)]
        for name in names:
            stage.start("one", name)
        await elapsed(0.7)
        host.process.resume()
        await elapsed(2.0)
        assert stage.effects("r", "a") == 1
        await stage.until(lambda: all(map(stage.ended, names)))

    play(script, workers=4, slots=1)


def test_a_worker_gets_a_cancel_whose_owner_has_died() -> None:
    """The cancel is committed, and its owner dies before it has told the worker."""

    async def script(stage: Stage) -> None:
        stage.world.work.fixed["a"] = 25.0
        await elapsed(4.0)
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        await elapsed(0.5)
        owner = stage.owner("r")
        stage.world.faults.script("commit", (Fate.UNANSWERED, 0.2))
        cancel = pb.CancelExecutionRequest(execution_id=stage.execution("r"), request_id="c")
        stage.client.spawn(stage.client.call("cancel", "CancelExecution", cancel))
        await stage.until(lambda: stage.ended("r"))
        owner.process.kill()
        await stage.until(lambda: stage.owner("r") is not owner)
        await elapsed(8.0)
        remote = stage.world.remotes["rw"]
        assert isinstance(remote, RemoteWorker)
        assert not remote._running

    play(script, orchestrators=2)


def test_commits_made_while_an_incarnation_begins_are_published() -> None:
    """It has partitions and commits before the line to the database has answered all it asks."""

    async def script(stage: Stage) -> None:
        world = stage.world
        world.work.fixed["a"] = 20.0
        await elapsed(4.0)
        (host,) = world.orchestrators.values()
        world.faults.script("execute", (Fate.SLOW, 2.5))
        world.nats.go_away()
        host.life.incarnation.over()
        await elapsed(0.01)
        await stage.until(lambda: host.core.memory.ownership.epochs)
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        await elapsed(3.0)
        world.nats.come_back(store_lost=False)
        execution_id = stage.execution("r")
        history = {(execution_id, sequence) for sequence in world.tables.history[execution_id]}
        await elapsed(8.0)
        assert history <= world.event_tables.known

    play(script)
