"""A start policy: executions of one customer run one at a time, in order.

Run it beside `flowmesh dev`: python examples/sdk_start_policy.py
"""

import asyncio
from typing import Any

from flowmesh.sdk import Client, Worker
from flowmesh.sdk.workflows.flow import Workflow

running: set[str] = set()


async def sync(customer: dict[str, Any]) -> dict[str, Any]:
    """Check that no other execution synchronizes this customer."""
    assert customer["id"] not in running
    running.add(customer["id"])
    await asyncio.sleep(0.05)
    running.remove(customer["id"])
    return customer


async def main(address: str = "") -> list[Any]:
    flow = Workflow(
        "sync-customer", start={"key": "{{input.id}}", "concurrency": 1, "onConflict": "QUEUE"}
    )
    flow.task("sync", "sync-one-customer", input="{{input}}")
    async with Client(address) as client, Worker(client, {"sync-one-customer": sync}):
        await client.register(flow)
        changes = [{"id": f"c{number % 2}", "change": number} for number in range(6)]
        handles = [await client.start(flow.id, change) for change in changes]
        last = await handles[-1].describe()
        print(last.status, "because it waits for its turn" if last.hold else "")
        return [await handle.result() for handle in handles]


if __name__ == "__main__":
    asyncio.run(main())
