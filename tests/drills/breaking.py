"""Ways to break a cluster, and to see when it is whole again."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from flowmesh.testing import checker
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.metrics import total
from flowmesh.testing.polling import until
from flowmesh.testing.world import World
from tests.drills.drill import Drill
from tests.drills.packer import READY

REPOSITORY = Path(__file__).resolve().parents[2]
SHARE = 28
WHOLE_WITHIN_S = 40.0
PROBE = aiohttp.ClientTimeout(total=2.0)
_OWNED = """
select p.id from orchestrator.partitions p
join orchestrator.incarnations i on i.id = p.incarnation where i.address = $1"""


def drill(
    cluster: Cluster, world: World, fault: str, asked: str = "orchestrator-2", **sizes: Any
) -> Drill:
    """A drill on the cluster; `asked` is the orchestrator that the checks ask."""
    return Drill(
        fault,
        world=world,
        http_url=lambda: cluster.http_url,
        events=lambda: cluster.channel_to("event"),
        executions=lambda: cluster.channel_to(asked),
        postgres=lambda: cluster.postgres,
        **sizes,
    )


async def rows_of(cluster: Cluster, query: str, *values: object) -> list[asyncpg.Record]:
    """The rows of a query that only reads."""
    connection: asyncpg.Connection = await checker.reader(cluster.postgres)
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
    for name in names:

        async def serves(name: str = name) -> bool:
            return await ready(cluster.member(name).http)

        await until(f"{name} ready", serves, within_s=WHOLE_WITHIN_S)


async def served(http_urls: Iterable[str], method: str) -> int:
    """How many calls of a method these processes have ended, however they ended."""
    async with aiohttp.ClientSession(timeout=PROBE) as session:

        async def one(http_url: str) -> float:
            async with session.get(f"{http_url}/metrics") as answer:
                return total(await answer.text(), "flowmesh_rpc_total", method=method)

        return int(sum(await asyncio.gather(*map(one, http_urls))))


async def ready(http_url: str) -> bool:
    """Whether the process at this address says that it is ready."""
    return await says_ok(http_url, "/ready")


async def says_ok(http_url: str, path: str) -> bool:
    """Whether a probe of the process at this address is content."""
    with suppress(aiohttp.ClientError, TimeoutError):
        async with (
            aiohttp.ClientSession(timeout=PROBE) as http,
            http.get(f"{http_url}{path}") as answer,
        ):
            return answer.status == 200
    return False


async def epochs(cluster: Cluster) -> dict[int, int]:
    """The epoch of every partition."""
    rows = await rows_of(cluster, "select id, epoch from orchestrator.partitions")
    return {row["id"]: row["epoch"] for row in rows}


@asynccontextmanager
async def packer(address: str, worker_id: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process that packs, killed at the end if it still lives."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.drills.packer", address, worker_id),
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
