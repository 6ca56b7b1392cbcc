"""The roofline: the primitives of the hot path without an engine, an upper bound."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from benchmarks.durability import durability
from benchmarks.figures import Results
from benchmarks.processes import Child, module
from benchmarks.system import Jobs, Setup, running
from benchmarks.workloads import MAP_ITEMS, STEPS_W8, Sizes

NAME = "roofline"
STREAM = "roofline-stream"
READY = "ready "


class Roofline:
    """Measures the bare path with the minimal worker."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None:
        async with AsyncExitStack() as stack:
            argv = module("benchmarks.roofline.server", str(folder / "data"))
            server = await stack.enter_async_context(
                running(Child("server", argv, folder / "server.log"))
            )
            address, postgres = (await server.start(READY)).split(" ", 1)
            results.settings[NAME] = await durability(postgres)
            worker, client = (
                Child(name, module(f"benchmarks.roofline.{name}", address), folder / name)
                for name in ("worker", "client")
            )
            for child in (worker, client):
                await stack.enter_async_context(running(child))
                await child.start()
            setup = Setup(
                results, self._sizes.patience_s, server=server, worker=worker, client=client
            )
            await self._workloads(setup, workloads)

    async def _workloads(self, setup: Setup, workloads: Sequence[str]) -> None:
        sizes = self._sizes
        measure = partial(setup.measure, system=NAME)
        widths = [width for width in sizes.fan_outs if width < MAP_ITEMS]
        repeats = sizes.repeats
        jobs: Jobs = {
            "W1": partial(setup.measure_with_cpu, "W1", NAME, count=sizes.w1),
            "W1s": partial(setup.measure_with_cpu, "W1s", STREAM, count=sizes.w1_stream),
            "W2": partial(measure, "W2", count=sizes.w2),
            "W3": partial(measure, "W3", widths=widths, repeats=repeats),
            "W4": partial(measure, "W4", steps=sizes.w4_steps),
            "W8": partial(measure, "W8", steps=STEPS_W8, repeats=2 * repeats),
            "W6": partial(self._sleepers, setup),
            "W9": partial(measure, "W9", seconds=sizes.w9_s),
        }
        await setup.each(NAME, workloads, jobs)

    async def _sleepers(self, setup: Setup) -> None:
        await setup.measure("W6", NAME, count=self._sizes.sleepers)
        await setup.measure("W6", STREAM, do="W6s", count=self._sizes.sleepers)
