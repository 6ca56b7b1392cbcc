"""The primitives of the hot path with no engine: what this machine can do at most."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.durability import durability
from benchmarks.figures import Results
from benchmarks.processes import Child, module
from benchmarks.system import Stand, running
from benchmarks.workloads import STEPS_W8, Sizes

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
        if "W1" in workloads:
            await stand.ask_metered("W1", NAME, count=sizes.w1)
        if "W1s" in workloads:
            await stand.ask_metered("W1s", STREAM, count=sizes.w1_stream)
        questions: dict[str, dict[str, Any]] = {
            "W2": {"count": sizes.w2},
            "W3": {"widths": list(sizes.fan_outs), "repeats": sizes.repeats},
            "W4": {"steps": sizes.w4_steps},
            "W9": {"seconds": sizes.w9_s},
            "W8": {"steps": STEPS_W8, "repeats": 2 * sizes.repeats},
            "W6": {"count": sizes.sleepers},
        }
        for workload, question in questions.items():
            if workload in workloads:
                await stand.ask(workload, NAME, **question)
        if "W6" in workloads:
            await stand.ask("W6", STREAM, do="W6s", count=sizes.sleepers)
