"""Messages from an execution to its parent and to its children."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, State
from flowmesh.engine.state.transition import Transition

if TYPE_CHECKING:
    from flowmesh.engine.decisions.step import Step


def message_of(step: Step, call: plan_pb2.ChildCall) -> pb.ExecutionMessage:
    """Add a message about the child of a call, for the caller to fill."""
    message = step.out.message(step.state)
    if call.project:
        message.project.namespace, message.project.credential = call.project, call.credential
    return message


def stop(step: Step, node: NodeState, reason: str) -> None:
    """Request the stop of a node's child, as its policy defines."""
    call, child = node.planned.child, node.child
    if call is None or child is None or not child.open or child.joined:
        return
    if call.detached or call.on_cancel == plan_pb2.ON_CANCEL_ABANDON:
        return
    asked = message_of(step, call).stop
    asked.request_id = child.request_id
    asked.terminate = call.on_cancel == plan_pb2.ON_CANCEL_TERMINATE
    asked.reason = reason
    if call.project:
        asked.execution_id = child.execution_id


def report_to_parent(state: State, into: Transition) -> None:
    """Report the outcome to the parent. Of runs that continue as new only the last reports."""
    link = state.link
    if link is None or not link.parent_id or link.detached:
        return
    if state.status == s.EXECUTION_CONTINUED:
        return
    outcome = into.message(state).outcome
    outcome.parent_id, outcome.node = link.parent_id, link.parent_node
    outcome.attempt, outcome.first_run = link.parent_attempt, link.first_run
    add_outcome(state, outcome)


def add_outcome(state: State, outcome: pb.ChildOutcome) -> None:
    """Add status, output and failure of this execution."""
    outcome.status = state.status
    if state.output is not None:
        outcome.output.CopyFrom(state.output)
    if state.failure is not None:
        outcome.failure.CopyFrom(state.failure)
