"""The state of an execution for `watch`, updated by events; drawing is in `watching`."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowmesh.sdk import Event, Execution

_NODE_STATUS = {
    "TaskScheduled": "running",
    "TaskStarted": "running",
    "TaskRetrying": "running",
    "TaskCompleted": "completed",
    "TaskFailed": "failed",
    "TaskSkipped": "skipped",
    "TaskCanceled": "canceled",
    "TimerStarted": "running",
}
_EXECUTION_STATUS = {
    "WorkflowStarted": "running",
    "WorkflowHeld": "pending",
    "WorkflowBegun": "running",
    "WorkflowPaused": "paused",
    "WorkflowResumed": "running",
    "WorkflowCompleted": "completed",
    "WorkflowFailed": "failed",
    "WorkflowCanceled": "canceled",
    "WorkflowTerminated": "terminated",
}
_NODE_ENDED = frozenset(("completed", "failed", "skipped", "canceled"))


@dataclass(slots=True)
class Row:
    """The current state of a node."""

    id: str
    dependencies: tuple[str, ...]
    status: str = "pending"
    attempt: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str = ""

    def took_ms(self, now: datetime) -> float | None:
        if self.started_at is None:
            return None
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds() * 1000)


class Board:
    """The current state of an execution; pass its events to `apply` in order."""

    def __init__(self, execution: "Execution") -> None:
        self.id = execution.id
        self.workflow = f"{execution.workflow_id} v{execution.workflow_version}"
        self.status = "running"
        self.error = ""
        self.started_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.rows = {node.id: Row(node.id, node.dependencies) for node in execution.nodes}

    @property
    def ended(self) -> int:
        return sum(row.status in _NODE_ENDED for row in self.rows.values())

    def took_ms(self, now: datetime) -> float:
        if self.started_at is None:
            return 0.0
        return max(0.0, ((self.ended_at or now) - self.started_at).total_seconds() * 1000)

    def apply(self, event: "Event") -> None:
        if status := _EXECUTION_STATUS.get(event.type):
            self.status = status
            self.started_at = self.started_at or event.at
            if event.last:
                self.ended_at = event.at
                self.error = _error_text(event)
        row = self.rows.get(event.node)
        if row is None or event.type not in _NODE_STATUS:
            return
        row.status = _NODE_STATUS[event.type]
        row.attempt = max(row.attempt, event.attempt)
        row.started_at = row.started_at or event.at
        row.error = _error_text(event)
        if row.status in _NODE_ENDED:
            row.ended_at = event.at


def _error_text(event: "Event") -> str:
    error = event.data.get("error")
    return f"{error['class']}: {error['message']}" if error else ""
