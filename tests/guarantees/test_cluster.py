"""What a cluster promises when one of its processes is killed, stopped or replaced."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from flowmesh.testing import checker
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.world import World
from tests.guarantees.drill import Drill
from tests.guarantees.packer import ACTION, READY
from tests.guarantees.polling import allowed_s, until

REPOSITORY = Path(__file__).resolve().parents[2]
SHARE = 28
# From the fault to the next committed transition.
RECOVERED_S = 2.8
HANDED_OVER_S = 1.0
REDISPATCHED_S = 4.0
WORKER_REPLACED_S = 1.5
WHOLE_WITHIN_S = 40.0
PROBE = aiohttp.ClientTimeout(total=2.0)
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


async def rows_of(cluster: Cluster, query: str, *values: object) -> list[asyncpg.Record]:
    """The rows of a query that only reads."""
    connection: asyncpg.Connection = await checker.reader(cluster.about["postgres"])
    try:
        return list(await connection.fetch(query, *values))
    finally:
        await connection.close()


async def owned_by(cluster: Cluster, name: str) -> frozenset[int]:
    """The partitions that an orchestrator owns."""
    rows = await rows_of(cluster, _OWNED, cluster.member(name).grpc)
    return frozenset(row["id"] for row in rows)


async def balanced(cluster: Cluster) -> None:
    """Returns when both orchestrators are there and have their share of the partitions."""

    async def shared() -> bool:
        owned = [await owned_by(cluster, name) for name in ("orchestrator-1", "orchestrator-2")]
        return min(map(len, owned)) >= SHARE

    await until("partitions shared", shared, within_s=WHOLE_WITHIN_S)


async def there(cluster: Cluster, *names: str) -> None:
    """Returns when these members are up and ready, again after earlier tests."""
    async with aiohttp.ClientSession(timeout=PROBE) as http:
        for name in names:

            async def ready(name: str = name) -> bool:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(f"{cluster.member(name).http}/ready") as answer:
                        return answer.status == 200
                return False

            await until(f"{name} ready", ready, within_s=WHOLE_WITHIN_S)


async def epochs(cluster: Cluster) -> dict[int, int]:
    """The epoch of every partition."""
    rows = await rows_of(cluster, "select id, epoch from orchestrator.partitions")
    return {row["id"]: row["epoch"] for row in rows}


@pytest.mark.feature("S2-53", "S2-54", "S3-21", "S3-39")
async def test_a_killed_orchestrator_costs_no_step(cluster: Cluster, world: World) -> None:
    """The other one goes on with its executions within the lease; nothing runs twice."""
    async with drill(cluster, world, "kill -9 orchestrator") as running:
        await balanced(cluster)
        await running.in_flight()
        victims = await owned_by(cluster, "orchestrator-1")
        assert victims
        cluster.send("orchestrator-1")
        running.breaks(victims)
        outcome = await running.finish()

    assert outcome.p50_s <= allowed_s(RECOVERED_S)


@pytest.mark.feature("S2-54", "S4-53")
async def test_a_killed_worker_service_costs_no_step(cluster: Cluster, world: World) -> None:
    """Its tasks go out again, under the same keys; the receiver's first effect is the only one."""
    async with drill(cluster, world, "kill -9 worker service") as running:
        await there(cluster, "worker-1", "worker-2")
        await running.in_flight()
        cluster.send("worker-1")
        running.breaks()
        outcome = await running.finish()

    assert max(outcome.recoveries_s) <= allowed_s(REDISPATCHED_S)


@pytest.mark.feature("S2-53", "S3-21")
async def test_an_orchestrator_that_leaves_hands_over(cluster: Cluster, world: World) -> None:
    """SIGTERM moves its executions to the other one within a second; callers notice nothing."""
    async with drill(cluster, world, "SIGTERM orchestrator") as running:
        await balanced(cluster)
        await running.in_flight()
        victims = await owned_by(cluster, "orchestrator-1")
        cluster.send("orchestrator-1", signal.SIGTERM)
        running.breaks(victims)
        outcome = await running.finish()

    assert outcome.p50_s <= allowed_s(HANDED_OVER_S)


@pytest.mark.feature("S2-53")
async def test_a_paused_owner_is_fenced(cluster: Cluster, world: World) -> None:
    """Stopped for longer than its lease and woken again, it commits nothing of what it held."""
    async with drill(cluster, world, "SIGSTOP orchestrator") as running:
        await balanced(cluster)
        await running.in_flight()
        victims = await owned_by(cluster, "orchestrator-1")
        before = await epochs(cluster)
        cluster.send("orchestrator-1", signal.SIGSTOP)
        try:
            running.breaks(victims)

            async def taken_over() -> bool:
                return not await owned_by(cluster, "orchestrator-1")

            await until("taken over", taken_over, within_s=10)
        finally:
            cluster.send("orchestrator-1", signal.SIGCONT)
        outcome = await running.finish()
        after = await epochs(cluster)

    assert all(after[partition] > before[partition] for partition in victims)
    assert outcome.p50_s <= allowed_s(RECOVERED_S)


@pytest.mark.feature("S0-96", "S3-46")
async def test_a_killed_event_service_costs_subscribers_nothing(
    cluster: Cluster, world: World
) -> None:
    """They reconnect and go on behind the last event they got; every callback is delivered."""
    async with drill(cluster, world, "kill -9 event service") as running:
        await there(cluster, "event")
        await running.in_flight()
        cluster.send("event")
        running.breaks()
        outcome = await running.finish(extra_deliveries=0)

    assert outcome.reopened > 0


@pytest.mark.feature("S4-53", "S3-46")
async def test_a_killed_remote_worker_costs_no_step(cluster: Cluster, world: World) -> None:
    """Its tasks go to another worker half a second later, with the same attempt and key."""
    async with AsyncExitStack() as stack:
        await there(cluster, "worker-1", "worker-2")
        killed = await stack.enter_async_context(packer(cluster.member("worker-1").grpc, "p-1"))
        await stack.enter_async_context(packer(cluster.member("worker-2").grpc, "p-2"))
        running = await stack.enter_async_context(drill(cluster, world, "kill -9 remote worker"))
        await running.in_flight(remote=ACTION)
        killed.kill()
        running.breaks()
        outcome = await running.finish(extra_deliveries=0)

    assert max(outcome.recoveries_s) <= allowed_s(WORKER_REPLACED_S)


@asynccontextmanager
async def packer(address: str, worker_id: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process that packs, killed at the end if it still lives."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.guarantees.packer", address, worker_id),
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WHOLE_WITHIN_S):
            assert (await process.stdout.readline()).strip() == READY.encode()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
