"""Nodes that wait for the end of an execution that is not their child, or is in another project.

A start policy may answer the start of a child with an existing execution. The node then requests
a join of that execution. When it ends, the joined execution sends the request again, and the
delivery answers it with the outcome; after a continue-as-new it goes to the next run. Repeated
requests get the same answer. A child of another project is awaited by the delivery of the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.children.commands import Join
from flowmesh.engine.state.state import State
from flowmesh.engine.state.transition import Ended, Transition

if TYPE_CHECKING:
    from flowmesh.engine.decisions.step import Step


JOINED_MAX = 1_000
"""Joins recorded by an execution; further nodes have to request again."""


def request(message: pb.ExecutionMessage, execution_id: str, by: history.ExecutionJoined) -> None:
    """Request a join of an execution by a node."""
    asked = message.join
    asked.execution_id = execution_id
    asked.by_id, asked.by_node, asked.by_attempt = by.by_id, by.by_node, by.by_attempt


def join(step: Step, command: Join) -> bool:
    """Record the join of a node. Return False above the limit. Raises Ended."""
    state = step.state
    if state.ended:
        raise Ended(state.status)
    by = history.ExecutionJoined(
        by_id=command.by_id, by_node=command.by_node, by_attempt=command.by_attempt
    )
    if by not in state.joined_by:
        if len(state.joined_by) >= JOINED_MAX:
            return False
        step.emit("execution_joined", by)
    return True


def resend(state: State, into: Transition) -> None:
    """Send the recorded join requests again, for their answer after the end."""
    for by in state.joined_by:
        request(into.message(state), state.execution_id, by)
