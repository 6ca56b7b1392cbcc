"""Nodes that wait for the end of an execution that is not their child.

A start policy may answer the start of a child with an execution that is there. The node asks that
one to be told of its end. When it ends the question is sent once more, and answered with the end;
of one that goes on as new it goes to the next run. So however often it is asked, all hear the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.children.commands import Join
from flowmesh.engine.state.state import State
from flowmesh.engine.state.transition import Ended, Transition

if TYPE_CHECKING:
    from flowmesh.engine.decisions.step import Step


JOINED_MAX = 1_000
"""Nodes that an execution tells of its end; others have to ask again."""


def request(state: State, into: Transition, execution_id: str, by: history.ExecutionJoined) -> None:
    """Has an execution asked to tell a node of its end."""
    asked = into.message(state).join
    asked.execution_id = execution_id
    asked.by_id, asked.by_node, asked.by_attempt = by.by_id, by.by_node, by.by_attempt


def join(step: Step, command: Join) -> bool:
    """A node waits for the end of this execution; False where too many do. Raises Ended."""
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
    """Sends the questions again that the end of this execution answers."""
    for by in state.joined_by:
        request(state, into, state.execution_id, by)
