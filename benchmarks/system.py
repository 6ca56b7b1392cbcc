"""The common part of all systems: a server, a worker and a load generator, each a process."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from benchmarks.figures import OTHERS, Results
from benchmarks.load import Metrics
from benchmarks.processes import Child, RequestFailed
from benchmarks.usage import QUIET_CORES, Meter, Others, until_quiet
from benchmarks.workloads import (
    FAN_OUTS_PEER,
    KILL_AFTER_S,
    RECOVERED_WITHIN_S,
    STEPS_W8,
    TURNS,
    Sizes,
)

ATTEMPTS_MAX = 3
"""The maximum of attempts if other processes disturb a workload; the quietest counts."""

REPEAT_WITHIN_S = 20.0
"""After this time a workload is not repeated, which bounds a run on a busy machine."""


Jobs = Mapping[str, Callable[[], Awaitable[object]]]
"""The function that measures each workload."""


class System(Protocol):
    """A system that is measured once, on an empty data directory."""

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None: ...


@contextlib.asynccontextmanager
async def running(child: Child) -> AsyncIterator[Child]:
    """Stop a process at the end, even if it did not become ready."""
    try:
        yield child
    finally:
        await child.stop()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A measurement: its metrics, CPU seconds by process, and the cores used by others."""

    metrics: Metrics
    cpu_s: dict[str, float]
    others_cores: float
    tries: int = 1


class Setup:
    """The three running processes of a system, and the results of its measurements."""

    def __init__(
        self, results: Results, patience_s: float, *, server: Child, worker: Child, client: Child
    ) -> None:
        self.results = results
        self.server = server
        self.worker = worker
        self.client = client
        self._patience_s = patience_s

    async def each(self, system: str, workloads: Sequence[str], jobs: Jobs) -> None:
        """Run the selected jobs in their order; the failure of one does not affect the others."""
        for workload, job in jobs.items():
            if workload in workloads:
                try:
                    await job()
                except RequestFailed as error:
                    self.results.failures.append(f"{system} {workload}: {error}")

    async def measure(self, workload: str, system: str, *, do: str = "", **request: Any) -> Attempt:
        """Measure a workload of the load generator and store its metrics."""
        best = await self.quietest(do or workload, **request)
        self.results.add(system, workload, {**best.metrics, OTHERS: best.others_cores})
        return best

    async def quietest(self, do: str, **request: Any) -> Attempt:
        """Return the attempt that other processes disturbed least, independent of its result."""
        tries: list[Attempt] = []
        until = time.monotonic() + REPEAT_WITHIN_S
        while not tries or (
            len(tries) < ATTEMPTS_MAX
            and tries[-1].others_cores >= QUIET_CORES
            and time.monotonic() < until
        ):
            meter = Meter(self._roots())
            await asyncio.to_thread(until_quiet, self._patience_s, meter)
            tries.append(await self._attempt(do, request))
        best = min(tries, key=lambda attempt: attempt.others_cores)
        return replace(best, tries=len(tries))

    async def measure_with_cpu(self, workload: str, system: str, *, count: int) -> None:
        """Measure a workload with the CPU seconds per 1,000 of all processes but this one."""
        await self.client.request("warm", workload=workload)
        done = await self.measure(workload, system, count=count)
        parts = {name: seconds * 1_000 / count for name, seconds in done.cpu_s.items()}
        self.results.add_parts(system, workload, "cpu_s_per_1000", parts)

    async def compared(self, workload: str, like: str, system: str, count: int) -> None:
        """Measure the overhead of a workload over another in CPU and time, alternating both."""
        part = count // TURNS
        cpu_s, time_s = {like: 0.0, workload: 0.0}, {like: 0.0, workload: 0.0}
        for _ in range(TURNS):
            for each in cpu_s:
                attempt = await self._attempt(each, {"count": part})
                cpu_s[each] += sum(attempt.cpu_s.values())
                time_s[each] += part / attempt.metrics["workflows_per_s"]
        more = {
            "cpu_overhead_percent": (cpu_s[workload] / cpu_s[like] - 1) * 100,
            "time_overhead_percent": (time_s[workload] / time_s[like] - 1) * 100,
        }
        self.results.add(system, workload, more)

    async def recover(
        self, system: str, *, count: int, start: Callable[[], Awaitable[object]]
    ) -> None:
        """Measure W5: seconds from the kill of the server to the last result, losses, repeats.

        `start` restarts the server; the worker and the load generator keep running.
        """
        await self.worker.request("repeated")
        await self.client.request("W5", count=count)
        await asyncio.sleep(KILL_AFTER_S)
        began = time.monotonic()
        await self.server.kill()
        await start()
        end = await self.client.request("W5-end", within_s=RECOVERED_WITHIN_S)
        repeated = await self.worker.request("repeated")
        figures = {"recovery_s": end["last_at"] - began, "lost": end["lost"], "repeated": repeated}
        self.results.add(system, "W5", figures)

    async def _attempt(self, workload: str, request: dict[str, Any]) -> Attempt:
        meter = Meter(self._roots())
        others = Others(meter)
        metrics: Metrics = await self.client.request(workload, **request)
        return Attempt(metrics, meter.read(), others.cores())

    def _roots(self) -> dict[str, int]:
        return {child.name: child.pid for child in (self.server, self.worker, self.client)}


async def measure_peer(
    setup: Setup,
    system: str,
    workloads: Sequence[str],
    sizes: Sizes,
    *,
    restart: Callable[[], Awaitable[object]],
) -> None:
    """Measure the workloads of a peer; `restart` restarts its killed server."""
    measure = partial(setup.measure, system=system)
    widths, repeats = list(FAN_OUTS_PEER), sizes.repeats_peer
    jobs: Jobs = {
        "W1": partial(setup.measure_with_cpu, "W1", system, count=sizes.w1_fast_peer),
        "W2": partial(measure, "W2", count=sizes.w2_fast_peer),
        "W3": partial(measure, "W3", widths=widths, repeats=repeats),
        "W4": partial(measure, "W4", steps=sizes.w4_steps),
        "W8": partial(measure, "W8", steps=STEPS_W8, repeats=repeats),
        "W5": partial(setup.recover, system, count=sizes.w5, start=restart),
    }
    await setup.each(system, workloads, jobs)
