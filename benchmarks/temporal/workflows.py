"""The workflows for Temporal: a step is a durable activity in a worker."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from benchmarks.workloads import RECORDED_MS

TASK_QUEUE = "bench"
STEP_TIMEOUT = timedelta(seconds=60)
RECORDED_TIMEOUT = timedelta(seconds=5)
"""The time after which a step is retried if its result was lost with the server."""


@activity.defn
async def noop(params: dict[str, Any]) -> dict[str, Any]:
    """Return the input."""
    return params


class Record:
    """The number of runs of each step, including lost results."""

    def __init__(self) -> None:
        self._runs: Counter[tuple[str, str]] = Counter()

    @activity.defn
    async def recorded(self, params: dict[str, Any]) -> dict[str, Any]:
        info = activity.info()
        self._runs[info.workflow_id or "", info.activity_id] += 1
        await asyncio.sleep(RECORDED_MS / 1_000)
        return params

    async def repeated(self) -> int:
        """Return and reset the number of repeated step runs."""
        runs, self._runs = self._runs, Counter()
        return runs.total() - len(runs)


@workflow.defn
class Recorded:
    """A workflow of slow, counted steps."""

    @workflow.run
    async def run(self, steps: int, payload: dict[str, Any]) -> dict[str, Any]:
        result = payload
        for _ in range(steps):
            result = await workflow.execute_activity_method(
                Record.recorded, payload, start_to_close_timeout=RECORDED_TIMEOUT
            )
        return result


@workflow.defn
class Chain:
    """A workflow of sequential steps."""

    @workflow.run
    async def run(self, steps: int, payload: dict[str, Any]) -> dict[str, Any]:
        result = payload
        for _ in range(steps):
            result = await workflow.execute_activity(
                noop, payload, start_to_close_timeout=STEP_TIMEOUT
            )
        return result
