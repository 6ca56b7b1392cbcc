"""Executions as JSON documents and as lines of text."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowmesh.cli import output
from flowmesh.tasktypes.builtin.control import APPROVAL, RECEIVE, SIGNAL

if TYPE_CHECKING:
    from flowmesh.sdk import Execution, Failure, Items, Node

# A worker may have started a task this long ago without an event in the history.
START_REPORTED_MS = 1_000
# The most lines of text for completed or skipped tasks of items.
ENDED_LINES_MAX = 100
MARKS = {
    "pending": "·",
    "running": "▶",
    "completed": "✔",
    "failed": "✘",
    "skipped": "↷",
    "canceled": "■",
    "terminated": "■",
    "paused": "‖",
    "continued": "↻",
    "compensating": "↶",
}


def value_json(value: Any) -> Any:
    """Return the value; for one above 256 KiB its digest and size."""
    from flowmesh.sdk import StoredValue

    if isinstance(value, StoredValue):
        return {"$payload": {"digest": value.digest, "sizeBytes": value.size_bytes}}
    return value


def failure_json(failure: "Failure") -> dict[str, Any]:
    shown: dict[str, Any] = {"class": failure.error_class, "message": failure.message}
    if failure.node:
        shown["taskId"] = failure.node
    if failure.state:
        shown["state"] = failure.state
    if failure.details is not None:
        shown["details"] = failure.details
    return shown


def execution_json(execution: "Execution", *, whole: bool = True) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "executionId": execution.id,
        "workflow": execution.workflow_id,
        "version": execution.workflow_version,
        "status": execution.status,
        "startedAt": output.iso(execution.started_at),
        "endedAt": output.iso(execution.ended_at),
        "durationMs": execution.duration_ms,
    }
    if execution.parent_id:
        shown["parent"] = {"executionId": execution.parent_id, "taskId": execution.parent_node}
    for name, other in (
        ("continuedFrom", execution.continued_from),
        ("continuedAs", execution.continued_as),
        ("firstRun", execution.first_run),
    ):
        if other:
            shown[name] = other
    if execution.failure is not None:
        shown["error"] = failure_json(execution.failure)
    if execution.archived:
        shown["archived"] = True
    if whole:
        if execution.compensation:
            shown["compensation"] = execution.compensation
        if execution.hold is not None:
            shown["hold"] = {"reason": execution.hold.reason, "key": execution.hold.key}
            if execution.hold.until is not None:
                shown["hold"]["until"] = output.iso(execution.hold.until)
        if execution.rerun_of:
            shown["rerunOf"] = execution.rerun_of
        shown["search"] = {
            name: output.iso(value) if isinstance(value, datetime) else value
            for name, value in execution.search.items()
        }
        if execution.variables:
            shown["variables"] = execution.variables
        if execution.erasure is not None:
            shown["erased"] = {
                "at": output.iso(execution.erasure.at),
                "actor": execution.erasure.actor,
                "reason": execution.erasure.reason,
            }
        shown["requestId"] = execution.request_id
        shown["lastSequence"] = execution.last_sequence
        shown["input"] = value_json(execution.input)
        shown["output"] = value_json(execution.output)
        shown["tasks"] = {node.id: node_json(node) for node in execution.nodes}
        shown["signals"] = [
            {
                "name": signal.name,
                "payload": value_json(signal.payload),
                "receivedAt": output.iso(signal.received_at),
            }
            for signal in execution.signals
        ]
    return shown


def node_json(node: "Node") -> dict[str, Any]:
    shown: dict[str, Any] = {
        "status": node.status,
        "attempts": node.attempts,
        "dependencies": list(node.dependencies),
        "type": node.task_type,
        "worker": node.worker_id or None,
        "startedAt": output.iso(node.started_at or node.scheduled_at),
        "endedAt": output.iso(node.ended_at),
        "dueAt": output.iso(node.due_at),
        "durationMs": node.duration_ms,
    }
    if node.child_workflow_id:
        shown["child"] = {
            "workflow": node.child_workflow_id,
            "version": node.child_version or None,
            "executionId": node.child_execution_id or None,
        }
    if node.items is not None:
        shown["items"] = {
            "total": node.items.total,
            "running": node.items.running,
            "completed": node.items.completed,
            "failed": node.items.failed,
        }
    if node.output is not None:
        shown["output"] = value_json(node.output)
    if node.failure is not None:
        shown["error"] = failure_json(node.failure)
    if node.held:
        shown["held"] = True
    if node.undoes:
        shown["undoes"] = node.undoes
    return shown


# The conditions that running nodes without a worker wait for, by task type.
_WAITS = {
    RECEIVE.name: "waits for a call; `flowmesh hooks` shows its URL",
    SIGNAL.name: "waits for a signal",
    "subworkflow": "waits for its child execution",
    "continueAsNew": "starts the next run",
}
_CONTAINERS = frozenset({"map", "group", "states"})


def shown_nodes(nodes: Sequence["Node"]) -> tuple[list["Node"], int]:
    """Return the nodes to print, and the number of omitted completed tasks of items."""
    shown, remaining = [], ENDED_LINES_MAX
    for node in nodes:
        if "/" in node.id and node.status in ("completed", "skipped"):
            remaining -= 1
            if remaining < 0:
                continue
        shown.append(node)
    return shown, max(0, -remaining)


def node_line(node: "Node", now: datetime) -> str:
    parts = [f"{MARKS[node.status]} {node.id}", str(node.status)]
    if node.duration_ms is not None:
        parts.append(output.duration(node.duration_ms))
    if node.attempts > 1:
        parts.append(f"attempt {node.attempts}")
    if node.child_execution_id:
        parts.append(f"→ {node.child_execution_id}")
    if node.failure is not None and node.status != "completed":
        parts.append(f"{node.failure.error_class}: {node.failure.message}")
    if node.status == "running" or node.held:
        parts.append(progress_text(node, now) if node.status == "running" else "stopped here")
    return "  ".join(parts)


def _items_text(items: "Items") -> str:
    failed = f", {items.failed} failed" if items.failed else ""
    done = items.completed + items.failed
    return f"{done} of {items.total} items done{failed}, {items.running} running"


def traceback_of(node: "Node") -> list[str]:
    """Return the lines of the traceback if the last attempt of a Python handler failed."""
    details = node.failure.details if node.failure is not None else None
    text = details.get("traceback") if isinstance(details, dict) else None
    return text.splitlines() if isinstance(text, str) and node.status != "completed" else []


def progress_text(node: "Node", now: datetime) -> str:
    """Return the progress of a running node: its worker, or the condition it waits for."""
    if node.held:
        return "held: retry, skip, complete or fail it"
    if node.task_type == APPROVAL.name:
        return f"waits for approval by {', '.join(node.assignees) or 'any person'}"
    if node.due_at is not None:
        left = output.duration(max(0.0, (node.due_at - now).total_seconds() * 1_000))
        return f"due in {left}" if node.failure is None else f"next attempt in {left}"
    if node.task_type in _WAITS:
        return _WAITS[node.task_type]
    since_ms = max(0.0, (now - (node.scheduled_at or now)).total_seconds() * 1_000)
    waited = output.duration(since_ms)
    if node.task_type in _CONTAINERS:
        return _items_text(node.items) if node.items is not None else f"for {waited}"
    if node.worker_id:
        return f"for {waited} at {node.worker_id}"
    if since_ms < START_REPORTED_MS:
        return f"for {waited}"
    return f"waits {waited} for a worker that serves {node.task_type}"
