"""Nodes whose work compensation undoes."""

from __future__ import annotations

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine.state.nodes import FAILED, NodeState, Scope
from flowmesh.engine.state.state import State


def compensation_status(state: State) -> execution_pb2.CompensationState.ValueType:
    """Return the progress of the compensation."""
    if state.closing is None:
        return execution_pb2.COMPENSATION_STATE_UNSPECIFIED
    if not state.undo:
        return execution_pb2.COMPENSATION_STATE_COMPENSATED
    begun = (undo_node(node) for node in state.undo)
    if state.ended or any(undo.status == FAILED for undo in begun if undo is not None):
        return execution_pb2.COMPENSATION_STATE_FAILED
    return execution_pb2.COMPENSATION_STATE_COMPENSATING


def undo_node(node: NodeState) -> NodeState | None:
    """Return the node that undoes a node; None until it begins."""
    undo = node.planned.undo
    return node.scope.nodes.get(undo.index) if undo is not None else None


def add_for_undo(state: State, node: NodeState) -> None:
    """Register a completed node for compensation and keep the bodies around it."""
    state.undo.append(node)
    scope: Scope | None = node.scope
    while scope is not None and scope.owner is not None:
        scope.kept = True
        scope = scope.parent


def remove_undone(state: State, undo: NodeState) -> None:
    """Remove the node that `undo` undoes from the nodes to compensate."""
    for place in range(len(state.undo) - 1, -1, -1):
        if undo_node(state.undo[place]) is undo:
            del state.undo[place]
            return
