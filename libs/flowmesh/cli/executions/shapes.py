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
    shown = output.members(failure, "class=error_class message task_id=node? state?")
    return shown if failure.details is None else shown | {"details": failure.details}


_SUMMARY = (
    "execution_id=id workflow=workflow_id version=workflow_version status started_at ended_at "
    "duration_ms parent=parent_id? continued_from? continued_as? first_run? error=failure? "
    "archived?"
)
_WHOLE = (
    f"{_SUMMARY} compensation? hold? rerun_of? search variables? erased=erasure? request_id "
    "last_sequence input output *? -namespace -workflow_name -parent_node -nodes -signals"
)
_NODE = (
    "status attempts dependencies type=task_type worker=worker_id~ started_at ended_at due_at "
    "duration_ms child=child_workflow_id? items? output error=failure? held? undoes? *? -id -name "
    "-metadata -scheduled_at -child_execution_id -child_version -assignees"
)


def execution_json(execution: "Execution", *, whole: bool = True) -> dict[str, Any]:
    shown = output.members(execution, _WHOLE if whole else _SUMMARY)
    if execution.parent_id:
        shown["parent"] = {"executionId": execution.parent_id, "taskId": execution.parent_node}
    if execution.failure is not None:
        shown["error"] = failure_json(execution.failure)
    if not whole:
        return shown
    if execution.hold is not None:
        shown["hold"] = output.members(execution.hold, "reason key until?")
    return shown | {
        "search": {
            name: output.iso(value) if isinstance(value, datetime) else value
            for name, value in execution.search.items()
        },
        "input": value_json(execution.input),
        "output": value_json(execution.output),
        "tasks": {node.id: node_json(node) for node in execution.nodes},
        "signals": [
            output.members(each) | {"payload": value_json(each.payload)}
            for each in execution.signals
        ],
    }


def node_json(node: "Node") -> dict[str, Any]:
    shown = output.members(node, _NODE)
    shown["startedAt"] = output.iso(node.started_at or node.scheduled_at)
    if node.child_workflow_id:
        shown["child"] = output.members(
            node,
            "workflow=child_workflow_id version=child_version~ execution_id=child_execution_id~",
        )
    if node.failure is not None:
        shown["error"] = failure_json(node.failure)
    if node.output is None:
        del shown["output"]
    else:
        shown["output"] = value_json(node.output)
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
