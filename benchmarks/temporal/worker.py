"""A worker of the Temporal SDK, with capacity for all workflows in flight."""

import asyncio
import sys

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.answering import answer
from benchmarks.temporal.workflows import TASK_QUEUE, Chain, Record, Recorded, noop

SLOTS = 500


async def main(address: str) -> None:
    record = Record()
    worker = Worker(
        await Client.connect(address),
        task_queue=TASK_QUEUE,
        workflows=[Chain, Recorded],
        activities=[noop, record.recorded],
        max_concurrent_activities=SLOTS,
        max_concurrent_workflow_tasks=SLOTS,
        max_cached_workflows=2 * SLOTS,
    )
    async with worker:
        await answer({"repeated": record.repeated})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
