"""Temporal's development server from its wheel, with a file so that it is durable."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from benchmarks.figures import Results
from benchmarks.processes import Child, module
from benchmarks.system import Jobs, Stand, running
from benchmarks.workloads import Sizes
from flowmesh.embedded.nats import free_port

NAME = "temporal-dev"
BINARY = Path(sys.executable).with_name("temporal")
# Durable, and the faster one of the two journals that are.
PRAGMAS = {"journal_mode": "wal", "synchronous": "2"}
READY = "Temporal Server:"


class Temporal:
    """Measures what is compared: W1, W2, W4, W5. Smaller counts, because it takes longer."""

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
        server = Child("temporal", _server(port, folder), folder / "server.log")
        worker = Child("worker", module("benchmarks.temporal.worker", address), folder / "worker")
        client = Child("client", module("benchmarks.temporal.client", address), folder / "client")
        async with AsyncExitStack() as stack:
            for child, ready in ((server, READY), (worker, "ready"), (client, "ready")):
                await stack.enter_async_context(running(child))
                await child.start(ready)
            stand = Stand(
                results, self._sizes.patience_s, server=server, worker=worker, client=client
            )
            restart = partial(server.start, READY)
            jobs: Jobs = {
                "W1": partial(stand.ask_metered, "W1", NAME, count=sizes.w1_peer),
                "W2": partial(stand.ask, "W2", NAME, count=sizes.w2_peer),
                "W4": partial(stand.ask, "W4", NAME, steps=sizes.w4_steps_peer),
                "W5": partial(stand.recover, NAME, count=sizes.w5, start=restart),
            }
            await stand.each(NAME, wanted, jobs)


def _server(port: int, folder: Path) -> tuple[str, ...]:
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
