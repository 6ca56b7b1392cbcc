"""From the commit of a transaction with an outbox to the start of its execution.

`.venv/bin/python -m benchmarks.events.outbox [--commits 200] [--rounds 3]`
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import asyncpg

from benchmarks.events.common import medians, percentiles, show, started
from benchmarks.load import Metrics
from flowmesh import outbox
from flowmesh.embedded import EmbeddedServers
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, workflow

PACE_S = 0.02
ROLLED_BACK = 100


async def measure(suite: Suite, address: str, count: int, name: str) -> dict[str, float]:
    await applied(suite, workflow(name, {"id": "done", "taskRef": "noop"}))
    connection = await asyncpg.connect(address)
    committed = []
    for number in range(count):
        async with connection.transaction():
            await outbox.start(connection, name, {"n": number})
        committed.append(time.time())
        await asyncio.sleep(PACE_S)
    for number in range(ROLLED_BACK):
        transaction = connection.transaction()
        await transaction.start()
        await outbox.start(connection, name, {"n": -number})
        await transaction.rollback()
    await connection.close()
    async with Client(suite.grpc_address) as client:
        starts = await started(client, name, count)
    # In the order of the commits; a start before the response of the commit counts as 0.
    took = [max(0.0, at.timestamp() - commit) for at, commit in zip(starts, committed, strict=True)]
    return percentiles(took, "commit_to_start")


async def main(commits: int, rounds: int) -> Metrics:
    """Print the figures of each round, and return their medians."""
    found: list[Metrics] = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        async with EmbeddedServers(folder / "user") as servers:
            file = folder / "databases.toml"
            file.write_text(f'[orders]\nurl = "{servers.postgres}"\noutbox = true\n')
            connection = await asyncpg.connect(servers.postgres)
            await outbox.install(connection)
            await connection.close()
            environment = {"FLOWMESH_DATABASES": str(file)}
            async with Suite(folder / "data", environment=environment) as suite:
                for number in range(rounds):
                    name = f"ordered-{number}"
                    found.append(await measure(suite, servers.postgres, commits, name))
                    show(found[-1])
    return medians(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.commits, given.rounds))
