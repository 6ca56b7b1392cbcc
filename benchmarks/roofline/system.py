"""The primitives of the hot path with no engine: what this machine can do at most."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from benchmarks.durability import durability
from benchmarks.figures import Results
from benchmarks.processes import Child, module
from benchmarks.system import Jobs, Stand, running
from benchmarks.workloads import MAP_ITEMS, STEPS_W8, Sizes

NAME = "roofline"
STREAM = "roofline-stream"
READY = "ready "


class Roofline:
    """Measures the bare path with the bare worker."""

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
            stand = Stand(
                results, self._sizes.patience_s, server=server, worker=worker, client=client
            )
            await self._workloads(stand, workloads)

    async def _workloads(self, stand: Stand, workloads: Sequence[str]) -> None:
        sizes = self._sizes
        ask = partial(stand.ask, system=NAME)
        widths = [width for width in sizes.fan_outs if width < MAP_ITEMS]
        repeats = sizes.repeats
        jobs: Jobs = {
            "W1": partial(stand.ask_metered, "W1", NAME, count=sizes.w1),
            "W1s": partial(stand.ask_metered, "W1s", STREAM, count=sizes.w1_stream),
            "W2": partial(ask, "W2", count=sizes.w2),
            "W3": partial(ask, "W3", widths=widths, repeats=repeats),
            "W4": partial(ask, "W4", steps=sizes.w4_steps),
            "W8": partial(ask, "W8", steps=STEPS_W8, repeats=2 * repeats),
            "W6": partial(self._sleepers, stand),
            "W9": partial(ask, "W9", seconds=sizes.w9_s),
        }
        await stand.each(NAME, workloads, jobs)

    async def _sleepers(self, stand: Stand) -> None:
        await stand.ask("W6", NAME, count=self._sizes.sleepers)
        await stand.ask("W6", STREAM, do="W6s", count=self._sizes.sleepers)
