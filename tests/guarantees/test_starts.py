"""A start policy of a cluster holds while its owners are killed; nobody waits for ever."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from flowmesh.sdk import Client, Handle, Worker
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import done, pause
from tests.drills.breaking import balanced, there
from tests.features.natives import applied, resource, workflow

AT_ONCE = 2
KEYS = ("a", "b", "c")
RUNS = 48
TASK_S = 0.05
PATIENCE_S = 120.0
ORCHESTRATORS = ("orchestrator-1", "orchestrator-2")

pytestmark = pytest.mark.slow


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two orchestrators and two worker services, each a process of its own."""
    async with Cluster(tmp_path_factory.mktemp("starts") / "data") as running:
        await there(running, "worker-1", "worker-2")
        await balanced(running)
        yield running


async def test_a_queue_of_starts_outlives_its_owners(cluster: Cluster) -> None:
    """Of each key never more run at once than may, whoever dies; in the end all have run once."""
    running: dict[str, set[int]] = {key: set() for key in KEYS}
    most: dict[str, int] = dict.fromkeys(KEYS, 0)
    begun: list[int] = []

    async def work(value: Any) -> Any:
        mine = running[value["key"]]
        mine.add(value["n"])
        begun.append(value["n"])
        most[value["key"]] = max(most[value["key"]], len(mine))
        await pause(TASK_S)
        mine.discard(value["n"])
        return value

    kind = f"queued-{uuid.uuid4().hex[:8]}"
    node = {"id": "only", "taskRef": f"{kind}-task", "input": "{{input}}"}
    await applied(
        cluster,
        resource("WorkflowTask", f"{kind}-task", type=kind),
        workflow(kind, node, start={"key": "{{input.key}}", "concurrency": AT_ONCE}),
    )

    async def start(client: Client, number: int) -> Handle:
        value = {"key": KEYS[number % len(KEYS)], "n": number}
        return await client.start(kind, value, request_id=f"{kind}-{number}")

    async with Client(cluster.grpc_address) as client, Worker(client, {kind: work}, slots=50):
        for round_, name in enumerate(ORCHESTRATORS):
            first, count = round_ * RUNS, len(begun)
            starting = [asyncio.create_task(start(client, first + n)) for n in range(RUNS)]
            await done(
                "some begin", partial(lambda n: len(begun) > n + 5, count), within_s=PATIENCE_S
            )
            cluster.send(name)
            handles = await asyncio.gather(*starting)
            assert len({handle.id for handle in handles}) == RUNS
            again = await start(client, first)
            assert (again.id, again.created) == (handles[0].id, False)
            await asyncio.gather(*(handle.result(PATIENCE_S) for handle in handles))
            await there(cluster, name)
    assert set(begun) == set(range(len(ORCHESTRATORS) * RUNS))
    assert max(most.values()) <= AT_ONCE
