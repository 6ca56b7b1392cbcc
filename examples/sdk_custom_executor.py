"""A custom action of step JSON, run by this process: the Python form of `registerExecutor`.

Run it beside `flowmesh dev`: python examples/sdk_custom_executor.py
"""

import asyncio
from typing import Any

from flowmesh.sdk import StepContext, WorkflowEngine

DISCOUNT = {
    "id": "discount",
    "name": "Discount",
    "steps": [
        {
            "id": "rebate",
            "name": "Rebate",
            "type": "task",
            "action": "custom-action",
            "params": {"amount": "{{context.amount}}", "percent": 10},
        }
    ],
}


async def rebate(params: dict[str, Any], context: StepContext) -> dict[str, Any]:
    """`params` are the rendered parameters of the step; `context` holds the shared data.

    `context` also has the attempt, the idempotency key, the remaining time …
    """
    saved = params["amount"] * params["percent"] / 100
    pay = params["amount"] - saved
    return {"pay": pay, "customer": context["customer"], "key": context.idempotency_key}


async def main(address: str = "") -> dict[str, Any]:
    async with WorkflowEngine(address) as workflow_engine:
        workflow_engine.register_executor("custom-action", rebate)
        await workflow_engine.register_workflow(DISCOUNT)
        results = await workflow_engine.run("discount", {"amount": 80, "customer": "ada"})
        print("to pay:", results["rebate"]["pay"])
        return results


if __name__ == "__main__":
    asyncio.run(main())
