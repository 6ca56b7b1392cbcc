"""The cluster that these tests break, and a receiver that writes down every effect."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from flowmesh.testing.world import World
from tests.faults.rig import Rig

FAILURE_RATE = 0.02
LATENCY_MS = (1, 10)
SEED = 7


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Two orchestrators, two workers and the rest, each a process, behind proxies."""
    async with Rig(tmp_path_factory.mktemp("rig")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def world() -> AsyncIterator[World]:
    async with World(failure_rate=FAILURE_RATE, latency_ms=LATENCY_MS, seed=SEED) as running:
        yield running
