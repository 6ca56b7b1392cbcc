"""A cluster and a `flowmesh dev` that these tests may break, and a receiver for their calls."""

from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import pytest_asyncio

from flowmesh.embedded.ports import free_ports
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World

Worlds = Callable[[], World]
# Of calls that would have had an effect; half of them after it.
FAILURE_RATE = 0.02
LATENCY_MS = (1, 10)
SEED = 7


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two orchestrators and two workers as processes, shared by the tests that kill them."""
    async with Cluster(tmp_path_factory.mktemp("cluster") / "data") as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """The whole suite in one process, to be killed and started again."""
    ports = free_ports(2)
    folder = tmp_path_factory.mktemp("dev") / "data"
    async with Suite(folder, ports=(ports, ports + 1)) as running:
        yield running


@pytest.fixture
def world_of() -> Worlds:
    """Makes receivers that fail now and then."""
    return partial(World, failure_rate=FAILURE_RATE, latency_ms=LATENCY_MS, seed=SEED)


@pytest_asyncio.fixture(loop_scope="session")
async def world(world_of: Worlds) -> AsyncIterator[World]:
    async with world_of() as running:
        yield running
