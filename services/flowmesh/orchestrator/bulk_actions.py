"""What a bulk can do to an execution, by the name that asks for it."""

from collections.abc import Awaitable, Callable
from typing import Any

from flowmesh.api.execution.v1 import bulk_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2 as execution
from flowmesh.errors import Invalid, Violation
from flowmesh.filters import suggestion
from flowmesh.orchestrator.executions import TEXT_MAX, Executions, check_text
from flowmesh.orchestrator.payloads import check_inline
from flowmesh.rpc import valid_id

Act = Callable[[Executions, pb.Bulk, str], Awaitable[object]]


def _steering(method: str, message: Callable[..., Any]) -> Act:
    """A call with a reason."""

    def act(executions: Executions, bulk: pb.Bulk, execution_id: str) -> Awaitable[object]:
        call: Callable[..., Awaitable[object]] = getattr(executions, method)
        return call(
            message(**_common(bulk, execution_id), reason=bulk.action.reason), forwarded=False
        )

    return act


def _signal(executions: Executions, bulk: pb.Bulk, execution_id: str) -> Awaitable[object]:
    request = execution.SignalExecutionRequest(
        **_common(bulk, execution_id), name=bulk.action.signal, payload=bulk.action.payload
    )
    return executions.signal(request, forwarded=False)


def _common(bulk: pb.Bulk, execution_id: str) -> dict[str, str]:
    """The request id is that of this bulk and this execution: a repeat changes nothing."""
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
}


def check_action(action: pb.BulkAction) -> None:
    """Refuses what no execution could be told."""
    if action.name not in ACTIONS:
        near = suggestion(action.name, ACTIONS)
        text = f"{action.name[:64]!r} is no action; known: {', '.join(ACTIONS)}{near}"
        violation = Violation("action.name", text, "REQUEST_INVALID")
        raise Invalid("REQUEST_INVALID", text, violations=(violation,))
    check_text(action.reason, "reason", TEXT_MAX)
    if action.name == "signal":
        valid_id(action.signal, "action.signal")
        check_inline(action.payload, "action.payload")
