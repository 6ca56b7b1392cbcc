"""What a trigger would have started, asked for while others have work to do."""

import asyncio
from typing import Any

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.event.causes import Causes
from flowmesh.event.published import Armory

SECOND = 1_000_000


async def test_others_have_their_turn_while_instants_are_counted() -> None:
    """Of a schedule of every second, a day of them."""
    cron = trigger_pb2.CronTrigger(expression="* * * * * *")
    body = trigger_pb2.Trigger(id="t", cron=cron).SerializeToString()
    row = {"namespace": "default", "workflow": "w", "id": "t", "kind": "cron", "body": body}
    nothing: Any = None
    causes = Causes(store=nothing, armory=Armory())
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await asyncio.sleep(0)
    assert await causes.count(row, SECOND, 86_401 * SECOND) == 86_400
    beside.cancel()
    assert turns > 50
