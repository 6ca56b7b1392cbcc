"""Fan-out and fan-in with the WorkflowEngine: a splitter, five workers, a merger.

Run it beside `flowmesh dev`: python examples/sdk_fan_out.py
"""

import asyncio
from typing import Any

from flowmesh.sdk import TaskContext, WorkflowEngine

WORKERS = 5


async def split(data: dict[str, Any]) -> list[list[int]]:
    numbers = data["input"]["numbers"]
    return [numbers[start::WORKERS] for start in range(WORKERS)]


async def add(data: dict[str, Any], context: TaskContext) -> int:
    """Add the part whose number is at the end of the node id."""
    number = int(context.node.rpartition("-")[2])
    return sum(data["results"]["splitter"][number])


async def merge(data: dict[str, Any]) -> int:
    return sum(data["results"].values())


async def main(address: str = "") -> int:
    async with WorkflowEngine(address, max_concurrent_tasks=10) as engine:
        engine.register_handler("split_handler", split)
        engine.register_handler("worker_handler", add)
        engine.register_handler("merge_handler", merge)

        workflow = engine.create_workflow("Parallel Process")
        task1 = engine.add_task_to_workflow(workflow.id, "Splitter", "split_handler")
        parallel_tasks = []
        for i in range(WORKERS):
            task = engine.add_task_to_workflow(
                workflow.id, f"Worker {i}", "worker_handler", dependencies=[task1.id]
            )
            parallel_tasks.append(task)
        merger = engine.add_task_to_workflow(
            workflow.id,
            "Merger",
            "merge_handler",
            dependencies=[t.id for t in parallel_tasks],
        )

        results = await engine.execute(workflow.id, {"numbers": list(range(100))})
        print("sum:", results[merger.id], engine.metrics)
        total: int = results[merger.id]
        return total


if __name__ == "__main__":
    asyncio.run(main())
