"""The worker service with real streams, without the rest of the suite."""

from collections.abc import AsyncIterator

import pytest

from flowmesh.testing.world import World
from tests.integration.worker.harness import Worker
from tests.integration.worker.orchestrator import Orchestrator


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@pytest.fixture
async def orchestrator() -> AsyncIterator[Orchestrator]:
    orchestrator = Orchestrator()
    await orchestrator.start()
    yield orchestrator
    await orchestrator.stop()


@pytest.fixture
async def worker(orchestrator: Orchestrator) -> AsyncIterator[Worker]:
    """A worker service attached to `orchestrator`."""
    async with Worker() as worker:
        worker.follow(orchestrator)
        await orchestrator.attached()
        yield worker
