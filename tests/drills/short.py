"""Short executions, each of which has to complete."""

import asyncio

from flowmesh.testing.suite import Suite

WORKFLOW = "rested"
AT_ONCE = 8


async def executed(suite: Suite) -> str:
    """Run one task of 5 ms; return the id of the execution."""
    answer = await suite.request("POST", f"/api/v1/workflows/{WORKFLOW}/execute", {})
    if answer.status == 404:
        step = {"id": "rest", "name": "Rest", "action": "delay", "params": {"duration": 5}}
        definition = {"id": WORKFLOW, "name": WORKFLOW, "steps": [step]}
        registered = await suite.request("POST", "/api/v1/workflows", definition)
        assert registered.status in (200, 201), registered.text
        return await executed(suite)
    assert (answer.status, answer.json["status"]) == (200, "completed"), answer.text
    return str(answer.json["executionId"])


async def completed(suite: Suite, count: int) -> None:
    """Run so many executions, some at once. The first error is raised."""
    left = iter(range(count))

    async def run() -> None:
        for _ in left:
            await executed(suite)

    await asyncio.gather(*(run() for _ in range(AT_ONCE)))
