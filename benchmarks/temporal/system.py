"""The development server of Temporal from its wheel, with a database file for durability."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from benchmarks.figures import Results
from benchmarks.processes import Child, module
from benchmarks.system import Jobs, Setup, running
from benchmarks.workloads import Sizes
from flowmesh.embedded.ports import free_port

NAME = "temporal-dev"
BINARY = Path(sys.executable).with_name("temporal")
# The faster of the two durable journal modes.
PRAGMAS = {"journal_mode": "wal", "synchronous": "2"}
READY = "Temporal Server:"


class Temporal:
    """Measures W1, W2, W4 and W5 with smaller counts, as it takes longer."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None:
        sizes = self._sizes
        wanted = [name for name in ("W1", "W2", "W4", "W5") if name in workloads]
        if not wanted:
            return
        results.settings[NAME] = {"version": _version(), "database": "sqlite file", **PRAGMAS}
        results.settings[NAME] |= {"W1": f"{sizes.w1_peer} workflows, 200 in flight"}
        results.settings[NAME] |= {"W4": f"{sizes.w4_steps_peer} steps"}
        port = free_port()
        address = f"127.0.0.1:{port}"
        server = Child("temporal", development_server(port, folder), folder / "server.log")
        worker = Child("worker", module("benchmarks.temporal.worker", address), folder / "worker")
        client = Child("client", module("benchmarks.temporal.client", address), folder / "client")
        async with AsyncExitStack() as stack:
            for child, ready in ((server, READY), (worker, "ready"), (client, "ready")):
                await stack.enter_async_context(running(child))
                await child.start(ready)
            setup = Setup(
                results, self._sizes.patience_s, server=server, worker=worker, client=client
            )
            restart = partial(server.start, READY)
            jobs: Jobs = {
                "W1": partial(setup.measure_with_cpu, "W1", NAME, count=sizes.w1_peer),
                "W2": partial(setup.measure, "W2", NAME, count=sizes.w2_peer),
                "W4": partial(setup.measure, "W4", NAME, steps=sizes.w4_steps_peer),
                "W5": partial(setup.recover, NAME, count=sizes.w5, start=restart),
            }
            await setup.each(NAME, wanted, jobs)


def development_server(port: int, folder: Path) -> tuple[str, ...]:
    """Return the command of a server with a database file in a folder."""
    pragmas = [
        word for name, value in PRAGMAS.items() for word in ("--sqlite-pragma", f"{name}={value}")
    ]
    return (
        *(str(BINARY), "server", "start-dev", "--headless", "--ip", "127.0.0.1"),
        *("--port", str(port), "--db-filename", str(folder / "temporal.db")),
        *("--log-level", "error", *pragmas),
    )


def _version() -> str:
    done = subprocess.run((BINARY, "--version"), capture_output=True, text=True, check=False)
    return done.stdout.strip()
