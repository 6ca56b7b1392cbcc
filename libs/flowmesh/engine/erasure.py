"""Erasure of the values of an ended execution: the command and its event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.search_attributes import NO_SEARCH_VALUES

if TYPE_CHECKING:
    from flowmesh.engine.decisions.step import Step
    from flowmesh.engine.state.state import ExecutionStatus, State

ERASED = "ERASED"
"""Replaces the message of an erased failure."""


class StillOpen(Exception):
    """The command requires an execution that has ended."""

    def __init__(self, status: ExecutionStatus) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class Erase:
    reason: str = ""
    request_id: str = ""
    actor: str = ""


def erase(step: Step, command: Erase) -> None:
    """Erase all values; a repeated erasure changes nothing. Raises StillOpen."""
    state = step.state
    if not state.ended:
        raise StillOpen(state.status)
    if state.erasure is None:
        step.emit(
            "payloads_erased",
            history.PayloadsErased(
                reason=command.reason, actor=command.actor, request_id=command.request_id
            ),
        )


def apply_erased(state: State, event: history.PayloadsErased, at_us: int) -> None:
    state.erasure = execution_pb2.Erasure(at_us=at_us, actor=event.actor, reason=event.reason)
    state.input = payload_pb2.Payload(data=b"null")
    state.output = None
    state.failure = without_text(state.failure)
    state.signals = [
        execution_pb2.Signal(name=each.name, received_at_us=each.received_at_us)
        for each in state.signals
    ]
    state.signals_bytes = 0
    state.edits = {}
    state.variables_set, state.variables = (), state.variables[:1]
    if state.closing is not None:
        bare = history.CompensationStarted(outcome=state.closing.outcome)
        failure = state.closing.failure if state.closing.HasField("failure") else None
        bare.failure.CopyFrom(without_text(failure) or bare.failure)
        state.closing = bare
    for scope in tuple(state.all_scopes()):
        for node in scope.nodes.values():
            node.output = None
            node.metadata = b""
            node.failure = without_text(node.failure)
            node.map = node.machine = node.journal = None
            if node.approval is not None:
                node.approval = without_answers(node.approval)
    if state.search:
        labels = {n: v for n, v in state.search.items() if n.startswith("label.")}
        state.search = labels or NO_SEARCH_VALUES


def without_answers(approval: execution_pb2.Approval) -> execution_pb2.Approval:
    """Return an approval with its people and decisions, without its details and forms."""
    bare = execution_pb2.Approval()
    bare.CopyFrom(approval)
    bare.ClearField("details")
    for decision in bare.decisions:
        decision.ClearField("form")
    return bare


def without_text(failure: failure_pb2.Failure | None) -> failure_pb2.Failure | None:
    """Return a failure with its class, node and state, without its message and details."""
    if failure is None:
        return None
    bare = failure_pb2.Failure(message=ERASED, node=failure.node, state=failure.state)
    setattr(bare, "class", getattr(failure, "class"))
    return bare
