"""Events of node actions and breakpoints; `flowmesh.engine.decisions.steering` emits them."""

from __future__ import annotations

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.events.ends import fails_its_graph, own, remember
from flowmesh.engine.state import state as s
from flowmesh.engine.state.scopes import drop_scopes
from flowmesh.engine.state.state import NodeState, State


def apply_steered(state: State, event: history.NodeSteered, _at_us: int) -> None:
    if event.HasField("input"):
        state.edits = {**state.edits, event.node: own(event.input)}
    match event.action:
        case execution_pb2.NODE_ACTION_CONTINUE:
            state.stopped.pop(event.node, None)
            state.passed |= {event.node}
        case execution_pb2.NODE_ACTION_OVERRIDE:
            state.reach(event.node).output = own(event.output)
        case execution_pb2.NODE_ACTION_UNSPECIFIED:
            pass
        case _:
            _steer(state, state.reach(event.node), event)
    remember(state, event.request_id)


_BY_HAND = (execution_pb2.NODE_ACTION_COMPLETE, execution_pb2.NODE_ACTION_FAIL)


def _steer(state: State, node: NodeState, event: history.NodeSteered) -> None:
    """Reopen a failed node and the successors that were skipped because of it."""
    for reopened in event.reopened:
        successor = state.reach(reopened)
        _reopen(successor)
        del successor.scope.nodes[successor.planned.index]
    if node.status == s.FAILED:
        _reopen(node)
    if event.action == execution_pb2.NODE_ACTION_RETRY:
        _begin_anew(state, node)
    node.by_hand = event.action in _BY_HAND
    if event.action == execution_pb2.NODE_ACTION_COMPLETE:
        state.held.discard(node.id)
        state.stopped.pop(node.id, None)


def _begin_anew(state: State, node: NodeState) -> None:
    """Reset a node with a body, an approval or a timer; only its attempt number remains."""
    planned = node.planned
    if planned.body is not None:
        drop_scopes(state, node)
        node.map = node.machine = None
    elif not (planned.is_task or planned.waits):
        state.on_hold.pop(node.id, None)
        anew = node.scope.nodes[planned.index] = NodeState(planned, node.scope)
        anew.attempt = node.attempt


def _reopen(node: NodeState) -> None:
    scope = node.scope
    node.status = s.PENDING
    node.ended_at_us = 0
    node.output = None
    if node.planned.undoes is not None:
        return
    scope.open_count += 1
    for successor in node.planned.successors:
        scope.waiting[successor.index] += 1
    if scope.failed is node:
        failed = (other for other in scope.nodes.values() if fails_its_graph(other))
        scope.failed = min(failed, key=lambda other: other.ended_at_us, default=None)


def apply_breakpoints_set(state: State, event: history.BreakpointsSet, _at_us: int) -> None:
    state.stops_everywhere = event.all
    state.breakpoints = frozenset(event.nodes)
    if not (event.all or event.nodes):
        state.stopped.clear()
    remember(state, event.request_id)


def apply_breakpoint_reached(state: State, event: history.BreakpointReached, _at_us: int) -> None:
    state.stopped[event.node] = state.place(event.node)
