"""Events of nodes that wait for another execution, or for a signal with a key or a timeout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.state import state as s
from flowmesh.engine.state.nodes import ChildState, NodeState
from flowmesh.engine.state.state import State


def apply_scheduled(state: State, node: NodeState, at_us: int) -> None:
    """Begin to wait. A keyed wait begins later, when its key is rendered."""
    planned = node.planned
    if planned.signal and planned.input is not None:
        return
    state.await_signal(node)
    if planned.signal:
        _set_limit(state, node, at_us)


def _set_limit(state: State, node: NodeState, at_us: int) -> None:
    limit_ms = node.planned.timeout_ms
    state.set_due(node, at_us + limit_ms * 1000 if limit_ms else 0)


def apply_child_requested(state: State, event: history.ChildRequested, at_us: int) -> None:
    node = state.reach(event.node)
    node.child = ChildState(event.request_id, event.workflow_id)
    _set_limit(state, node, at_us)


def apply_child_started(state: State, event: history.ChildStarted, at_us: int) -> None:
    node = state.reach(event.node)
    node.delivery = 1
    node.started_at_us = node.started_at_us or at_us
    if node.child is not None:
        node.child.execution_id = event.execution_id
        node.child.version = event.version
        node.child.joined = event.joined


def apply_child_ended(state: State, event: history.ChildEnded, _at_us: int) -> None:
    node = state.reach(event.node)
    if node.child is not None:
        node.child.open = False
    node.due_at_us = 0
    state.clear_timer(node.id)


def apply_wait_keyed(state: State, event: history.WaitKeyed, at_us: int) -> None:
    node = state.reach(event.node)
    node.key = event.key
    node.started_at_us = at_us
    state.await_signal(node)
    _set_limit(state, node, at_us)


def apply_ended(state: State, node: NodeState) -> None:
    """End the wait of a node that ended."""
    state.await_no_more(node)
    if node.child is not None:
        node.child.open = False


def restore(state: State, node: NodeState) -> None:
    """Repeat requests for rendering, which no event records."""
    if not node.due_at_us and not node.key and (node.child is None or not node.child.open):
        if node.planned.signal and node.planned.input is None:
            return
        state.set_timer(node.id, node.scheduled_at_us + s.ASK_AGAIN_US)


def apply_execution_joined(state: State, event: history.ExecutionJoined, _at_us: int) -> None:
    by = history.ExecutionJoined()
    by.CopyFrom(event)
    state.joined_by += (by,)


APPLY: dict[str, Callable[[State, Any, int], None]] = {
    "child_requested": apply_child_requested,
    "child_started": apply_child_started,
    "child_ended": apply_child_ended,
    "wait_keyed": apply_wait_keyed,
    "execution_joined": apply_execution_joined,
}
