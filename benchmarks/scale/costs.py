"""Measures what a workflow costs, for `flowmesh size`: python -m benchmarks.scale.costs.

Three workloads differ in one size each, so that the cost of a workflow, of a step and of a byte of
payload follow from their differences. The file that it writes is the data of `flowmesh size`.
"""

import argparse
import asyncio
import base64
import json
import random
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.machine import describe
from benchmarks.processes import ROOT
from benchmarks.scale.filling import SLEEPER, SLEEPER_WORKFLOW, stored_bytes_of
from benchmarks.suite.system import READY, dev
from benchmarks.system import running
from benchmarks.usage import Meter
from flowmesh.cli.operations.sizing import copies_of_payload
from flowmesh.sdk import Client

OUTPUT = ROOT / "libs" / "flowmesh" / "cli" / "operations" / "costs.json"
COUNT = 1_000
IN_FLIGHT = 100
SMALL, LARGE = 100, 2_048
FEW, MANY = 1, 8
COPIES = 10_000
"""Copies by which the bytes of an execution are measured: without free space in pages."""

TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Suite:
    """A running suite: its process, its folder, its database."""

    pid: int
    folder: Path
    postgres: str


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a workload."""

    steps: int
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """The use of one workflow, in the units of the names."""

    cpu_ms: float
    wal_bytes: float
    commits: float
    stored_bytes: float
    bus_bytes: float


SIZES = (Size(FEW, SMALL), Size(MANY, SMALL), Size(MANY, LARGE))


def workflow(steps: int) -> str:
    """Return a definition of sequential steps that pass their input on."""
    tasks = "".join(
        f"    - {{id: s{number}, taskRef: transform,"
        f"{f' dependsOn: [s{number - 1}],' if number else ''}"
        ' input: {source: "{{ input }}", pipeline: []}}\n'
        for number in range(steps)
    )
    return (
        "apiVersion: workflow.io/v1\nkind: Workflow\n"
        f"metadata: {{name: cost-{steps}}}\nspec:\n  tasks:\n{tasks}"
    )


def payload(size: int) -> dict[str, str]:
    """Return an input of random text, which does not compress."""
    return {"text": base64.b85encode(random.Random(size).randbytes(size))[:size].decode()}


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def used(suite: Suite) -> dict[str, float]:
    """Return the counters of the database and the size of the bus."""
    connection = await asyncpg.connect(suite.postgres)
    try:
        await connection.execute("select pg_stat_force_next_flush()")
        row = await connection.fetchrow(
            "select pg_current_wal_lsn() - '0/0'::pg_lsn as wal, xact_commit"
            " from pg_stat_database where datname = current_database()"
        )
    finally:
        await connection.close()
    assert row is not None
    return {
        "wal_bytes": float(row["wal"]),
        "commits": float(row["xact_commit"]),
        "bus_bytes": float(folder_bytes(suite.folder / "data" / "nats")),
    }


async def measured(suite: Suite, client: Client, size: Size, count: int) -> Cost:
    """Run workflows and return the cost of one."""
    name, value = f"cost-{size.steps}", payload(size.payload_bytes)
    await client.register(workflow(size.steps))
    async with client.session() as session:
        first = await session.start(name, value)
        await first.result()
        before, meter = await used(suite), Meter({"suite": suite.pid})
        lanes = asyncio.Semaphore(IN_FLIGHT)

        async def run() -> None:
            async with lanes:
                await session.run(name, value)

        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(*(run() for _ in range(count)))
        after = await used(suite)
    cpu_s = sum(meter.read().values())
    return Cost(
        cpu_ms=cpu_s * 1_000 / count,
        stored_bytes=await stored_bytes_of(suite.postgres, first.execution_id, COPIES),
        **{name: (after[name] - before[name]) / count for name in before},
    )


def difference(more: Cost, less: Cost, by: float) -> Cost:
    """Return the cost of one unit of the size in which two workloads differ by `by`."""
    some, others = asdict(more), asdict(less)
    return Cost(**{name: max((some[name] - others[name]) / by, 0.0) for name in some})


async def main(count: int) -> dict[str, Any]:
    """Return the data of `flowmesh size`."""
    with tempfile.TemporaryDirectory(prefix="flowmesh-costs-") as name:
        folder = Path(name)
        async with running(dev(folder)) as server:
            await server.start(READY)
            about = json.loads((folder / "data" / "dev.json").read_text())
            suite = Suite(server.pid, folder, str(about["postgres"]))
            async with Client(str(about["grpc"])) as client:
                found = [await measured(suite, client, size, count) for size in SIZES]
                await client.register(SLEEPER_WORKFLOW)
                sleeper = await client.start(SLEEPER, {"text": ""})
            sleeping = await stored_bytes_of(suite.postgres, sleeper.id, COPIES)
    few, many, large = found
    byte = difference(large, many, (LARGE - SMALL) * copies_of_payload(MANY))
    step = without(difference(many, few, MANY - FEW), byte, SMALL)
    base = without(without(few, step, FEW), byte, SMALL * copies_of_payload(FEW))
    return {
        **describe(),
        "workflow": asdict(base),
        "step": asdict(step),
        "payload_byte": asdict(byte),
        "sleeper": {"stored_bytes": sleeping},
    }


def without(cost: Cost, part: Cost, times: float) -> Cost:
    """Return a cost without that of its parts, which cannot be below zero."""
    some, others = asdict(cost), asdict(part)
    return Cost(**{name: max(some[name] - others[name] * times, 0.0) for name in some})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    text = json.dumps(asyncio.run(main(options.count)), indent=2)
    options.output.write_text(text + "\n")
    print(text)
