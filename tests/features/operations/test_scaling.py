"""More processes do more: work over workers, executions over partitions and their owners."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import nats
import pytest
import pytest_asyncio

from flowmesh.sdk import Client, Worker, task, workflow
from flowmesh.sdk import Workflow as Flow
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import pause
from tests.drills.breaking import balanced, owned_by, rows_of, there

TASK_S = 0.15
RUNS = 48
SLOTS = 4
FASTER_MIN = 1.8
"""Three workers are three times as fast where nothing else uses the machine."""

PATIENCE_S = 60.0
ORCHESTRATORS = ("orchestrator-1", "orchestrator-2")

pytestmark = pytest.mark.long


@task("work-slowly")
async def work(value: Any) -> Any:
    await pause(TASK_S)
    return value


@workflow("scaled")
def scaled(flow: Flow) -> None:
    flow.task("slow", work)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two orchestrators and two worker services, each a process of its own."""
    async with Cluster(tmp_path_factory.mktemp("scaling") / "data") as running:
        await there(running, "worker-1", "worker-2")
        await balanced(running)
        yield running


async def run_many(client: Client) -> tuple[float, list[str]]:
    """Seconds until all executions have ended, and their ids."""
    began = time.monotonic()
    handles = await asyncio.gather(*(client.start("scaled", {"n": n}) for n in range(RUNS)))
    await asyncio.gather(*(handle.result(PATIENCE_S) for handle in handles))
    return time.monotonic() - began, [handle.id for handle in handles]


@pytest.mark.feature("S3-34", "S1-164", "S3-96")
async def test_three_workers_do_more_than_one(cluster: Cluster) -> None:
    """The same executions in little more than a third of the time; every worker has its part."""
    prefix = uuid.uuid4().hex[:8]
    async with Client(cluster.grpc_address) as client, AsyncExitStack() as stack:
        await client.register(scaled)
        for number in range(3):
            # Workers know nothing of executions: they come to either worker service, at any time.
            service = cluster.member(f"worker-{number % 2 + 1}").grpc
            worker = Worker(service, scaled.handlers, slots=SLOTS, worker_id=f"{prefix}-{number}")
            await stack.enter_async_context(worker)
            if number == 0:
                alone_s, _ = await run_many(client)
        together_s, ids = await run_many(client)
        done_by = [
            event.data["workerId"]
            for execution_id in ids
            async for event in client.history(execution_id)
            if event.type == "TaskStarted"
        ]
    assert len(done_by) == RUNS
    assert {each.removeprefix(f"{prefix}-") for each in done_by} == {"0", "1", "2"}
    assert alone_s / together_s >= FASTER_MIN, (alone_s, together_s)


@pytest.mark.feature("S3-97", "S1-164")
async def test_executions_spread_over_partitions_and_owners(cluster: Cluster) -> None:
    """By a part of their id; each orchestrator owns some and publishes the events of those."""
    async with Client(cluster.grpc_address) as client:
        await client.register(scaled)
        async with Worker(client, scaled.handlers):
            _, ids = await run_many(client)
            again = [await client.start("scaled", request_id="the-same") for _ in range(3)]
    assert len({handle.id for handle in again}) == 1

    query = "select id, partition from orchestrator.executions where id = any($1::text[])"
    partitions = {row["id"]: row["partition"] for row in await rows_of(cluster, query, ids)}
    assert len(partitions) == RUNS
    assert len(set(partitions.values())) >= RUNS / 3
    owned = [await owned_by(cluster, name) for name in ORCHESTRATORS]
    assert not owned[0] & owned[1]
    shares = [sum(each in own for each in partitions.values()) for own in owned]
    assert sum(shares) == RUNS
    assert min(shares) >= RUNS / 8

    incarnations = await rows_of(
        cluster, "select distinct incarnation from orchestrator.partitions"
    )
    connection = await nats.connect(str(cluster.about["nats"]))
    try:
        info = await connection.jetstream().stream_info("FM_EVENTS", subjects_filter=">")
        subjects = info.state.subjects or {}
    finally:
        await connection.close()
    assert len(incarnations) == len(ORCHESTRATORS)
    for row in incarnations:
        assert subjects.get(f"fm.events.{row['incarnation']}", 0) > 0
