"""Entries of the audit log that follow from the events of an execution. Pure."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from flowmesh.api.history.v1.history_event_pb2 import HistoryEvent, HistoryEvents
from flowmesh.api.history.v1.history_service_pb2 import EventRow

Json = Any

# The method whose call an event records, if the event names its caller.
_METHODS: Final = {
    "workflow_started": "ExecutionService.StartExecution",
    "start_debounced": "ExecutionService.StartExecution",
    "workflow_canceled": "ExecutionService.CancelExecution",
    "compensation_started": "ExecutionService.CancelExecution",
    "workflow_terminated": "ExecutionService.TerminateExecution",
    "workflow_paused": "ExecutionService.PauseExecution",
    "workflow_resumed": "ExecutionService.ResumeExecution",
    "signal_received": "ExecutionService.SignalExecution",
    "node_steered": "ControlService.SteerNode",
    "breakpoints_set": "ControlService.SetBreakpoints",
    "variable_set": "ControlService.SetVariable",
    "approval_decided": "ControlService.DecideApproval",
    "search_attributes_set": "SearchService.SetSearchAttributes",
    "payloads_erased": "RetentionService.EraseExecution",
}
_RERUN: Final = "ControlService.RerunExecution"
# Members that describe the change; values are represented by the digest of the event.
_SHOWN: Final = (
    "workflow_id", "version", "request_id", "node", "name", "action", "reason", "approved",
)  # fmt: skip


def audit_entries_of(row: EventRow) -> Iterator[dict[str, Json]]:
    """Return the entries of the events in a commit to an execution that name a caller."""
    for event in HistoryEvents.FromString(row.events).events:
        kind = event.WhichOneof("event") or ""
        method = _METHODS.get(kind)
        if method is not None and (actor := _actor(getattr(event, kind))):
            yield _entry(row, event, kind, method, actor)


def _actor(change: Any) -> str:
    return str(getattr(change, "actor", "") or getattr(change, "by", ""))


def _entry(
    row: EventRow, event: HistoryEvent, kind: str, method: str, actor: str
) -> dict[str, Json]:
    change = getattr(event, kind)
    is_rerun = kind == "workflow_started" and change.origin.execution_id
    names = change.DESCRIPTOR.fields_by_name
    return {
        "source": f"{row.execution_id}/{event.sequence}",
        "at_us": event.at_us,
        "actor": actor,
        "method": _RERUN if is_rerun else method,
        "namespace": row.namespace,
        "target": row.execution_id,
        "after": {
            "event": kind,
            "digest": hashlib.sha256(event.SerializeToString(deterministic=True)).hexdigest(),
            **{name: value for name in _SHOWN if name in names and (value := _shown(change, name))},
        },
    }


def _shown(change: Any, name: str) -> Json:
    value = getattr(change, name)
    return value if isinstance(value, (str, int, bool)) else ""
