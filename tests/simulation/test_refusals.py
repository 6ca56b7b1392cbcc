"""Commits that are refused, and starts that are repeated: what they leave behind is nothing."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.orchestrator.model.errors import StorageFull
from tests.simulation.actors.scripted import Stage, play
from tests.simulation.servers.commit_sql import Payload
from tests.simulation.servers.hosts import OrchestratorHost
from tests.simulation.servers.loop import elapsed


def _refuse(host: OrchestratorHost, refuses: Callable[[Any], bool], after_s: float = 0.0) -> None:
    """The disk is full for the commits of this owner that it names."""
    line: Any = host.core.memory.line
    commit = line.commit

    async def refused(batch: Any, epochs: Any) -> Any:
        if refuses(batch):
            await elapsed(after_s)
            raise StorageFull
        return await commit(batch, epochs)

    line.commit = refused


@pytest.mark.parametrize("method", ["PauseExecution", "CancelExecution"])
def test_a_task_whose_turn_comes_while_a_refused_stop_is_decided_is_sent(method: str) -> None:
    """The task was released for a change that failed: the caller of the stop gets an error."""

    async def script(stage: Stage) -> None:
        world = stage.world
        await elapsed(4.0)
        stage.start("long", "r1")
        await stage.until(lambda: stage.effects("r1", "a"))
        stage.start("long", "r2")
        await stage.until(lambda: stage.has("r2"))
        await elapsed(1.5)
        assert not stage.effects("r2", "a")
        until_s = world.loop.time() + 1.2
        _refuse(stage.owner("r2"), lambda _: world.loop.time() < until_s, after_s=0.8)
        request = getattr(pb, f"{method}Request")(execution_id=stage.execution("r2"))
        while world.loop.time() < until_s:
            await stage.client.call("stop", method, request)
        await stage.until(lambda: stage.ended("r2"))

    play(script, slots=1)


def test_served_rows_go_with_a_later_commit_if_one_is_refused() -> None:
    """No statement marks the rows of an ended incarnation as served twice."""

    async def script(stage: Stage) -> None:
        world = stage.world
        await elapsed(4.0)
        stage.start("short", "r")
        await stage.until(lambda: stage.ended("r"))
        former = stage.owner("r")
        old = former.core.memory.ownership.incarnation
        former.process.kill()
        world.restart(former.name)
        host = world.orchestrators[former.name]
        await stage.until(lambda: len(host.core.memory.ownership.epochs) == 64)
        assert world.tables.outbox[old]
        refused: list[int] = []

        def refuses(batch: Any) -> bool:
            if old in batch.served and len(refused) < 2:
                refused.append(batch.served[old])
            elif not refused or world.loop.time() > until_s:
                return False
            return True

        until_s = world.loop.time() + 6.0
        _refuse(host, refuses)
        for number in range(12):
            stage.start("short", f"s{number}")
            await elapsed(1.0)
        assert refused
        assert not world.tables.outbox.get(old)

    play(script)


def test_a_start_that_is_repeated_refers_to_nothing() -> None:
    """No execution of the repeat is made; what was put for it is collected with the first one's."""
    data = b'{"n": 1}'
    digest = hashlib.sha256(data).hexdigest()

    async def script(stage: Stage) -> None:
        tables = stage.world.tables
        tables.payloads["default", digest] = Payload("", data, tables.now_us())
        reference = payload_pb2.PayloadReference(digest=digest, size_bytes=len(data))
        request = pb.StartExecutionRequest(
            workflow_id="short", request_id="r", input=payload_pb2.Payload(reference=reference)
        )
        for _ in range(2):
            await stage.client.call("start", "StartExecution", request)
        await stage.until(lambda: stage.ended("r"))

    stage = play(script)
    assert {referred[2] for referred in stage.world.tables.references} == {stage.execution("r")}
