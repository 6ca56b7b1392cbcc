"""`make bench-signals`: W1 with kept signals, without them, and while their store is away.

The three are measured in turns in one run, so that other work on the machine affects all of them.
"""

import asyncio
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.table import Table

from benchmarks.scale.main import Side, loaded, opened
from benchmarks.usage import Meter

TURNS, COUNT = 8, 3_000
OFF, KEPT, AWAY = "without signals", "with signals", "their store is away"
ORDERS = ((OFF, KEPT, AWAY), (AWAY, KEPT, OFF))
WRITER = "flowmesh_observe"


@asynccontextmanager
async def away(side: Side) -> AsyncIterator[None]:
    """End the connections of the store of signals, and let it make no others."""
    connection = await asyncpg.connect(str(side.about["postgres"]))
    try:
        await connection.execute(f"alter role {WRITER} nologin")
        ended = "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1"
        await connection.execute(ended, WRITER)
        yield
        await connection.execute(f"alter role {WRITER} login")
    finally:
        await connection.close()


async def measure(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Return workflows per second and CPU seconds per 1,000 workflows, of each turn."""
    figures = defaultdict(list)
    async with AsyncExitStack() as stack:
        kept = await opened(stack, folder, "kept")
        off = await opened(stack, folder, "off", {"FLOWMESH_OBSERVE": "false"})
        for side in (kept, off):
            await stack.enter_async_context(loaded(side))
        for turn in range(TURNS):
            for name in ORDERS[turn % len(ORDERS)]:
                side = off if name == OFF else kept
                assert side.client is not None
                async with away(kept) if name == AWAY else nullcontext():
                    meter = Meter({"suite": side.server.pid})
                    done = await side.client.request("W1", count=COUNT)
                    cpu_s = sum(meter.read().values()) * 1_000 / COUNT
                figures[name].append((done["workflows_per_s"], cpu_s))
    return figures


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="flowmesh-signals-") as folder:
        figures = asyncio.run(measure(Path(folder)))
    shown = Table("W1", "workflows/s", "share", "CPU s per 1,000", "share")
    medians = {
        name: [statistics.median(each) for each in zip(*turns, strict=True)]
        for name, turns in figures.items()
    }
    of_rate, of_cpu = medians[OFF]
    for name, (rate, cpu_s) in medians.items():
        shown.add_row(
            name, f"{rate:,.0f}", f"{rate / of_rate:.3f}", f"{cpu_s:.3f}", f"{cpu_s / of_cpu:.3f}"
        )
    Console(width=110).print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
