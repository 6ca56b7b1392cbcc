"""What a trigger would have started, asked for while others have work to do."""

from typing import Any

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.event.triggers.causes import Causes
from flowmesh.event.triggers.published import TriggerCache
from tests.unit.event.turns import counted

SECOND = 1_000_000


async def test_others_have_their_turn_while_instants_are_counted() -> None:
    """Of a schedule of every second, a day of them."""
    cron = trigger_pb2.CronTrigger(expression="* * * * * *")
    body = trigger_pb2.Trigger(id="t", cron=cron).SerializeToString()
    row = {"namespace": "default", "workflow": "w", "id": "t", "kind": "cron", "body": body}
    nothing: Any = None
    causes = Causes(store=nothing, trigger_cache=TriggerCache())
    async with counted() as turns:
        assert await causes.count(row, SECOND, 86_401 * SECOND) == 86_400
    assert turns.count > 50
