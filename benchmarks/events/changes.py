"""From the commit of a changed row to the start of its execution, while busy and after idling.

`.venv/bin/python -m benchmarks.events.changes [--changes 300] [--idle 8] [--many 20000]`
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.events.common import PATIENCE_S, percentiles, show, started
from benchmarks.load import Metrics
from flowmesh.sdk import Client
from flowmesh.testing.logical import logical_postgres
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, workflow

PACE_S = 0.02
IDLE_S = 2.5


async def follow(suite: Suite, connection: Any, name: str, **change: Any) -> None:
    """Create a table and its workflow, and wait for the slot."""
    await connection.execute(f"create table {name} (id int primary key)")
    trigger = {"id": "rows", "change": {"database": "shop", "table": name, **change}}
    await applied(suite, workflow(name, {"id": "done", "taskRef": "noop"}, triggers=[trigger]))

    async def reading() -> bool:
        answer = await suite.get(f"/api/v1/triggers?workflow={name}")
        slots = [each.get("slot", {}) for each in answer.json["triggers"]]
        return [each.get("phase") for each in slots] == ["READING"]

    await until("the slot", reading, within_s=PATIENCE_S)


async def latency(
    suite: Suite, connection: Any, name: str, count: int, pace_s: float
) -> dict[str, float]:
    await follow(suite, connection, name)
    committed = []
    for number in range(count):
        await asyncio.sleep(pace_s)
        await connection.execute(f"insert into {name} values ({number})")
        committed.append(time.time())
    async with Client(suite.grpc_address) as client:
        starts = await started(client, name, count)
    took = [max(0.0, at.timestamp() - commit) for at, commit in zip(starts, committed, strict=True)]
    return percentiles(took, name)


async def throughput(suite: Suite, connection: Any, count: int) -> dict[str, float]:
    """Return the changes per second of one transaction that are filtered, none of which fires."""
    await follow(suite, connection, "many", filter=f"event.data.after.id == {count}")
    insert = f"insert into many select n from generate_series(1, {count}) n"
    began = time.perf_counter()
    await connection.execute(insert)
    async with Client(suite.grpc_address) as client:
        await started(client, "many", 1)
    return {"filtered_per_s": round(count / (time.perf_counter() - began))}


async def main(changes: int, idle: int, many: int) -> Metrics:
    """Print and return the figures."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        async with logical_postgres(folder / "user") as address:
            file = folder / "databases.toml"
            file.write_text(f'[shop]\nurl = "{address}"\nchanges = true\n')
            environment = {"FLOWMESH_DATABASES": str(file)}
            connection = await asyncpg.connect(address)
            async with Suite(folder / "data", environment=environment) as suite:
                figures = await latency(suite, connection, "active", changes, PACE_S)
                figures |= await latency(suite, connection, "idle", idle, IDLE_S)
                figures |= await throughput(suite, connection, many)
            await connection.close()
    show(figures)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--idle", type=int, default=8)
    parser.add_argument("--many", type=int, default=20_000)
    given = parser.parse_args()
    asyncio.run(main(given.changes, given.idle, given.many))
