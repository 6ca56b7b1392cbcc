"""A namespace that floods the workers slows only itself: the others have their turn."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.natives import applied, http_task, workflow

SLOTS = 8
CALL_MS = 60
FLOOD = 2_000
RUNS = 60
RATIO_MAX = 2.0
"""The target: another's p99 at most so many times its value on a quiet machine."""

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def narrow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with few slots for built-in tasks."""
    folder = tmp_path_factory.mktemp("fair") / "data"
    environment = {"FLOWMESH_WORKER_SLOTS": str(SLOTS)}
    async with Suite(folder, environment=environment) as running:
        yield running


async def p99_ms(client: Client) -> float:
    """Of executions one after the other."""
    times = []
    for _ in range(RUNS):
        began = time.monotonic()
        await client.run("call", {})
        times.append((time.monotonic() - began) * 1000)
    return sorted(times)[int(RUNS * 0.99)]


async def test_another_namespace_hardly_notices_a_flood(narrow: Suite) -> None:
    """Thousands of tasks wait of one namespace; those of another leave with the next free slot."""
    async with World() as world:
        world.answers("slow", delay_ms=CALL_MS)
        resources = (
            http_task("call-task", world.url("slow")),
            workflow("call", {"id": "call", "taskRef": "call-task", "input": {}}),
        )
        for namespace in ("quiet", "flood"):
            await applied(narrow, *resources, **{"flowmesh-namespace": namespace})
        address = narrow.grpc_address
        async with Client(address, "quiet") as quiet, Client(address, "flood") as flood:
            await p99_ms(quiet)
            alone = await p99_ms(quiet)
            await asyncio.gather(*(flood.start("call", {}) for _ in range(FLOOD)))
            flooded = await p99_ms(quiet)
            (left,) = [each for each in await flood.queues() if each.task_type == "http.request"]
    assert left.ready > 0, "the flood was over too early"
    assert flooded <= RATIO_MAX * alone, (alone, flooded)
