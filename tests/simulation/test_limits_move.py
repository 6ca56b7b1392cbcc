"""Limits that are set while tasks wait for others, or after their release."""

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.plan import Plan, compile_plan
from tests.simulation.actors.peers import REMOTE_TYPE
from tests.simulation.actors.plans import chain
from tests.simulation.actors.scripted import Stage, play
from tests.simulation.servers.loop import elapsed

LASTS_US = 1_000_000


async def _limit(stage: Stage, **limit: object) -> None:
    request = pb.SetLimitRequest(limit=pb.Limit(**limit))  # type: ignore[arg-type]
    answer = await stage.client.call("limit", "SetLimit", request)
    assert not answer.unreachable


def _most_at_once(stage: Stage, since_us: int) -> int:
    """Return how many tasks begun by a worker after a time ran in parallel."""
    begun = [e.at_us for e in stage.world.record.effects if e.node == "t" and e.at_us > since_us]
    return max(sum(other <= at < other + LASTS_US for other in begun) for at in begun)


@pytest.mark.parametrize("orchestrators", [1, 2])
def test_a_task_waiting_for_one_limit_also_obeys_the_next(orchestrators: int) -> None:
    """Wherever the permits are given: what was asked for is not what is needed now."""

    async def script(stage: Stage) -> None:
        stage.world.definitions.added["one"] = chain("one", "t")
        stage.world.work.fixed["t"] = LASTS_US / 1e6
        await elapsed(4.0)
        await _limit(stage, kind=pb.LIMIT_KIND_NAMESPACE, concurrency=3)
        names = [f"r{number}" for number in range(24)]
        for name in names:
            await stage.client.start("one", name)
        await stage.until(lambda: sum(stage.effects(name, "t") for name in names) >= 3)
        await _limit(stage, kind=pb.LIMIT_KIND_WORKFLOW, subject="one", concurrency=1)
        # Those that ran when it was set have ended by then.
        await elapsed(2.2)
        since_us = stage.world.now_us()
        await elapsed(15.0)
        assert _most_at_once(stage, since_us) == 1
        await stage.until(lambda: all(map(stage.ended, names)))

    play(script, orchestrators=orchestrators, slots=20)


def test_a_task_with_the_permit_of_one_limit_also_obeys_the_next() -> None:
    """It waits for a worker with the permits that it needed when it asked."""

    async def script(stage: Stage) -> None:
        stage.world.definitions.added["one"] = chain("one", "t")
        stage.world.definitions.added["busy"] = _urgent("busy", "b")
        stage.world.work.fixed.update(t=LASTS_US / 1e6, b=2.0)
        await elapsed(4.0)
        await _limit(stage, kind=pb.LIMIT_KIND_WORKFLOW, subject="one", concurrency=3)
        for number in range(8):
            await stage.client.start("one", f"r{number}")
        for number in range(8):
            await stage.client.start("busy", f"b{number}")
        await elapsed(1.3)
        ready = stage.owner("r0").core.dispatch.dispatcher.ready.tasks()
        assert sum(task.permitted for task in ready) > 1
        await _limit(stage, kind=pb.LIMIT_KIND_NODE, subject="one/t", concurrency=1)
        since_us = stage.world.now_us()
        await elapsed(15.0)
        assert _most_at_once(stage, since_us) == 1

    play(script, slots=4)


def _urgent(workflow_id: str, node: str) -> Plan:
    message = plan_pb2.Plan(namespace="default", workflow_id=workflow_id, version=1)
    message.specs.add(task_type=REMOTE_TYPE, digest=REMOTE_TYPE)
    message.nodes.add(id=node, kind=plan_pb2.NODE_KIND_TASK, critical=True, priority=9)
    message.digest = workflow_id
    return compile_plan(message)
