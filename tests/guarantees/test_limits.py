"""A limit of a cluster holds while the processes that keep it are killed, and no slot is lost."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from flowmesh.sdk import Client, Worker
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import done, pause, until
from tests.drills.breaking import balanced, there
from tests.features.natives import applied, resource, workflow

LIMIT = 5
RUNS = 150
TASK_S = 0.1
PATIENCE_S = 90.0
ORCHESTRATORS = ("orchestrator-1", "orchestrator-2")

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two orchestrators and two worker services, each a process of its own."""
    async with Cluster(tmp_path_factory.mktemp("limits") / "data") as running:
        await there(running, "worker-1", "worker-2")
        await balanced(running)
        yield running


async def test_a_limit_holds_over_owners_and_their_deaths(cluster: Cluster) -> None:
    """Never more at once than the limit, whoever dies; afterwards all of it can be used."""
    running: dict[str, int] = {}
    seen: list[int] = []

    async def work(value: Any) -> Any:
        name = str(value["n"])
        running[name] = running.get(name, 0) + 1
        seen.append(len(running))
        await pause(TASK_S)
        running[name] -= 1
        if not running[name]:
            del running[name]
        return value

    kind = f"limited-{uuid.uuid4().hex[:8]}"
    node = {"id": "only", "taskRef": f"{kind}-task", "input": "{{input}}"}
    await applied(
        cluster,
        resource("WorkflowTask", f"{kind}-task", type=kind),
        workflow(kind, node, limits={"concurrency": LIMIT}),
    )

    async def in_use() -> tuple[int, int]:
        uses = [use for use in (await client.limits()).uses if use.subject == kind]
        return sum(use.in_use for use in uses), sum(use.waiting for use in uses)

    async with Client(cluster.grpc_address) as client, Worker(client, {kind: work}, slots=50):
        handles = await asyncio.gather(*(client.start(kind, {"n": n}) for n in range(RUNS)))
        for name in ORCHESTRATORS:
            count = len(seen)
            await done(
                "the stream continues",
                partial(lambda n: len(seen) > n + 10, count),
                within_s=PATIENCE_S,
            )
            cluster.send(name)
            await there(cluster, name)
        await asyncio.gather(*(handle.result(PATIENCE_S) for handle in handles))

        async def nothing() -> bool:
            return await in_use() == (0, 0)

        await until("no slot is lost", nothing, within_s=PATIENCE_S)
        assert max(seen) <= LIMIT
        before = len(seen)
        again = await asyncio.gather(*(client.start(kind, {"n": -n - 1}) for n in range(20)))
        await asyncio.gather(*(handle.result(PATIENCE_S) for handle in again))
    assert max(seen[before:]) == LIMIT
