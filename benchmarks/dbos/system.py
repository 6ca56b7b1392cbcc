"""DBOS, a library on PostgreSQL, with three ways to run a workflow."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.durability import durability
from benchmarks.figures import Results
from benchmarks.processes import PEERS_PYTHON, Child, module
from benchmarks.system import Jobs, Setup, measure_peer, running
from benchmarks.workloads import Sizes
from flowmesh.embedded.ports import free_port

NAME = "dbos"
READY = "ready "
QUEUED = ("enqueued", "queued-steps")
"""Modes that wait for polls, measured with the two main workloads only, in smaller sizes."""


class Dbos:
    """Measures workflows in the calling process and through queues."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None:
        async with AsyncExitStack() as stack:
            argv = module("benchmarks.dbos.server", str(folder / "data"))
            server = await stack.enter_async_context(
                running(Child("server", argv, folder / "server.log"))
            )
            database = await server.start(READY)
            shown = (await durability(database))["postgres"]
            results.settings[NAME] = {"version": _version(), "postgres": shown}
            async with AsyncExitStack() as pair:
                setup = await self._stand(pair, results, server, database, folder, "inline")
                await measure_peer(
                    setup, NAME, workloads, self._sizes, restart=lambda: server.start(READY)
                )
            for mode in QUEUED:
                async with AsyncExitStack() as pair:
                    setup = await self._stand(pair, results, server, database, folder, mode)
                    name = f"{NAME}-{mode}"
                    jobs: Jobs = {
                        "W1": partial(
                            setup.measure_with_cpu, "W1", name, count=self._sizes.w1_peer
                        ),
                        "W2": partial(setup.measure, "W2", name, count=self._sizes.w2_peer),
                    }
                    await setup.each(name, workloads, jobs)

    async def _stand(
        self,
        stack: AsyncExitStack,
        results: Results,
        server: Child,
        database: str,
        folder: Path,
        mode: str,
    ) -> Setup:
        port = str(free_port())
        argv = (str(PEERS_PYTHON), "-m", "benchmarks.dbos.worker", database, mode, port)
        worker = Child("worker", argv, folder / f"{mode}.log")
        client = Child("client", module("benchmarks.dbos.client", port), folder / "client.log")
        for child in (worker, client):
            await stack.enter_async_context(running(child))
            await child.start()
        return Setup(results, self._sizes.patience_s, server=server, worker=worker, client=client)


def _version() -> str:
    below = PEERS_PYTHON.parent.parent / "lib"
    paths = [str(path) for path in below.glob("python*/site-packages")]
    return next(one.version for one in distributions(path=paths) if one.name == NAME)
