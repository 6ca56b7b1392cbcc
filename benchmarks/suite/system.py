"""The suite as run by `flowmesh dev`: one process and three servers."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from benchmarks.durability import durability
from benchmarks.figures import Results
from benchmarks.processes import Child, module
from benchmarks.suite.workflows import REPEATABLE
from benchmarks.system import Jobs, Setup, running
from benchmarks.usage import Meter, Peak, proportional_mib, resident_mib, until_quiet
from benchmarks.workloads import (
    OPEN_LOOP_PER_S,
    PAYLOAD_BYTES,
    REPEATED,
    STEPS_W8,
    TIMERS_STEADY_S,
    TIMERS_WITHIN_S,
    Sizes,
)
from flowmesh import core
from flowmesh.embedded.ports import free_port

NAME = "flowmesh"
STREAM = "flowmesh-stream"
BUILTIN = "flowmesh-builtin"
DURABLE = "flowmesh-durable"
QUIET_S = 3.0
"""The wait after the start and after the sleepers, whose work is not idle work."""
IN_ADVANCE = 200
"""The sleepers before the measurement, which grow buffers shared by all."""
READY = "Flowmesh is ready"


class Suite:
    """Measures `flowmesh dev` with a worker of the SDK."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None:
        if "start" in workloads:
            await self._starts(folder, results)
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(running(dev(folder)))
            await server.start(READY)
            about = json.loads((folder / "data" / "dev.json").read_text())
            results.settings[NAME] = {"core": core.kind(), **await durability(about["postgres"])}
            if "idle" in workloads:
                await self._idle(server, results)
            address = str(about["grpc"])
            worker = Child("worker", module("benchmarks.suite.worker", address), folder / "worker")
            client = Child("client", module("benchmarks.suite.client", address), folder / "client")
            for child in (worker, client):
                await stack.enter_async_context(running(child))
                await child.start()
            setup = Setup(
                results, self._sizes.patience_s, server=server, worker=worker, client=client
            )
            await self._workloads(setup, workloads)

    async def _workloads(self, setup: Setup, workloads: Sequence[str]) -> None:
        sizes = self._sizes
        chains = [sizes.w4_steps, sizes.w4_many_steps]
        await setup.client.request("define", fan_outs=list(sizes.fan_outs), chains=chains)
        measure = partial(setup.measure, system=NAME)
        steady = int(OPEN_LOOP_PER_S * TIMERS_STEADY_S)
        restart = partial(setup.server.start, READY)
        jobs: Jobs = {
            "W1": partial(setup.measure_with_cpu, "W1", NAME, count=sizes.w1),
            "W1s": partial(setup.measure_with_cpu, "W1s", STREAM, count=sizes.w1_stream),
            "W1b": partial(setup.measure_with_cpu, "W1b", BUILTIN, count=sizes.w1_builtin),
            "W1l": partial(setup.compared, "W1l", "W1", NAME, 2 * sizes.w1),
            "W2": partial(measure, "W2", count=sizes.w2),
            "W3": partial(self._fan_outs, setup),
            "W4": partial(measure, "W4", steps=sizes.w4_steps),
            "W7": partial(measure, "W7", repeats=2 * sizes.repeats),
            "W8": partial(measure, "W8", steps=STEPS_W8, repeats=2 * sizes.repeats),
            "W4d": partial(setup.measure, "W4d", DURABLE, steps=sizes.w4_steps),
            "W8d": partial(
                setup.measure, "W8d", DURABLE, steps=STEPS_W8, repeats=2 * sizes.repeats
            ),
            "W4r": partial(measure, "W4r", do="W4", chain=REPEATED, steps=sizes.w4_steps),
            "W8r": partial(
                measure,
                "W8r",
                do="W8",
                chain=REPEATED,
                steps=STEPS_W8,
                repeats=2 * sizes.repeats,
            ),
            "W4dr": partial(measure, "W4dr", do="W4d", handler=REPEATABLE, steps=sizes.w4_steps),
            "W8dr": partial(
                measure,
                "W8dr",
                do="W8d",
                handler=REPEATABLE,
                steps=STEPS_W8,
                repeats=2 * sizes.repeats,
            ),
            "W10": partial(measure, "W10", count=sizes.w10),
            "W5": partial(setup.recover, NAME, count=sizes.w5, start=restart),
            "W6": partial(self._sleepers, setup),
            "W4-10000": partial(measure, "W4-10000", do="W4", steps=sizes.w4_many_steps),
            "W9": partial(measure, "W9", seconds=sizes.w9_s),
            "payloads": partial(measure, "payloads", sizes=list(PAYLOAD_BYTES)),
            "timers": partial(measure, "timers", count=sizes.timers, within_s=TIMERS_WITHIN_S),
            "timers-500": partial(
                measure, "timers-500", do="timers", count=steady, within_s=TIMERS_STEADY_S
            ),
            "W6-100000": partial(self._many_sleepers, setup),
        }
        await setup.each(NAME, workloads, jobs)

    async def _fan_outs(self, setup: Setup) -> None:
        peak = Peak(setup.server.pid)
        widths = list(self._sizes.fan_outs)
        await setup.measure("W3", NAME, widths=widths, repeats=self._sizes.repeats)
        setup.results.add(NAME, "W3", {"peak_mib": peak.mib()})

    async def _starts(self, folder: Path, results: Results) -> None:
        """Measure the first start, which creates the databases, and a later one."""
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

    async def _sleepers(self, setup: Setup) -> None:
        """Measure starts of sleepers by calls and by the stream, and the memory of each."""
        count = self._sizes.sleepers
        for call in ("W6", "W6s"):
            await setup.client.request(call, count=IN_ADVANCE)
        before = resident_mib(setup.server.pid, alone=True)
        called = await setup.measure("W6", NAME, count=count)
        streamed = await setup.measure("W6", STREAM, do="W6s", count=count)
        after = resident_mib(setup.server.pid, alone=True)
        kib = (after - before) * 1_024 / (count * (called.tries + streamed.tries))
        setup.results.add(NAME, "W6", {"kib_per_sleeper": max(kib, 0.0)})
        await asyncio.sleep(QUIET_S)
        setup.results.add(NAME, "W6", await self._idle_cpu(setup.server))

    async def _many_sleepers(self, setup: Setup) -> None:
        """Measure starts of sleepers by the stream, and their cost while they sleep."""
        count = self._sizes.many_sleepers
        before = resident_mib(setup.server.pid, alone=True)
        await setup.measure("W6-100000", STREAM, do="W6s", count=count)
        await asyncio.sleep(QUIET_S)
        kib = (resident_mib(setup.server.pid, alone=True) - before) * 1_024 / count
        idle = await self._idle_cpu(setup.server)
        setup.results.add(NAME, "W6-100000", {"kib_per_sleeper": max(kib, 0.0), **idle})


def dev(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Child:
    """Return a suite on its own ports, which a restart reuses."""
    data = ("--data-dir", str(folder / "data"))
    ports = ("--http-port", str(free_port()), "--grpc-port", str(free_port()))
    argv = module("flowmesh.suite", "dev", *data, *ports, *arguments)
    return Child("suite", argv, folder / "suite.log", environment)
