"""What the systems have in common: a server, a worker and a load generator, each a process."""

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
from benchmarks.processes import Child, QuestionFailed
from benchmarks.usage import QUIET_CORES, Meter, Others, until_quiet
from benchmarks.workloads import (
    FAN_OUTS_PEER,
    KILL_AFTER_S,
    RECOVERED_WITHIN_S,
    STEPS_W8,
    TURNS,
    Sizes,
)

TRIES_MAX = 3
"""How often a workload is measured when others disturb it; the least disturbed try counts."""

AGAIN_WITHIN_S = 20.0
"""What took longer is not measured again: a run ends in bounded time on a busy machine too."""


Jobs = Mapping[str, Callable[[], Awaitable[object]]]
"""By workload, what measures it."""


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


@dataclass(frozen=True, slots=True)
class Try:
    """One measurement: its metrics, the CPU seconds by process, and the cores others used."""

    metrics: Metrics
    cpu_s: dict[str, float]
    others_cores: float
    tries: int = 1


class Stand:
    """The three processes of a system that runs, and where their figures go."""

    def __init__(
        self, results: Results, patience_s: float, *, server: Child, worker: Child, client: Child
    ) -> None:
        self.results = results
        self.server = server
        self.worker = worker
        self.client = client
        self._patience_s = patience_s

    async def each(self, system: str, workloads: Sequence[str], jobs: Jobs) -> None:
        """Does those that are wanted, in the order of `jobs`; one that fails spoils no other."""
        for workload, job in jobs.items():
            if workload in workloads:
                try:
                    await job()
                except QuestionFailed as error:
                    self.results.failures.append(f"{system} {workload}: {error}")

    async def ask(self, workload: str, system: str, *, do: str = "", **question: Any) -> Try:
        """Has the load generator do a workload and keeps its metrics."""
        best = await self.measured(do or workload, **question)
        self.results.add(system, workload, {**best.metrics, OTHERS: best.others_cores})
        return best

    async def measured(self, do: str, **question: Any) -> Try:
        """The least disturbed of a few tries.

        Which one counts depends on what others did meanwhile, never on what it measured.
        """
        tries: list[Try] = []
        until = time.monotonic() + AGAIN_WITHIN_S
        while not tries or (
            len(tries) < TRIES_MAX
            and tries[-1].others_cores >= QUIET_CORES
            and time.monotonic() < until
        ):
            meter = Meter(self._roots())
            await asyncio.to_thread(until_quiet, self._patience_s, meter)
            tries.append(await self._try(do, question))
        best = min(tries, key=lambda one: one.others_cores)
        return replace(best, tries=len(tries))

    async def ask_metered(self, workload: str, system: str, *, count: int) -> None:
        """The same, and the CPU seconds per 1,000 of all processes, this one excepted."""
        await self.client.ask("warm", workload=workload)
        done = await self.ask(workload, system, count=count)
        parts = {name: seconds * 1_000 / count for name, seconds in done.cpu_s.items()}
        self.results.add_parts(system, workload, "cpu_s_per_1000", parts)

    async def compared(self, workload: str, like: str, system: str, count: int) -> None:
        """What one workload takes more than another, in turns: of CPU in all, and of time."""
        part = count // TURNS
        cpu_s, time_s = {like: 0.0, workload: 0.0}, {like: 0.0, workload: 0.0}
        for _ in range(TURNS):
            for each in cpu_s:
                one = await self._try(each, {"count": part})
                cpu_s[each] += sum(one.cpu_s.values())
                time_s[each] += part / one.metrics["workflows_per_s"]
        more = {
            "cpu_overhead_percent": (cpu_s[workload] / cpu_s[like] - 1) * 100,
            "time_overhead_percent": (time_s[workload] / time_s[like] - 1) * 100,
        }
        self.results.add(system, workload, more)

    async def recover(
        self, system: str, *, count: int, start: Callable[[], Awaitable[object]]
    ) -> None:
        """W5: seconds from the kill of the server to the last result, lost ones, steps run twice.

        `start` brings the server back; worker and load generator live through it.
        """
        await self.worker.ask("repeated")
        await self.client.ask("W5", count=count)
        await asyncio.sleep(KILL_AFTER_S)
        began = time.monotonic()
        await self.server.kill()
        await start()
        end = await self.client.ask("W5-end", within_s=RECOVERED_WITHIN_S)
        repeated = await self.worker.ask("repeated")
        figures = {"recovery_s": end["last_at"] - began, "lost": end["lost"], "repeated": repeated}
        self.results.add(system, "W5", figures)

    async def _try(self, workload: str, question: dict[str, Any]) -> Try:
        meter = Meter(self._roots())
        others = Others(meter)
        metrics: Metrics = await self.client.ask(workload, **question)
        return Try(metrics, meter.read(), others.cores())

    def _roots(self) -> dict[str, int]:
        return {child.name: child.pid for child in (self.server, self.worker, self.client)}


async def measure_peer(
    stand: Stand,
    system: str,
    workloads: Sequence[str],
    sizes: Sizes,
    *,
    restart: Callable[[], Awaitable[object]],
) -> None:
    """`restart` starts the server again after it was killed."""
    ask = partial(stand.ask, system=system)
    widths, repeats = list(FAN_OUTS_PEER), sizes.repeats_peer
    jobs: Jobs = {
        "W1": partial(stand.ask_metered, "W1", system, count=sizes.w1_fast_peer),
        "W2": partial(ask, "W2", count=sizes.w2_fast_peer),
        "W3": partial(ask, "W3", widths=widths, repeats=repeats),
        "W4": partial(ask, "W4", steps=sizes.w4_steps),
        "W8": partial(ask, "W8", steps=STEPS_W8, repeats=repeats),
        "W5": partial(stand.recover, system, count=sizes.w5, start=restart),
    }
    await stand.each(system, workloads, jobs)
