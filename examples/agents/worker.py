"""A worker for agents of the fleet; docs/agents.md starts it."""

import asyncio
from typing import Any

from flowmesh.sdk import Worker

worker = Worker()


@worker.task("pack-box")
async def pack(input: dict[str, Any]) -> dict[str, Any]:
    """Take as long as the box is heavy."""
    await asyncio.sleep(float(input.get("seconds", 0)))
    return {"packed": input.get("order"), "by": worker.worker_id}


if __name__ == "__main__":
    worker.run()
