"""Removal of graphs inside bodies."""

from __future__ import annotations

from flowmesh.engine.state.nodes import NodeState
from flowmesh.engine.state.state import State


def drop_scopes(state: State, owner: NodeState) -> None:
    """Remove the graphs in progress below a node, with their held and stopped nodes."""
    for scope in owner.scopes.values():
        if not scope.kept:
            del state.scopes[scope.prefix]
        for node in scope.nodes.values():
            drop_scopes(state, node)
        state.held.discard_below(scope.prefix)
        for key in [key for key in state.stopped if key.startswith(scope.prefix)]:
            del state.stopped[key]
    owner.scopes.clear()


def keep_scopes_for_undo(state: State) -> None:
    """Remove the graphs in progress that compensation does not need."""
    state.scopes = {name: scope for name, scope in state.scopes.items() if scope.kept}
