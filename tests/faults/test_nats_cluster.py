"""F14 on a cluster: nodes of three-node NATS die in turn, and PostgreSQL restarts under load."""

import random
import signal
from collections.abc import AsyncIterator

import nats
import pytest
import pytest_asyncio

from flowmesh.testing import audit
from flowmesh.testing.polling import pause
from flowmesh.testing.world import World
from tests.faults.harness.nats_cluster import NODES, NatsCluster
from tests.faults.harness.rig import Rig
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tally import Tally

STREAM = "FM_EVENTS"
KILLS = 9
APART_S = 1.0
LATE_ORDERS = 240


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def nodes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsCluster]:
    async with NatsCluster(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replicated(
    nodes: NatsCluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    """A rig whose events are kept by three servers."""
    rig = Rig(
        tmp_path_factory.mktemp("replicated"),
        environment={"FLOWMESH_NATS_REPLICAS": str(NODES)},
        proxied=False,
        nats=nodes.address,
    )
    async with rig:
        await audit.install(rig.postgres)
        yield rig


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F14", "F9")
async def test_nodes_of_nats_die_in_turn(
    replicated: Rig, nodes: NatsCluster, world: World, tally: Tally, seed: int
) -> None:
    """Two of three are enough: events go on; the database restarts meanwhile, nothing is lost."""
    draw = random.Random(seed)
    scenario = Scenario(replicated, world, tally)
    async with scenario.drill(
        "a node of three-node NATS dies", orders=40, late_orders=LATE_ORDERS
    ) as running:
        await scenario.whole()
        client = await nats.connect(nodes.address.split(","))
        config = (await client.jetstream().stream_info(STREAM)).config
        await client.close()
        assert config.num_replicas == NODES
        await running.in_flight()
        running.breaks()
        for number in range(KILLS):
            await nodes.kill(draw.randrange(NODES))
            if number % 3 == 1:
                replicated.servers.kill("postgres", signal.SIGQUIT)
                await replicated.servers.until_ready("postgres")
            await pause(APART_S)
        await scenario.finish(running, "F14", n=KILLS, extra_deliveries=3)
