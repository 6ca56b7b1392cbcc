"""The same workflows for Temporal: a step is an activity, durable by itself, in a worker."""

from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

TASK_QUEUE = "bench"
STEP_TIMEOUT = timedelta(seconds=60)


@activity.defn
async def noop(params: dict[str, Any]) -> dict[str, Any]:
    """The answer is as large as the question."""
    return params


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
