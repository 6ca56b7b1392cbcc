"""A lifecycle event in the REST shape, and the public names of event types."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flowmesh.api.common.v1 import journal_pb2
from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.views.values import Read, failure_view, instant, json_or_text, json_value, search_view

SIGNAL_FLOW = "SignalFlow"
# Prefix of the CloudEvents types of lifecycle events.
CLOUD_TYPES = "flowmesh."


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
    {
        "WorkflowCompleted",
        "WorkflowFailed",
        "WorkflowCanceled",
        "WorkflowTerminated",
        "WorkflowContinued",
    }
)


def event_type(event: pb.HistoryEvent) -> str:
    """Return the public name (`TaskCompleted`); empty for an event of a newer version."""
    field = event.WhichOneof("event")
    return EVENT_TYPES[field] if field else ""


def event_view(
    lifecycle: event_service_pb2.LifecycleEvent, *, read: Read = json_value
) -> dict[str, Any]:
    """Return the REST event. A derived SignalFlow has the sequence of its TaskScheduled."""
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


def cloud_type(field: str) -> str:
    """Return the CloudEvents type of a field of the oneof, such as `flowmesh.task.completed`."""
    return CLOUD_TYPES + field.replace("_", ".")


def cloud_event_value(
    lifecycle: event_service_pb2.LifecycleEvent, *, read: Read = json_value
) -> dict[str, Any]:
    """Return the attributes and the data of a lifecycle event as CloudEvents 1.0 names them."""
    event = lifecycle.event
    field: str = event.WhichOneof("event") or "unknown"
    event_id = f"{lifecycle.execution_id}/{event.sequence}"
    if lifecycle.HasField("signal_flow"):
        field = "signal_flow"
        event_id += f"/{lifecycle.signal_flow.from_node}"
    return {
        "id": event_id,
        "source": f"/flowmesh/{lifecycle.namespace}/workflows/{lifecycle.workflow_id}",
        "type": cloud_type(field),
        "subject": lifecycle.execution_id,
        "time": instant(event.at_us),
        "data": event_view(lifecycle, read=read),
    }


def _workflow_started(body: pb.WorkflowStarted, read: Read) -> dict[str, Any]:
    data: dict[str, Any] = {"version": body.version, "input": read(body.input)}
    if body.HasField("origin"):
        data["rerunOf"] = body.origin.execution_id
        data["fromNodes"] = list(body.origin.from_nodes)
    if body.permissions:
        data["permissions"] = list(body.permissions)
    return data | _present(requestId=body.request_id, actor=body.actor)


def _workflow_completed(body: pb.WorkflowCompleted, read: Read) -> dict[str, Any]:
    return {"output": read(body.output)}


def _failed(body: pb.WorkflowFailed | pb.TaskFailed | pb.TaskHeld, _read: Read) -> dict[str, Any]:
    return {"error": failure_view(body.failure)}


def _steered(body: Any, _read: Read) -> dict[str, Any]:
    """Return reason, actor and request id of a cancel, terminate, pause or resume event."""
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


def _page_turned(body: pb.PageTurned, read: Read) -> dict[str, Any]:
    return {"cursor": read(body.cursor)}


def _child_requested(body: pb.ChildRequested, _read: Read) -> dict[str, Any]:
    return _present(workflow=body.workflow_id)


def _child_started(body: pb.ChildStarted, _read: Read) -> dict[str, Any]:
    shown = _present(childExecutionId=body.execution_id, version=body.version)
    return shown | ({"joined": True} if body.joined else {})


def _execution_joined(body: pb.ExecutionJoined, _read: Read) -> dict[str, Any]:
    return {"by": body.by_id, "task": body.by_node, "attempt": body.by_attempt}


def _child_ended(body: pb.ChildEnded, _read: Read) -> dict[str, Any]:
    status = execution_pb2.ExecutionStatus.Name(body.status) if body.status else ""
    word = status.removeprefix("EXECUTION_STATUS_").lower()
    return _present(childExecutionId=body.execution_id, status=word)


def _workflow_continued(body: pb.WorkflowContinued, read: Read) -> dict[str, Any]:
    return {"input": read(body.input)}


def _wait_keyed(body: pb.WaitKeyed, _read: Read) -> dict[str, Any]:
    return {"key": body.key}


def _node_steered(body: pb.NodeSteered, read: Read) -> dict[str, Any]:
    named = body.action in execution_pb2.NodeAction.values()
    action = execution_pb2.NodeAction.Name(body.action) if named else ""
    data = _present(
        action=action.removeprefix("NODE_ACTION_"),
        reason=body.reason,
        actor=body.actor,
        requestId=body.request_id,
        reopened=list(body.reopened),
    )
    return data | {
        field: read(getattr(body, field)) for field in ("input", "output") if body.HasField(field)
    }


def _breakpoints_set(body: pb.BreakpointsSet, _read: Read) -> dict[str, Any]:
    data: dict[str, Any] = {"all": body.all, "nodes": list(body.nodes)}
    return data | _present(actor=body.actor, requestId=body.request_id)


def _workflow_held(body: pb.WorkflowHeld, _read: Read) -> dict[str, Any]:
    hold = body.hold
    named = hold.reason in execution_pb2.HoldReason.values()
    word = execution_pb2.HoldReason.Name(hold.reason) if named else ""
    data: dict[str, Any] = {"reason": word.removeprefix("HOLD_REASON_").lower()}
    data |= {"until": instant(hold.until_us)} if hold.until_us else {}
    return data | _present(key=hold.key)


def _start_debounced(body: pb.StartDebounced, read: Read) -> dict[str, Any]:
    data: dict[str, Any] = {"input": read(body.input)}
    data |= {"until": instant(body.until_us)} if body.until_us else {}
    return data | _present(actor=body.actor, requestId=body.request_id)


def _compensation_started(body: pb.CompensationStarted, _read: Read) -> dict[str, Any]:
    outcome = execution_pb2.ExecutionStatus.Name(body.outcome).removeprefix("EXECUTION_STATUS_")
    data: dict[str, Any] = {"outcome": outcome.lower()}
    if body.HasField("failure"):
        data["error"] = failure_view(body.failure)
    return data | _steered(body, _read)


def _approval_requested(body: pb.ApprovalRequested, read: Read) -> dict[str, Any]:
    data = {"assignees": list(body.assignees), "needed": body.needed, "details": read(body.details)}
    return data | ({"dueAt": instant(body.due_at_us)} if body.due_at_us else {})


def _approval_decided(body: pb.ApprovalDecided, read: Read) -> dict[str, Any]:
    data: dict[str, Any] = {"by": body.by, "approved": body.approved}
    if body.HasField("form"):
        data["form"] = read(body.form)
    return data | _present(comment=body.comment, requestId=body.request_id)


def _approval_escalated(body: pb.ApprovalEscalated, _read: Read) -> dict[str, Any]:
    return {"assignees": list(body.assignees), "dueAt": instant(body.due_at_us)}


def _result_reused(body: pb.ResultReused, read: Read) -> dict[str, Any]:
    return {"output": read(body.output)} if body.HasField("output") else {}


def _attributes_set(body: pb.SearchAttributesSet, _read: Read) -> dict[str, Any]:
    values = {each.name: search_view(each) for each in body.values}
    removed = list(body.removed)
    return {"values": values} | _present(
        removed=removed, actor=body.actor, requestId=body.request_id
    )


def _variable_set(body: pb.VariableSet, read: Read) -> dict[str, Any]:
    return {"name": body.name, "value": read(body.value)} | _steered(body, read)


def _journal_appended(body: pb.JournalAppended, read: Read) -> dict[str, Any]:
    return {"records": [_journal_record(record, read) for record in body.records]}


def _journal_record(record: journal_pb2.JournalRecord, read: Read) -> dict[str, Any]:
    kind = journal_pb2.JournalKind.Name(record.kind).removeprefix("JOURNAL_KIND_").lower()
    outcome = record.WhichOneof("outcome")
    view: dict[str, Any] = {"index": record.index, "kind": kind}
    view |= _present(name=record.name, delayMs=record.delay_ms)
    view["status"] = _JOURNAL_WORDS[outcome] if outcome else "open"
    if outcome == "output":
        view["output"] = read(record.output)
        view |= _present(ahead=record.ahead)
    elif outcome == "failure":
        view["error"] = failure_view(record.failure)
    return view


_JOURNAL_WORDS = MappingProxyType(
    {
        "output": "completed",
        "failure": "failed",
        "canceled": "canceled",
        "timed_out": "timedOut",
    }
)


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


# Events without an entry have no data besides node and attempt.
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
        "page_turned": _page_turned,
        "child_requested": _child_requested,
        "child_started": _child_started,
        "child_ended": _child_ended,
        "workflow_continued": _workflow_continued,
        "wait_keyed": _wait_keyed,
        "node_steered": _node_steered,
        "task_held": _failed,
        "breakpoints_set": _breakpoints_set,
        "compensation_started": _compensation_started,
        "result_reused": _result_reused,
        "approval_requested": _approval_requested,
        "approval_decided": _approval_decided,
        "approval_escalated": _approval_escalated,
        "search_attributes_set": _attributes_set,
        "payloads_erased": _steered,
        "journal_appended": _journal_appended,
        "variable_set": _variable_set,
        "workflow_held": _workflow_held,
        "start_debounced": _start_debounced,
        "execution_joined": _execution_joined,
    }
)
