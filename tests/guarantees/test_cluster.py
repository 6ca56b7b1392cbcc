"""What a cluster promises when one of its processes is killed, stopped or replaced."""

import asyncpg
import pytest

from flowmesh.testing import checker
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.world import World
from tests.guarantees.drill import Drill

_OWNED = """
select p.id from orchestrator.partitions p
join orchestrator.incarnations i on i.id = p.incarnation where i.address = $1"""


def drill(cluster: Cluster, world: World, fault: str, asked: str = "orchestrator-2") -> Drill:
    """A drill on the cluster; `asked` is the orchestrator that the checks ask."""
    return Drill(
        fault,
        world=world,
        http_url=lambda: cluster.http_url,
        events=lambda: cluster.channel_to("event"),
        executions=lambda: cluster.channel_to(asked),
        postgres=lambda: str(cluster.about["postgres"]),
    )


async def owned_by(cluster: Cluster, name: str) -> frozenset[int]:
    """The partitions that an orchestrator owns."""
    connection: asyncpg.Connection = await checker.reader(cluster.about["postgres"])
    try:
        rows = await connection.fetch(_OWNED, cluster.member(name).grpc)
    finally:
        await connection.close()
    return frozenset(row["id"] for row in rows)


@pytest.mark.feature("S2-53", "S2-54", "S3-21", "S3-39")
async def test_a_killed_orchestrator_costs_no_step(cluster: Cluster, world: World) -> None:
    """The other one goes on with its executions within the lease; nothing runs twice."""
    async with drill(cluster, world, "kill -9 orchestrator") as running:
        await running.in_flight()
        victims = await owned_by(cluster, "orchestrator-1")
        assert victims
        cluster.send("orchestrator-1")
        running.breaks(victims)
        outcome = await running.finish()

    assert outcome.p50_s <= 3.5
