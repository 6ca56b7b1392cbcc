"""Slots of workers are lent to the orchestrators with tasks."""

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.plan import compile_plan
from tests.simulation.actors.peers import REMOTE_TYPE
from tests.simulation.actors.scripted import Stage, play
from tests.simulation.servers.loop import elapsed

NODES = [f"t{number}" for number in range(9)]
LASTS_S = 1.0


def _wide() -> plan_pb2.Plan:
    message = plan_pb2.Plan(namespace="default", workflow_id="wide", version=1, digest="wide")
    message.specs.add(task_type=REMOTE_TYPE, digest=REMOTE_TYPE)
    for node in NODES:
        message.nodes.add(id=node, kind=plan_pb2.NODE_KIND_TASK, critical=True)
    return message


def test_one_execution_has_all_slots_while_the_other_owners_have_nothing() -> None:
    """A worker of three slots with three owners: all of them work all the time."""

    async def script(stage: Stage) -> None:
        stage.world.definitions.added["wide"] = compile_plan(_wide())
        stage.world.work.fixed.update(dict.fromkeys(NODES, LASTS_S))
        await elapsed(6.0)
        await stage.client.start("wide", "r")
        await stage.until(lambda: stage.ended("r"))
        begun = [effect.at_us / 1e6 for effect in stage.world.record.effects]
        assert len(begun) == len(NODES)
        assert max(begun) - min(begun) < (len(NODES) / 3 - 1) * LASTS_S + 0.1

    play(script, orchestrators=3, workers=1, slots=3)
