"""The actions of bulk operations by name."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from flowmesh.api.execution.v1 import bulk_service_pb2 as pb
from flowmesh.api.execution.v1 import control_service_pb2 as control
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as execution
from flowmesh.errors import Invalid, Violation
from flowmesh.filters import suggestion
from flowmesh.orchestrator.model.payload_checks import check_inline
from flowmesh.orchestrator.model.request_checks import TEXT_MAX, check_text
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.operations.control import Control
from flowmesh.rpc import valid_id


@dataclass(frozen=True, slots=True)
class Calls:
    """The operations that actions call."""

    changes: ExecutionChanges
    control: Control


Act = Callable[[Calls, pb.Bulk, str], Awaitable[object]]


def _steering(method: str, message: Callable[..., Any]) -> Act:
    """Return an action that calls a method with a reason."""

    def act(calls: Calls, bulk: pb.Bulk, execution_id: str) -> Awaitable[object]:
        call: Callable[..., Awaitable[object]] = getattr(calls.changes, method)
        return call(
            message(**_common(bulk, execution_id), reason=bulk.action.reason), forwarded=False
        )

    return act


def _signal(calls: Calls, bulk: pb.Bulk, execution_id: str) -> Awaitable[object]:
    request = execution.SignalExecutionRequest(
        **_common(bulk, execution_id), name=bulk.action.signal, payload=bulk.action.payload
    )
    return calls.changes.signal(request, forwarded=False)


def _retry(calls: Calls, bulk: pb.Bulk, execution_id: str) -> Awaitable[object]:
    request = control.SteerNodeRequest(
        **_common(bulk, execution_id),
        action=execution_pb2.NODE_ACTION_RETRY_FAILED,
        reason=bulk.action.reason,
    )
    return calls.control.steer(request, forwarded=False)


def _rerun(calls: Calls, bulk: pb.Bulk, execution_id: str) -> Awaitable[object]:
    request = control.RerunExecutionRequest(
        **_common(bulk, execution_id),
        reason=bulk.action.reason,
        from_failed=bulk.action.from_failed,
        newest_version=bulk.action.newest_version,
    )
    return calls.control.rerun(request, forwarded=False)


def _common(bulk: pb.Bulk, execution_id: str) -> dict[str, Any]:
    """The request id names the bulk and the execution, so a repeat changes nothing."""
    return {
        "namespace": bulk.namespace,
        "execution_id": execution_id,
        "request_id": f"{bulk.bulk_id}.{execution_id}",
        "actor": bulk.actor,
    }


ACTIONS: dict[str, Act] = {
    "cancel": _steering("cancel", execution.CancelExecutionRequest),
    "terminate": _steering("terminate", execution.TerminateExecutionRequest),
    "pause": _steering("pause", execution.PauseExecutionRequest),
    "resume": _steering("resume", execution.ResumeExecutionRequest),
    "signal": _signal,
    "retry": _retry,
    "rerun": _rerun,
}


def check_action(action: pb.BulkAction) -> None:
    """Refuse an action that no execution accepts. Raises REQUEST_INVALID."""
    if action.name not in ACTIONS:
        near = suggestion(action.name, ACTIONS)
        text = f"{action.name[:64]!r} is no action; known: {', '.join(ACTIONS)}{near}"
        violation = Violation("action.name", text, "REQUEST_INVALID")
        raise Invalid("REQUEST_INVALID", text, violations=(violation,))
    if action.name != "rerun" and (action.from_failed or action.newest_version):
        text = f"from_failed and newest_version are for rerun, not for {action.name}"
        raise Invalid("REQUEST_INVALID", text)
    check_text(action.reason, "reason", TEXT_MAX)
    if action.name == "signal":
        valid_id(action.signal, "action.signal")
        check_inline(action.payload, "action.payload")
