"""Evaluation of filters yields to other tasks."""

from typing import Any

import pytest
import structlog

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.event.triggers.published import Fired, LifecycleTriggers, TriggerCache, event_value
from flowmesh.sandbox import Sandbox
from tests.unit.event.turns import counted

TRIGGERS = 20


def row_of(workflow: str, namespace: str = "default") -> history_service_pb2.EventRow:
    started = history_event_pb2.HistoryEvent(
        sequence=1, at_us=7, workflow_started=history_event_pb2.WorkflowStarted()
    )
    events = history_event_pb2.HistoryEvents(events=[started])
    return history_service_pb2.EventRow(
        namespace=namespace,
        workflow_id=workflow,
        execution_id="exec-1",
        events=events.SerializeToString(),
    )


def trigger(number: int, condition: str = "") -> dict[str, Any]:
    event = trigger_pb2.EventTrigger(type="flowmesh.workflow.started", filter=condition)
    body = trigger_pb2.Trigger(id=f"t{number}", event=event).SerializeToString()
    return {"namespace": "default", "workflow": f"w{number}", "id": f"t{number}", "body": body}


class Stored:
    """Collects firings in place of the database."""

    def __init__(self, *triggers: dict[str, Any]) -> None:
        self.triggers = triggers
        self.firings: list[Any] = []
        self.misfits: list[Any] = []

    async def all_event_triggers(self) -> tuple[dict[str, Any], ...]:
        return self.triggers

    async def add_unpaused(self, firings: list[Any]) -> None:
        self.firings += firings

    async def note_misfits(self, found: list[Any]) -> None:
        self.misfits += found


async def lifecycle_of(stored: Any) -> LifecycleTriggers:
    lifecycle = LifecycleTriggers(
        store=stored,
        trigger_cache=TriggerCache(Sandbox()),
        on_firing=lambda: None,
        log=structlog.get_logger(),
    )
    await lifecycle.load()
    return lifecycle


async def test_filters_yield_to_other_tasks() -> None:
    """Once per filter."""
    stored = Stored(*(trigger(number, "event.type != ''") for number in range(TRIGGERS)))
    lifecycle = await lifecycle_of(stored)
    async with counted() as turns:
        await lifecycle.store(lifecycle.matching([row_of("orders")]))
    assert len(stored.firings) == TRIGGERS
    assert turns.count >= TRIGGERS


async def test_only_rows_with_triggers_are_kept() -> None:
    """Rows of other namespaces and of the workflow of the trigger fire nothing."""
    stored = Stored(trigger(1), trigger(2, "event.subject == 'nobody'"))
    lifecycle = await lifecycle_of(stored)
    rows = [row_of("orders"), row_of("orders", "other"), row_of("w1"), row_of("w2")]
    asked = lifecycle.matching(rows)
    assert [row.workflow_id for row in asked] == ["orders", "w1", "w2"]
    await lifecycle.store(asked)
    fired = [(each.workflow, each.cause) for each in stored.firings]
    assert fired == [("w1", "exec-1/1"), ("w1", "exec-1/1")]


async def test_without_triggers_no_row_is_kept() -> None:
    """The namespace is not looked up."""
    lifecycle = await lifecycle_of(Stored())
    assert lifecycle.matching([row_of("orders")]) == []


@pytest.mark.parametrize("condition", ["", "event.data.n > 3"])
async def test_an_integer_of_any_size_reaches_the_input_as_it_is(condition: str) -> None:
    """A filter handles it, or does not fit."""
    wanted = trigger_pb2.EventTrigger(type="t", filter=condition)
    template = b'{"n": "{{event.data.n}}"}'
    body = trigger_pb2.Trigger(id="t", event=wanted, input_template=template).SerializeToString()
    trigger = TriggerCache(Sandbox()).compiled(
        "default", {"workflow": "w", "id": "t", "body": body}
    )
    data = payload_pb2.Payload(data=b'{"n": 100000000000000000000001}')
    event = event_value(trigger_service_pb2.Event(id="e", type="t", data=data))
    found = Fired()
    await trigger.fire(found, "e", 1, event)
    assert all(each.input == b'{"n":100000000000000000000001}' for each in found.firings)
    assert len(found.firings) + len(found.misfits) == 1
    assert condition or not found.misfits


async def test_a_broken_trigger_does_not_block_others() -> None:
    """A trigger stored by an earlier version; the others fire."""
    stored = Stored(trigger(1, "event.("), trigger(2))
    lifecycle = await lifecycle_of(stored)
    await lifecycle.store(lifecycle.matching([row_of("orders")]))
    assert [fired.trigger for fired in stored.firings] == ["t2"]


async def test_loading_triggers_yields_to_other_tasks() -> None:
    """Each may have to be compiled."""
    stored: Any = Stored(*(trigger(number, "event.type != ''") for number in range(TRIGGERS)))
    async with counted() as turns:
        await lifecycle_of(stored)
    assert turns.count >= TRIGGERS
