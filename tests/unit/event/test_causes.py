"""Counting of causes yields to other tasks."""

from typing import Any

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.event.triggers.causes import Causes
from flowmesh.event.triggers.published import TriggerCache
from flowmesh.sandbox import Sandbox
from tests.unit.event.turns import counted

SECOND = 1_000_000


async def test_counting_instants_yields_to_other_tasks() -> None:
    """For a day of a schedule with an instant per second."""
    cron = trigger_pb2.CronTrigger(expression="* * * * * *")
    body = trigger_pb2.Trigger(id="t", cron=cron).SerializeToString()
    row = {"namespace": "default", "workflow": "w", "id": "t", "kind": "cron", "body": body}
    nothing: Any = None
    causes = Causes(store=nothing, trigger_cache=TriggerCache(Sandbox()))
    async with counted() as turns:
        assert await causes.count(row, SECOND, 86_401 * SECOND) == 86_400
    assert turns.count > 50
