"""What the systems have in common: a server, a worker and a load generator, each a process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.load import Metrics
from benchmarks.processes import Child
from benchmarks.results import OTHERS, Results
from benchmarks.usage import Meter, Others

SETTLE_S = 0.5
"""Between two workloads: what one leaves to do is not the next one's."""


class System(Protocol):
    """Measures itself, once, on an empty data directory."""

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None: ...


@contextlib.asynccontextmanager
async def running(child: Child) -> AsyncIterator[Child]:
    """Stops the process at the end, also one that did not become ready."""
    try:
        yield child
    finally:
        await child.stop()


class Stand:
    """The three processes of a system that runs, and where their figures go."""

    def __init__(self, results: Results, *, server: Child, worker: Child, client: Child) -> None:
        self.results = results
        self.server = server
        self.worker = worker
        self.client = client

    async def ask(self, workload: str, system: str, **question: Any) -> Metrics:
        """Has the load generator do a workload and keeps its metrics."""
        await asyncio.sleep(SETTLE_S)
        return await self._keep(workload, system, question)

    async def ask_metered(self, workload: str, system: str, *, count: int) -> None:
        """The same, and the CPU seconds per 1,000 of all processes, this one excepted."""
        await self.client.ask("warm", workload=workload)
        await asyncio.sleep(SETTLE_S)
        meter = self.meter()
        await self._keep(workload, system, {"count": count})
        parts = {name: seconds * 1_000 / count for name, seconds in meter.read().items()}
        self.results.add_parts(system, workload, "cpu_s_per_1000", parts)

    async def _keep(self, workload: str, system: str, question: dict[str, Any]) -> Metrics:
        others = Others(self.meter())
        metrics: Metrics = await self.client.ask(workload, **question)
        self.results.add(system, workload, {**metrics, OTHERS: others.cores()})
        return metrics

    def meter(self) -> Meter:
        children = (self.server, self.worker, self.client)
        return Meter({child.name: child.pid for child in children})
