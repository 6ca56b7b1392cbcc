"""A saga with compensation: provision an agent, which runs its initial task.

Run it beside `flowmesh dev`: python examples/sdk_saga.py
"""

import asyncio
from typing import Any

from flowmesh.sdk import AgentProvisioningSaga, SagaManager

ENDS_S = 30


async def main(address: str = "") -> Any:
    async with SagaManager(address) as saga_manager:
        saga = AgentProvisioningSaga(
            tenant_id="tenant-123",
            agent_config={
                "type": "processor",
                "permissions": ["read", "write"],
                "initial_task": {"name": "process_data"},
            },
        )
        handle = await saga_manager.start_saga(saga)
        try:
            result = await handle.result(ENDS_S)
            print("saga", saga.state, {step.name: str(step.status) for step in saga.steps})
            task = saga_manager.client.handle(result["start-initial-task"]["executionId"])
            print("initial task", await task.result(ENDS_S))
        finally:
            await saga.maker.stop(saga.agent_id)
        return saga.state


if __name__ == "__main__":
    asyncio.run(main())
