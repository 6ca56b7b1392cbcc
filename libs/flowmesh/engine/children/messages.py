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


def stop(step: Step, node: NodeState, reason: str) -> None:
    """Has the child of a node stopped, as its policy says."""
    call, child = node.planned.child, node.child
    if call is None or child is None or not child.open or child.joined:
        return
    if call.detached or call.on_cancel == plan_pb2.ON_CANCEL_ABANDON:
        return
    message = step.out.message(step.state)
    message.stop.request_id = child.request_id
    message.stop.terminate = call.on_cancel == plan_pb2.ON_CANCEL_TERMINATE
    message.stop.reason = reason


def report_to_parent(state: State, into: Transition) -> None:
    """Tells the parent how this execution ended; a run that goes on leaves it to the last."""
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
    """Adds how this execution ended."""
    outcome.status = state.status
    if state.output is not None:
        outcome.output.CopyFrom(state.output)
    if state.failure is not None:
        outcome.failure.CopyFrom(state.failure)
