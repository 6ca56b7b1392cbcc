"""A lifecycle event in the REST shape, and the public names of event types."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.views.values import Read, failure_view, instant, json_or_text, json_value

SIGNAL_FLOW = "SignalFlow"


def _public_name(field: str) -> str:
    return "".join(part.capitalize() for part in field.split("_"))


# oneof field -> public name, for every event the contract knows.
EVENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        field.name: _public_name(field.name)
        for field in pb.HistoryEvent.DESCRIPTOR.oneofs_by_name["event"].fields
    }
)
END_TYPES = frozenset(
    {"WorkflowCompleted", "WorkflowFailed", "WorkflowCanceled", "WorkflowTerminated"}
)


def event_type(event: pb.HistoryEvent) -> str:
    """The public name (`TaskCompleted`); empty for an event of a newer version."""
    field = event.WhichOneof("event")
    return EVENT_TYPES[field] if field else ""


def event_view(
    lifecycle: event_service_pb2.LifecycleEvent, *, read: Read = json_value
) -> dict[str, Any]:
    """The REST event; a derived SignalFlow carries the sequence of its TaskScheduled."""
    event = lifecycle.event
    field = event.WhichOneof("event")
    derived = lifecycle.HasField("signal_flow")
    view: dict[str, Any] = {
        "type": SIGNAL_FLOW if derived else event_type(event),
        "sequence": event.sequence,
        "executionId": lifecycle.execution_id,
        "workflow": lifecycle.workflow_id,
    }
    body = getattr(event, field) if field else None
    if node := getattr(body, "node", ""):
        view["taskId"] = node
    if attempt := getattr(body, "attempt", 0):
        view["attempt"] = attempt
    view["timestamp"] = instant(event.at_us)
    if derived:
        flow = lifecycle.signal_flow
        view["data"] = {"from": flow.from_node, "to": flow.to_node}
    else:
        data = _DATA.get(field) if field else None
        view["data"] = data(body, read) if data else {}
    return view


def _workflow_started(body: pb.WorkflowStarted, read: Read) -> dict[str, Any]:
    data: dict[str, Any] = {"version": body.version, "input": read(body.input)}
    return data | _present(requestId=body.request_id, actor=body.actor)


def _workflow_completed(body: pb.WorkflowCompleted, read: Read) -> dict[str, Any]:
    return {"output": read(body.output)}


def _failed(body: pb.WorkflowFailed | pb.TaskFailed, _read: Read) -> dict[str, Any]:
    return {"error": failure_view(body.failure)}


def _steered(body: Any, _read: Read) -> dict[str, Any]:
    """Canceled, terminated, paused or resumed: why, and by whom."""
    return _present(reason=body.reason, actor=body.actor, requestId=body.request_id)


def _task_started(body: pb.TaskStarted, _read: Read) -> dict[str, Any]:
    data = _present(workerId=body.worker_id, delivery=body.delivery)
    if body.started_at_us:
        data["startedAt"] = instant(body.started_at_us)
    return data


def _task_completed(body: pb.TaskCompleted, read: Read) -> dict[str, Any]:
    data: dict[str, Any] = {"output": read(body.output)}
    if body.metadata:
        data["metadata"] = json_or_text(body.metadata)
    return data


def _task_retrying(body: pb.TaskRetrying, _read: Read) -> dict[str, Any]:
    return {"error": failure_view(body.failure), "retryAt": instant(body.retry_at_us)}


def _task_skipped(body: pb.TaskSkipped, _read: Read) -> dict[str, Any]:
    reason = pb.SkipReason.Name(body.reason) if body.reason in pb.SkipReason.values() else ""
    word = reason.removeprefix("SKIP_REASON_")
    return _present(reason=word, becauseOf=body.because_of)


def _timer_started(body: pb.TimerStarted, _read: Read) -> dict[str, Any]:
    return {"fireAt": instant(body.fire_at_us)}


def _signal_received(body: pb.SignalReceived, read: Read) -> dict[str, Any]:
    data: dict[str, Any] = {"name": body.name, "payload": read(body.payload)}
    return data | _present(actor=body.actor, requestId=body.request_id)


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


# What is left out says nothing beside its node and attempt.
_DATA: Mapping[str, Callable[[Any, Read], dict[str, Any]]] = MappingProxyType(
    {
        "workflow_started": _workflow_started,
        "workflow_completed": _workflow_completed,
        "workflow_failed": _failed,
        "workflow_canceled": _steered,
        "workflow_paused": _steered,
        "workflow_resumed": _steered,
        "workflow_terminated": _steered,
        "task_started": _task_started,
        "task_completed": _task_completed,
        "task_failed": _failed,
        "task_retrying": _task_retrying,
        "task_skipped": _task_skipped,
        "timer_started": _timer_started,
        "signal_received": _signal_received,
    }
)
