"""What was done is undone by a durable handler, whatever dies meanwhile."""

from collections import Counter
from typing import Any

import pytest

from flowmesh.sdk import Client, DurableContext, Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, resource, workflow

NAMES = ("charge", "ship", "refund", "transfer")

pytestmark = pytest.mark.long


async def called(suite: Suite, execution_id: str) -> bool:
    """Whether the undo has asked for its task, which nobody runs yet."""
    found = (await suite.get(f"/api/v1/executions/{execution_id}")).json
    return "charge:undo[1]/saga-transfer" in found["tasks"]


@pytest.mark.fault("F7")
async def test_an_undo_resumes_where_it_was(dev: Suite) -> None:
    """Everything dies while it waits for a task it called: each is done once."""
    ran: Counter[str] = Counter()
    undo = {"taskRef": "saga-refund", "input": {"back": "{{undo.output}}"}}
    charge = {"id": "charge", "taskRef": "saga-charge", "undo": undo}
    ship = {"id": "ship", "taskRef": "saga-ship", "dependsOn": ["charge"]}
    retry = {"maxAttempts": 1}
    types = [resource("WorkflowTask", f"saga-{n}", type=f"saga-{n}", retry=retry) for n in NAMES]
    await applied(dev, *types, workflow("saga", charge, ship))
    async with Client(dev.grpc_address) as client:
        first, second = Worker(client), Worker(client)

        async def charged(_given: Any) -> int:
            return 20

        async def shipped(_given: Any) -> None:
            raise RuntimeError("no parcel")

        async def transfer(given: int) -> int:
            ran["transfer"] += 1
            return given

        @first.durable("saga-refund")
        async def refund(ctx: DurableContext, given: Any) -> Any:
            await ctx.step("note", lambda: ran.update(["note"]))
            return await ctx.call("saga-transfer", given["back"])

        first.task("saga-charge")(charged)
        first.task("saga-ship")(shipped)
        second.task("saga-transfer")(transfer)
        async with first:
            handle = await client.start("saga", {})
            await until("the undo has called", lambda: called(dev, handle.id), within_s=30)
            await dev.kill_everything()
            await dev.start()
            async with second:
                await dev.wait(handle.id)
        events = [event.type async for event in handle.events()]
    assert ran == {"note": 1, "transfer": 1}
    assert events[-1] == "WorkflowFailed"
    shown = (await dev.get(f"/api/v1/executions/{handle.id}")).json
    assert shown["compensation"] == "compensated", shown
