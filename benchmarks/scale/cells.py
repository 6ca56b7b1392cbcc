"""`make bench-cells`: forwarded calls beside direct ones, the cost of a front, and a lost cell.

Three cells and a suite without cells share this machine, so rates say nothing: each figure is
printed beside one of the same run.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.load import closed_loop, median, one_by_one, open_loop, percentile
from benchmarks.scale.filling import ORDER, ORDER_WORKFLOW
from benchmarks.scale.main import Side, opened
from benchmarks.suite.system import READY
from benchmarks.usage import Meter, tree
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.bus import Bus
from flowmesh.cells import DirectoryStore, Home, Pin, cell_of
from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.rpc import RemoteTarget, channel_to
from flowmesh.sdk import Client

CELLS = (("us0", "us"), ("us1", "us"), ("eu2", "eu"))
ALONE, EU = "alone", 2
HOMES = {"own": 0, "near": 1, "far": EU}
"""Projects, each with the number of its cell."""

CALLS, TURNS, COUNT, IN_FLIGHT = 500, 8, 200, 16
PER_S, LOADED_S = 50.0, 10
WITHIN_S = 120.0
Row = tuple[str, str, str, str]


def settings(number: int, directory: str) -> dict[str, str]:
    """Return the settings of a cell; the control cell keeps the directory itself."""
    name, region = CELLS[number]
    return {
        "FLOWMESH_CELL": str(number),
        "FLOWMESH_CELL_NAME": name,
        "FLOWMESH_CELL_REGION": region,
        "FLOWMESH_CELL_DIRECTORY": directory,
    }


async def run(client: Client) -> str:
    """Run a workflow of three steps to its end; return the id of the execution."""
    handle = await client.start(ORDER, {"amount": 1})
    await handle.result(WITHIN_S)
    return handle.id


async def until_home(client: Client, number: int) -> str:
    """Run the workflow until the gateway knows the home of the project; return the last id."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            await client.register(ORDER_WORKFLOW)
            execution_id = await run(client)
            if cell_of(execution_id) == number:
                return execution_id


async def forwarded(sides: list[Side], execution_id: str) -> list[Row]:
    """Read an execution of `far` at its cell and through another, in turn."""
    rows = []
    async with aiohttp.ClientSession(headers={"flowmesh-namespace": "far"}) as http:

        def rest(side: Side) -> Callable[[], Awaitable[object]]:
            async def get() -> None:
                url = f"{side.about['http']}/api/v1/executions/{execution_id}"
                async with http.get(url) as answer:
                    await answer.read()
                    answer.raise_for_status()

            return get

        def grpc(side: Side) -> Callable[[], Awaitable[object]]:
            stub = pb_grpc.ExecutionServiceStub(channel_to(RemoteTarget(str(side.about["grpc"]))))
            return partial(
                stub.GetExecution,
                pb.GetExecutionRequest(namespace="far", execution_id=execution_id),
            )

        for name, of in (("REST", rest), ("gRPC", grpc)):
            direct, through = of(sides[EU]), of(sides[0])
            taken: tuple[list[float], list[float]] = ([], [])
            for _ in range(CALLS):
                for call, kept in zip((direct, through), taken, strict=True):
                    kept += await one_by_one(call, 1)
            before, after = map(median, taken)
            title = f"{name} call, direct and forwarded: p50, ms"
            rows.append((title, f"{before:.2f}", f"{after:.2f}", f"+ {after - before:.2f}"))
    return rows


async def fronted(alone: Side, cell: Side, clients: tuple[Client, Client]) -> Row:
    """Measure the processor time of a workflow without cells and in a cell of its own."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS):
        pairs = list(zip((alone, cell), clients, taken, strict=True))
        for side, client, kept in pairs if turn % 2 else reversed(pairs):
            meter = Meter({"suite": side.server.pid})
            await closed_loop(partial(run, client), COUNT, IN_FLIGHT)
            kept.append(sum(meter.read().values()) * 1_000 / COUNT)
    before, after = map(median, taken)
    title = "CPU of a workflow, without cells and in its cell: ms"
    return title, f"{before:.2f}", f"{after:.2f}", f"{after / before:.3f} x"


async def lost(sides: list[Side], clients: dict[str, Client]) -> list[Row]:
    """Kill a cell with its servers while the two others work, and start it again."""
    failures: list[str] = []

    async def one(number: int) -> None:
        try:
            await run(clients["own" if number % 2 else "near"])
        except FlowmeshError as error:
            failures.append(repr(error))

    count = int(2 * PER_S * LOADED_S)
    quiet, _ = await open_loop(one, count, 2 * PER_S)
    killed = sides[EU].server
    processes = tree(killed.pid)
    loaded = asyncio.create_task(open_loop(one, count, 2 * PER_S))
    await asyncio.sleep(1)
    for each in processes:
        each.kill()
    await asyncio.to_thread(psutil.wait_procs, processes, timeout=5)
    await killed.kill()
    refused = [await _refusal_ms(sides[0]) for _ in range(5)]
    disturbed, _ = await loaded
    began = time.perf_counter()
    await killed.start(READY)
    await until_home(clients["far"], EU)
    back_s = time.perf_counter() - began
    before, after = percentile(quiet, 0.99), percentile(disturbed, 0.99)
    return [
        (
            "p99 of the other cells, before and after a cell is killed: ms",
            *(f"{before:.1f}", f"{after:.1f}", f"{after / before:.2f} x"),
        ),
        ("errors of the other cells", "0", str(len(failures)), "; ".join(failures[:1])),
        ("CELL_UNAVAILABLE for its callers, median of five: ms", "", f"{median(refused):.0f}", ""),
        ("start of the cell to its first result: s", "", f"{back_s:.1f}", ""),
    ]


async def _refusal_ms(side: Side) -> float:
    """Return the time until a call for a project of a lost cell is refused."""
    stub = pb_grpc.ExecutionServiceStub(channel_to(RemoteTarget(str(side.about["grpc"]))))
    began = time.perf_counter()
    try:
        await stub.ListExecutions(pb.ListExecutionsRequest(namespace="far"))
    except Unavailable as error:
        if error.reason != "CELL_UNAVAILABLE":
            raise
    return (time.perf_counter() - began) * 1_000


async def measure(folder: Path) -> list[Row]:
    async with AsyncExitStack() as stack:
        alone = await opened(stack, folder, ALONE)
        sides = [await opened(stack, folder, CELLS[0][0], settings(0, ""))]
        directory = str(sides[0].about["directory"])
        for number in (1, EU):
            own = settings(number, directory)
            sides.append(await opened(stack, folder, CELLS[number][0], own))
        bus = Bus(directory)
        bus.start()
        stack.push_async_callback(bus.close)
        await bus.until_connected()
        store = DirectoryStore(bus, "fm")
        clients = {}
        for project, number in HOMES.items():
            await store.put(Pin(project, Home(number)))
            address = str(sides[1 if number == 1 else 0].about["grpc"])
            clients[project] = await stack.enter_async_context(Client(address, namespace=project))
        ids = {
            project: await until_home(clients[project], number) for project, number in HOMES.items()
        }
        by_itself = await stack.enter_async_context(Client(str(alone.about["grpc"])))
        await until_home(by_itself, 0)
        return [
            *await forwarded(sides, ids["far"]),
            await fronted(alone, sides[0], (by_itself, clients["own"])),
            *await lost(sides, clients),
        ]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="flowmesh-cells-") as folder:
        rows = asyncio.run(measure(Path(folder)))
    shown = Table("figure", "before", "after", "")
    for row in rows:
        shown.add_row(*row)
    Console(width=110).print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
