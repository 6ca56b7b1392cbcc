"""Sequential tasks with the WorkflowEngine: each uses the result of the previous one.

Run it beside `flowmesh dev`: python examples/sdk_sequential.py
"""

import asyncio
from typing import Any

from flowmesh.sdk import WorkflowEngine


async def fetch_order(data: dict[str, Any]) -> dict[str, Any]:
    return {"order": data["input"]["order"], "items": ["book", "pen"]}


def count_items(data: dict[str, Any]) -> int:
    """A handler can be a plain function, which runs in a thread."""
    return len(data["results"]["task-1"]["items"])


async def main(address: str = "") -> dict[str, Any]:
    async with WorkflowEngine(address) as engine:
        engine.register_handler("handler1", fetch_order)
        engine.register_handler("handler2", count_items)

        workflow = engine.create_workflow("Sequential Process")
        task1 = engine.add_task_to_workflow(workflow.id, "Task 1", "handler1")
        task2 = engine.add_task_to_workflow(
            workflow.id, "Task 2", "handler2", dependencies=[task1.id]
        )

        results = await engine.execute(workflow.id, {"order": "A-17"})
        print(workflow.status, workflow.progress.percentage, results[task2.id])
        return results


if __name__ == "__main__":
    asyncio.run(main())
