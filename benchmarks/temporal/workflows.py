"""The same workflows for Temporal: a step is an activity, durable by itself, in a worker."""

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
"""After this a step is tried again, when a result was lost with the server."""


@activity.defn
async def noop(params: dict[str, Any]) -> dict[str, Any]:
    """The answer is as large as the question."""
    return params


class Record:
    """How often each step ran, whatever became of its result."""

    def __init__(self) -> None:
        self._runs: Counter[tuple[str, str]] = Counter()

    @activity.defn
    async def recorded(self, params: dict[str, Any]) -> dict[str, Any]:
        info = activity.info()
        self._runs[info.workflow_id or "", info.activity_id] += 1
        await asyncio.sleep(RECORDED_MS / 1_000)
        return params

    async def repeated(self) -> int:
        """Runs beyond the first of each step since the last question."""
        runs, self._runs = self._runs, Counter()
        return runs.total() - len(runs)


@workflow.defn
class Recorded:
    """Steps that take a while and are counted."""

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
    """Steps one after the other."""

    @workflow.run
    async def run(self, steps: int, payload: dict[str, Any]) -> dict[str, Any]:
        result = payload
        for _ in range(steps):
            result = await workflow.execute_activity(
                noop, payload, start_to_close_timeout=STEP_TIMEOUT
            )
        return result
