"""The suite with each service a process of its own: what a second orchestrator brings."""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.figures import Results
from benchmarks.processes import Child, module
from benchmarks.suite.system import NAME
from benchmarks.system import Stand, running
from benchmarks.workloads import Sizes

WORKLOAD = "processes"
READY = "gRPC: "
ORCHESTRATORS = {"one": 1, "two": 2}


class Cluster:
    """Measures `flowmesh cluster` with one worker service and one or two orchestrators."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None:
        if WORKLOAD not in workloads:
            return
        for name, count in ORCHESTRATORS.items():
            below = folder / name
            below.mkdir()
            async with AsyncExitStack() as stack:
                await self._measure(stack, below, name, count, results)

    async def _measure(
        self, stack: AsyncExitStack, folder: Path, name: str, orchestrators: int, results: Results
    ) -> None:
        server = await stack.enter_async_context(running(_cluster(folder, orchestrators)))
        await server.start(READY)
        about = json.loads((folder / "data" / "cluster.json").read_text())
        address = str(about["grpc"])
        worker, client = (
            Child(role, module(f"benchmarks.suite.{role}", address), folder / role)
            for role in ("worker", "client")
        )
        for child in (worker, client):
            await stack.enter_async_context(running(child))
            await child.start()
        stand = Stand(results, self._sizes.patience_s, server=server, worker=worker, client=client)
        await client.ask("define", fan_outs=[], chains=[])
        for workload, metric in (("W1", f"{name}_per_s"), ("W1s", f"{name}_streamed_per_s")):
            await client.ask("warm", workload=workload)
            count = self._sizes.w1 if workload == "W1" else self._sizes.w1_stream
            done = await stand.measured(workload, count=count)
            results.add(NAME, WORKLOAD, {metric: done.metrics["workflows_per_s"]})


def _cluster(folder: Path, orchestrators: int) -> Child:
    ports = ("--http-port", "0", "--grpc-port", "0")
    counts = ("--orchestrators", str(orchestrators), "--workers", "1")
    data = ("--data-dir", str(folder / "data"))
    argv = module("flowmesh.suite", "cluster", *data, *ports, *counts)
    return Child("cluster", argv, folder / "cluster.log")
