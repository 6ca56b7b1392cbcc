"""`make bench-scale`: an empty suite and one with many stored executions, measured in turn.

Each figure of the full suite is divided by that of the empty one of the same round, so that other
work on the machine affects both.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from rich.console import Console
from rich.table import Table

from benchmarks.load import percentile
from benchmarks.machine import describe
from benchmarks.processes import Child, module
from benchmarks.scale.filling import ORDER, fill
from benchmarks.suite.system import READY, dev
from benchmarks.system import running
from benchmarks.usage import resident_mib
from flowmesh.sdk import Client

ENDED, SLEEPING = 1_000_000, 100_000
ROUNDS = 3
W1_COUNT, W2_COUNT = 1_500, 100
REQUESTS = 30
WORSE_MAX = 1.10
SEARCH_MS_MAX = 100.0
START_TIMEOUT_S = 120.0
WITHIN_S = 60.0
SEARCHES = {
    "first page": "",
    "of a workflow": f"workflow={ORDER}",
    "running": "status=running",
    "failed": "status=failed",
    "by attribute": "filter=attr.amount%20%3D%2017",
    "by label": "filter=label.team%20%3D%20%22team-007%22",
    "by attribute range": "filter=attr.amount%20%3E%2099990",
    "order by attribute": "orderBy=attr.amount%20desc",
    "order by end": "orderBy=ended%20desc",
    "by request id": "filter=requestId%20%3D%20%22none%22",
}


@dataclass(slots=True)
class Side:
    """A suite with its worker and load generator, and its figures by name."""

    name: str
    folder: Path
    server: Child
    figures: dict[str, list[float]] = field(default_factory=dict)
    client: Child | None = None

    @property
    def about(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "data" / "dev.json").read_text()))

    def add(self, name: str, value: float) -> None:
        self.figures.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return statistics.median(self.figures[name])


async def opened(
    stack: AsyncExitStack, folder: Path, name: str, environment: Mapping[str, str] | None = None
) -> Side:
    """Start a suite."""
    below = folder / name
    below.mkdir(exist_ok=True)
    side = Side(
        name, below, await stack.enter_async_context(running(dev(below, environment=environment)))
    )
    await side.server.start(READY)
    return side


@asynccontextmanager
async def loaded(side: Side) -> AsyncIterator[None]:
    """Run a worker and a load generator beside the suite."""
    address = str(side.about["grpc"])
    async with AsyncExitStack() as stack:
        for role in ("worker", "client"):
            command = module(f"benchmarks.suite.{role}", address)
            child = await stack.enter_async_context(
                running(Child(role, command, side.folder / role))
            )
            await child.start()
            if role == "client":
                side.client = child
        assert side.client is not None
        await side.client.request("define", fan_outs=[], chains=[])
        await side.client.request("warm", workload="W1")
        yield


async def restarted(side: Side, name: str, end: Callable[[], Awaitable[None]]) -> None:
    """Measure the seconds from the start of the processes to the first result."""
    await end()
    began = time.perf_counter()
    await side.server.start(READY, START_TIMEOUT_S)
    side.add(f"{name}: ready, s", time.perf_counter() - began)
    async with Client(str(side.about["grpc"])) as client:
        handle = await client.start(ORDER, {"amount": 1})
        await handle.result(WITHIN_S)
    side.add(f"{name}: first result, s", time.perf_counter() - began)


async def searched(side: Side) -> None:
    """Measure the lists and searches of the console and the command line over REST."""
    url = f"{side.about['http']}/api/v1/executions"
    async with aiohttp.ClientSession() as http:
        for name, query in SEARCHES.items():
            taken = []
            for _ in range(REQUESTS):
                began = time.perf_counter()
                async with http.get(f"{url}?{query}&pageSize=100") as answer:
                    await answer.read()
                    if answer.status != 200:
                        raise RuntimeError(f"{name}: {await answer.text()}")
                taken.append((time.perf_counter() - began) * 1_000)
            side.add(f"list {name}: p50, ms", percentile(taken, 0.5))
            side.add(f"list {name}: p99, ms", percentile(taken, 0.99))


async def worked(side: Side) -> None:
    """Measure W1 and W2."""
    assert side.client is not None
    w1 = await side.client.request("W1", count=W1_COUNT)
    side.add("W1, workflows/s", w1["workflows_per_s"])
    w2 = await side.client.request("W2", count=W2_COUNT)
    side.add("W2: p50, ms", w2["latency_p50_ms"])


async def housekept(side: Side) -> None:
    """Record the time of the round of retention that each start runs."""
    url = f"{side.about['http']}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        for line in (await answer.text()).splitlines():
            if line.startswith('flowmesh_loop_seconds_sum{loop="HousekeepingLoop"}'):
                side.add("retention round, s", float(line.split()[-1]))


async def stored_bytes(side: Side) -> int:
    connection = await asyncpg.connect(str(side.about["postgres"]))
    try:
        return int(await connection.fetchval("select pg_database_size(current_database())"))
    finally:
        await connection.close()


async def _filled(side: Side, ended: int, sleeping: int) -> dict[str, Any]:
    """Fill a suite unless an earlier run did, and say what is stored."""
    told = side.folder / "filled.json"
    if not told.exists():
        before, about = await stored_bytes(side), side.about
        filled = await fill(
            str(about["grpc"]), str(about["postgres"]), ended=ended, sleeping=sleeping
        )
        each = (await stored_bytes(side) - before) / max(ended + sleeping, 1)
        print(
            f"{ended:,} ended and {sleeping:,} sleeping in {filled.seconds:.0f} s, "
            f"{each:,.0f} bytes each",
            flush=True,
        )
        told.write_text(json.dumps({"ended": filled.ended, "sleeping": filled.sleeping}))
    return dict(json.loads(told.read_text()))


async def measure(options: argparse.Namespace, folder: Path) -> tuple[Side, Side, dict[str, Any]]:
    async with AsyncExitStack() as stack:
        empty = await opened(stack, folder, "empty")
        full = await opened(stack, folder, "full")
        await _filled(empty, 0, 0)
        filled = await _filled(full, options.ended, options.sleeping)
        for _ in range(options.rounds):
            for side in (empty, full):
                await restarted(side, "restart", side.server.stop)
                await restarted(side, "kill -9", side.server.kill)
                await housekept(side)
            for side in (empty, full):
                await searched(side)
                async with loaded(side):
                    await worked(side)
                side.add("memory of the suite, MiB", resident_mib(side.server.pid, alone=True))
        return empty, full, filled


def table(empty: Side, full: Side) -> list[dict[str, Any]]:
    """Return and print each figure with the ratio in which a worse one is above 1."""
    shown = Table("figure", "empty", "full", "times worse")
    rows = []
    for name in full.figures:
        before, after = empty.median(name), full.median(name)
        worse = before / after if name.endswith("/s") else after / max(before, 1e-9)
        fast = name.startswith("list") and after <= SEARCH_MS_MAX
        marked = "" if worse <= WORSE_MAX or fast else "  <"
        shown.add_row(name, f"{before:,.2f}", f"{after:,.2f}", f"{worse:.2f}{marked}")
        rows.append({"figure": name, "empty": before, "full": after, "worse": round(worse, 3)})
    Console(width=110).print(shown)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ended", type=int, default=ENDED)
    parser.add_argument("--sleeping", type=int, default=SLEEPING)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--folder", type=Path, help="is kept, and not filled a second time")
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="flowmesh-scale-")
        folder = options.folder or Path(stack.enter_context(made))
        folder.mkdir(parents=True, exist_ok=True)
        empty, full, filled = asyncio.run(measure(options, folder))
    rows = table(empty, full)
    if options.output is not None:
        document = {**filled, **describe(), "figures": rows}
        options.output.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
