"""The suite with one and two orchestrators, to measure the gain of a second process."""

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.figures import Results
from benchmarks.processes import Child, module
from benchmarks.suite.system import NAME, READY, dev
from benchmarks.system import Setup, running
from benchmarks.workloads import Sizes

WORKLOAD = "processes"
ORCHESTRATORS = {"one": 1, "two": 2}


class Scaled:
    """Measures `flowmesh dev` with one and then with two orchestrator processes."""

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
        server = dev(folder, "--orchestrators", str(orchestrators))
        await stack.enter_async_context(running(server))
        await server.start(READY)
        address = str(json.loads((folder / "data" / "dev.json").read_text())["grpc"])
        worker, client = (
            Child(role, module(f"benchmarks.suite.{role}", address), folder / role)
            for role in ("worker", "client")
        )
        for child in (worker, client):
            await stack.enter_async_context(running(child))
            await child.start()
        setup = Setup(results, self._sizes.patience_s, server=server, worker=worker, client=client)
        await client.request("define", fan_outs=[], chains=[])
        for workload, metric in (("W1", f"{name}_per_s"), ("W1s", f"{name}_streamed_per_s")):
            await client.request("warm", workload=workload)
            count = self._sizes.w1 if workload == "W1" else self._sizes.w1_stream
            done = await setup.quietest(workload, count=count)
            results.add(NAME, WORKLOAD, {metric: done.metrics["workflows_per_s"]})
