"""The suite as `flowmesh dev` runs it: everything in one process, three servers beside it."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.durability import durability
from benchmarks.processes import Child, module
from benchmarks.results import Results
from benchmarks.system import Stand, running
from benchmarks.usage import Meter, proportional_mib, resident_mib, until_quiet
from benchmarks.workloads import STEPS_W8, Sizes

NAME = "flowmesh"
STREAM = "flowmesh-stream"
QUIET_S = 3.0
"""After the start, and after the sleepers: the work they cause is not idle work."""
IN_ADVANCE = 200
"""Sleepers before the count: the first ones grow buffers that are no sleeper's."""
READY = "Flowmesh is ready"


class Suite:
    """Measures `flowmesh dev` with a worker by the SDK."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None:
        if "start" in workloads:
            await self._starts(folder, results)
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(running(dev(folder)))
            await server.start(READY)
            about = json.loads((folder / "data" / "dev.json").read_text())
            results.settings[NAME] = await durability(about["postgres"])
            if "idle" in workloads:
                await self._idle(server, results)
            address = str(about["grpc"])
            worker = Child("worker", module("benchmarks.suite.worker", address), folder / "worker")
            client = Child("client", module("benchmarks.suite.client", address), folder / "client")
            for child in (worker, client):
                await stack.enter_async_context(running(child))
                await child.start()
            stand = Stand(
                results, self._sizes.patience_s, server=server, worker=worker, client=client
            )
            await self._workloads(stand, workloads)

    async def _workloads(self, stand: Stand, workloads: Sequence[str]) -> None:
        sizes = self._sizes
        await stand.client.ask("define", fan_outs=list(sizes.fan_outs), steps=sizes.w4_steps)
        if "W1" in workloads:
            await stand.ask_metered("W1", NAME, count=sizes.w1)
        if "W1s" in workloads:
            await stand.ask_metered("W1s", STREAM, count=sizes.w1_stream)
        questions: dict[str, dict[str, Any]] = {
            "W2": {"count": sizes.w2},
            "W3": {"widths": list(sizes.fan_outs), "repeats": sizes.repeats},
            "W4": {"steps": sizes.w4_steps},
            "W7": {"repeats": 2 * sizes.repeats},
            "W8": {"steps": STEPS_W8, "repeats": 2 * sizes.repeats},
        }
        for workload, question in questions.items():
            if workload in workloads:
                await stand.ask(workload, NAME, **question)
        if "W6" in workloads:
            await self._sleepers(stand)

    async def _starts(self, folder: Path, results: Results) -> None:
        """The first start makes the databases; the later one finds them."""
        for name in ("first start", "later start"):
            await asyncio.to_thread(until_quiet, self._sizes.patience_s, Meter({}))
            async with running(dev(folder)) as server:
                began = time.perf_counter()
                await server.start(READY)
                results.add(NAME, name, {"seconds": time.perf_counter() - began})

    async def _idle(self, server: Child, results: Results) -> None:
        await asyncio.sleep(QUIET_S)
        results.add(NAME, "idle", await self._idle_cpu(server))
        memory = {"rss_mib": resident_mib(server.pid), "pss_mib": proportional_mib(server.pid)}
        results.add(NAME, "idle", memory)

    async def _idle_cpu(self, server: Child) -> dict[str, float]:
        meter = Meter({server.name: server.pid})
        await asyncio.sleep(self._sizes.idle_s)
        return {"idle_cpu_percent": sum(meter.read().values()) / self._sizes.idle_s * 100}

    async def _sleepers(self, stand: Stand) -> None:
        """Starts by calls and by the stream; what one keeps in the suite's own process."""
        count = self._sizes.sleepers
        for call in ("W6", "W6s"):
            await stand.client.ask(call, count=IN_ADVANCE)
        before = resident_mib(stand.server.pid, alone=True)
        called = await stand.ask("W6", NAME, count=count)
        streamed = await stand.ask("W6", STREAM, do="W6s", count=count)
        after = resident_mib(stand.server.pid, alone=True)
        kib = (after - before) * 1_024 / (count * (called.tries + streamed.tries))
        stand.results.add(NAME, "W6", {"kib_per_sleeper": max(kib, 0.0)})
        await asyncio.sleep(QUIET_S)
        stand.results.add(NAME, "W6", await self._idle_cpu(stand.server))


def dev(folder: Path) -> Child:
    data = ("--data-dir", str(folder / "data"))
    ports = ("--http-port", "0", "--grpc-port", "0")
    return Child("suite", module("flowmesh.suite", "dev", *data, *ports), folder / "suite.log")
