"""Workers that come back, through this worker service or another one, with what they still run."""

import pytest

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine.state.state import EXECUTION_COMPLETED
from tests.simulation.actors.peers import RemoteWorker
from tests.simulation.actors.scripted import Stage, play
from tests.simulation.servers.hosts import WorkerServiceHost
from tests.simulation.servers.loop import elapsed


def _at(stage: Stage, worker_id: str) -> list[WorkerServiceHost]:
    """Worker services that this worker is connected to."""
    hosts = stage.world.workers.values()
    return [host for host in hosts if worker_id in host.relay._workers]


async def _begun(stage: Stage, lasts_s: float) -> str:
    """The worker that has begun a task of so many seconds, `a` of the execution `r`."""
    stage.world.work.fixed["a"] = lasts_s
    stage.start("long", "r")
    await stage.until(lambda: stage.effects("r", "a"))
    (effect,) = (each for each in stage.world.record.effects if each.node == "a")
    return effect.worker


async def _move(stage: Stage, worker_id: str) -> None:
    """Its stream breaks, until it is at another worker service."""
    remote = next(each for each in stage.world.remotes.values() if each.worker_id == worker_id)
    before = _at(stage, worker_id)
    while _at(stage, worker_id) in ([], before):
        remote.move()
        for _ in range(15):
            await elapsed(0.02)
            if _at(stage, worker_id) not in ([], before):
                return


@pytest.mark.parametrize("others", [0, 4])
def test_a_worker_that_moves_keeps_its_task(others: int) -> None:
    """Its former worker service gives the task up, which is not its to give up any more."""

    async def script(stage: Stage) -> None:
        worker_id = await _begun(stage, lasts_s=20.0)
        for number in range(others):
            stage.world.add_remote(f"rw{number + 2}", slots=4)
        await elapsed(0.5)
        await _move(stage, worker_id)
        await elapsed(2.0)
        assert stage.effects("r", "a") == 1

    play(script, workers=2)


def test_a_task_survives_any_number_of_moves_of_its_worker() -> None:
    """None of them counts as a lost delivery, of which five would fail it."""

    async def script(stage: Stage) -> None:
        await _begun(stage, lasts_s=25.0)
        (remote,) = stage.world.remotes.values()
        for _ in range(6):
            await _move(stage, remote.worker_id)
            await elapsed(1.0)
        await stage.until(lambda: stage.ended("r"))

    stage = play(script, workers=2)
    row = stage.world.tables.executions[stage.execution("r")]
    assert row["status"] == EXECUTION_COMPLETED
    assert stage.effects("r", "a") == 1


@pytest.mark.parametrize("others", [0, 1, 4])
def test_a_worker_service_that_stood_still_takes_nothing_from_the_next(others: int) -> None:
    """It believes that it has the task of a worker that has long been elsewhere."""

    async def script(stage: Stage) -> None:
        worker_id = await _begun(stage, lasts_s=60.0)
        (before,) = _at(stage, worker_id)
        before.process.pause()
        await stage.until(lambda: len(_at(stage, worker_id)) > 1)
        for number in range(others):
            stage.world.add_remote(f"rw{number + 2}", slots=4)
        await elapsed(1.0)
        assert stage.effects("r", "a") == 1
        before.process.resume()
        await elapsed(3.0)
        assert stage.effects("r", "a") == 1

    play(script, workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_returns_with_a_canceled_task_must_stop(workers: int) -> None:
    """The worker was away when its task was canceled."""

    async def script(stage: Stage) -> None:
        await _begun(stage, lasts_s=100.0)
        (remote,) = stage.world.remotes.values()
        await elapsed(0.5)
        remote.process.pause()
        await elapsed(12.0)
        cancel = pb.CancelExecutionRequest(execution_id=stage.execution("r"), request_id="c")
        stage.client.spawn(stage.client.call("cancel", "CancelExecution", cancel))
        await stage.until(lambda: stage.ended("r"))
        await elapsed(3.0)
        remote.process.resume()
        await elapsed(10.0)
        assert _at(stage, remote.worker_id)
        assert isinstance(remote, RemoteWorker)
        assert not remote._running

    play(script, workers=workers)
