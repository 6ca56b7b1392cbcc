"""The JSON shapes that REST answers and callbacks share."""

from typing import Any

import msgspec
import pytest

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.views import (
    EVENT_TYPES,
    event_view,
    execution_view,
    json_value,
    raw_value,
    visualize_view,
)
from flowmesh.views.executions import EXECUTION_STATUS_WORDS, NODE_STATUS_WORDS

SECOND_US = 1_000_000
BEGUN_US = 1_234_567_890 * SECOND_US


def payload(text: str) -> payload_pb2.Payload:
    return payload_pb2.Payload(data=text.encode())


def failure(name: str, message: str, node: str = "") -> failure_pb2.Failure:
    named: dict[str, Any] = {"class": name}
    return failure_pb2.Failure(**named, message=message, node=node)


def execution() -> execution_pb2.Execution:
    """Validated, charging for the second time, shipping not begun."""
    return execution_pb2.Execution(
        execution_id="exec-1",
        workflow_id="order-processing",
        workflow_name="Order Processing Workflow",
        status=execution_pb2.EXECUTION_STATUS_RUNNING,
        started_at_us=BEGUN_US,
        input=payload('{"orderId": "order-123"}'),
        nodes=[
            execution_pb2.Node(
                id="validate-order",
                name="Validate Order",
                status=execution_pb2.NODE_STATUS_COMPLETED,
                attempts=1,
                started_at_us=BEGUN_US,
                ended_at_us=BEGUN_US + 234_000,
                output=payload('{"valid": true}'),
            ),
            execution_pb2.Node(
                id="charge-payment",
                status=execution_pb2.NODE_STATUS_RUNNING,
                attempts=2,
                started_at_us=BEGUN_US + 234_000,
                failure=failure("ServerError", "500"),
                dependencies=["validate-order"],
            ),
            execution_pb2.Node(id="ship", status=execution_pb2.NODE_STATUS_PENDING),
        ],
    )


def lifecycle(**body: Any) -> event_service_pb2.LifecycleEvent:
    return event_service_pb2.LifecycleEvent(
        execution_id="exec-1",
        workflow_id="order-processing",
        event=history_event_pb2.HistoryEvent(sequence=4, at_us=BEGUN_US + 5, **body),
    )


def test_a_running_execution_has_the_documented_members() -> None:
    """Steps stand in the list of their status, results and context under their ids."""
    assert execution_view(execution()) == {
        "executionId": "exec-1",
        "workflowId": "order-processing",
        "status": "running",
        "startTime": 1_234_567_890,
        "currentSteps": ["charge-payment"],
        "completedSteps": ["validate-order"],
        "failedSteps": [],
        "skippedSteps": [],
        "stepResults": {
            "validate-order": {
                "stepId": "validate-order",
                "status": "success",
                "attempts": 1,
                "duration": 234,
                "result": {"valid": True},
                "startTime": 1_234_567_890,
                "endTime": 1_234_567_890,
            },
            "charge-payment": {
                "stepId": "charge-payment",
                "status": "running",
                "attempts": 2,
                "error": {"class": "ServerError", "message": "500"},
                "startTime": 1_234_567_890,
            },
        },
        "context": {"orderId": "order-123", "validate-order": {"valid": True}},
    }


def test_a_failed_execution_names_the_step() -> None:
    """The end carries its time and the failure with the step that caused it."""
    failed = execution()
    failed.status = execution_pb2.EXECUTION_STATUS_FAILED
    failed.ended_at_us = BEGUN_US + 3 * SECOND_US
    failed.failure.CopyFrom(failure("ClientError", "402", "charge-payment"))
    view = execution_view(failed)

    assert (view["status"], view["endTime"]) == ("failed", 1_234_567_893)
    assert view["error"] == {"class": "ClientError", "message": "402", "stepId": "charge-payment"}


def test_the_picture_shows_begun_steps_or_all() -> None:
    """Pending steps appear only when asked for; a running execution lasts until now."""
    view = visualize_view(execution(), now_us=BEGUN_US + 5_432_000)
    assert view["duration"] == 5_432
    assert view["workflowName"] == "Order Processing Workflow"
    assert view["steps"] == [
        {
            "id": "validate-order",
            "name": "Validate Order",
            "status": "success",
            "attempts": 1,
            "duration": 234,
            "dependencies": [],
        },
        {
            "id": "charge-payment",
            "name": "charge-payment",
            "status": "running",
            "attempts": 2,
            "dependencies": ["validate-order"],
        },
    ]
    every = visualize_view(execution(), now_us=BEGUN_US, all_steps=True)["steps"]
    assert [step["id"] for step in every] == ["validate-order", "charge-payment", "ship"]


def test_every_status_has_a_word() -> None:
    """The tables of words and the enums hold the same values."""
    assert set(EXECUTION_STATUS_WORDS) == set(execution_pb2.ExecutionStatus.values())
    assert set(NODE_STATUS_WORDS) == set(execution_pb2.NodeStatus.values())


def test_a_completed_task_shows_its_output() -> None:
    """Node and attempt stand beside the type, the rest in `data`."""
    body = history_event_pb2.TaskCompleted(
        node="ship", attempt=1, output=payload("[1]"), metadata=b'{"status": 200}'
    )
    assert event_view(lifecycle(task_completed=body)) == {
        "type": "TaskCompleted",
        "sequence": 4,
        "executionId": "exec-1",
        "workflow": "order-processing",
        "taskId": "ship",
        "attempt": 1,
        "timestamp": "2009-02-13T23:31:30.000005Z",
        "data": {"output": [1], "metadata": {"status": 200}},
    }


def test_a_signal_flow_carries_the_sequence_of_its_schedule() -> None:
    """The derived event names both ends of the edge."""
    derived = lifecycle(task_scheduled=history_event_pb2.TaskScheduled(node="ship", attempt=1))
    derived.signal_flow.from_node = "charge"
    derived.signal_flow.to_node = "ship"
    view = event_view(derived)

    assert (view["type"], view["sequence"]) == ("SignalFlow", 4)
    assert view["data"] == {"from": "charge", "to": "ship"}


def test_every_event_of_the_contract_has_a_view() -> None:
    """No event type, empty or not, fails to render."""
    for field, name in EVENT_TYPES.items():
        event = lifecycle()
        getattr(event.event, field).SetInParent()
        assert event_view(event)["type"] == name


def test_values_that_are_not_inline_json_are_marked() -> None:
    """References and foreign bytes are objects with a `$` member; text is a string."""
    stored = payload_pb2.PayloadReference(digest="ab", size_bytes=7)
    assert json_value(payload_pb2.Payload(reference=stored)) == {
        "$payload": {"digest": "ab", "sizeBytes": 7, "encoding": "application/json"}
    }
    assert json_value(payload_pb2.Payload(encoding="image/png", data=b"\x00")) == {
        "$bytes": "AA==",
        "encoding": "image/png",
    }
    assert json_value(payload_pb2.Payload(encoding="text/csv", data=b"a,b")) == "a,b"


@pytest.mark.parametrize("levels", [300, 2_000])
def test_a_value_of_very_many_levels_does_not_hide_its_execution(levels: int) -> None:
    """As it is where it can be read, as text where not."""
    data = b"[" * levels + b"]" * levels
    deep = execution_pb2.Execution(execution_id="exec-1", input=payload_pb2.Payload(data=data))
    shown = msgspec.json.encode(execution_view(deep, read=raw_value))
    assert data in shown
