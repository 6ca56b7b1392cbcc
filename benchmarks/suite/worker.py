"""A remote worker of the SDK whose steps do nothing or report their end."""

import asyncio
import sys
import time
from collections import Counter

import uvloop

from benchmarks.answering import answer
from benchmarks.suite.workflows import DURABLE, NOOP, PARAMS, RECORDED, REPEATABLE, STAMP, WORK
from benchmarks.workloads import RECORDED_MS, WORK_MS
from flowmesh.sdk import DurableContext, TaskContext, Worker
from flowmesh.sdk.worker.handlers import TaskHandler

SLOTS = 500


async def noop(params: object) -> object:
    """Return the input."""
    return params


async def stamp(_params: object) -> dict[str, int]:
    """Return the end of the step, on the clock of the subscriber."""
    return {"ended_at_us": time.time_ns() // 1_000}


async def steps(ctx: DurableContext, count: int) -> None:
    """Run sequential steps in a durable handler."""
    for _ in range(count):
        await ctx.step("noop", noop, PARAMS)


async def repeatable_steps(ctx: DurableContext, count: int) -> None:
    """Run sequential steps that do not wait for their commits."""
    for _ in range(count):
        await ctx.step("noop", noop, PARAMS, repeatable=True)


async def work(params: object) -> object:
    """Sleep for the duration of a typical call."""
    await asyncio.sleep(WORK_MS / 1_000)
    return params


class Record:
    """The number of runs of each step, including lost results."""

    def __init__(self) -> None:
        self._runs: Counter[str] = Counter()

    async def recorded(self, params: object, context: TaskContext) -> object:
        self._runs[context.idempotency_key] += 1
        await asyncio.sleep(RECORDED_MS / 1_000)
        return params

    async def repeated(self) -> int:
        """Return and reset the number of repeated step runs."""
        runs, self._runs = self._runs, Counter()
        return runs.total() - len(runs)


async def main(address: str) -> None:
    record = Record()
    handlers: dict[str, TaskHandler] = {
        NOOP: noop,
        STAMP: stamp,
        WORK: work,
        RECORDED: record.recorded,
    }
    worker = Worker(address, handlers, slots=SLOTS)
    worker.durable(DURABLE)(steps)
    worker.durable(REPEATABLE)(repeatable_steps)
    async with worker:
        await answer({"repeated": record.repeated})


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
