"""The order of compensation: a node is undone after the nodes that depend on it."""

from __future__ import annotations

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine.state.compensation import undo_node
from flowmesh.engine.state.state import NodeState, State
from flowmesh.plan import PlanNode


def next_to_undo(state: State) -> list[NodeState]:
    """Return the nodes whose compensation may begin, the last completed first."""
    if not state.plan.compensation.parallel:
        last = state.undo[-1] if state.undo else None
        return [last] if last is not None and undo_node(last) is None else []
    return [
        node
        for node in reversed(state.undo)
        if undo_node(node) is None
        and not any(comes_before(node, other) for other in state.undo if other is not node)
    ]


def comes_before(node: NodeState, other: NodeState) -> bool:
    """Return whether the definition orders `node` before `other`, across bodies."""
    ours, theirs = _places(node), _places(other)
    for (planned, item), (its_planned, its_item) in zip(ours, theirs, strict=False):
        if planned is not its_planned:
            return _leads_to(planned, its_planned)
        if item != its_item:
            # Items of a map are independent, the nodes of a state machine follow one another.
            in_order = planned.kind == plan_pb2.NODE_KIND_STATES
            return in_order and item < its_item
    return False


def _places(node: NodeState) -> list[tuple[PlanNode, int]]:
    """Return a node and the nodes around it, each with its item, the outermost first."""
    places = [(node.planned, 0)]
    scope = node.scope
    while scope.owner is not None:
        places.append((scope.owner.planned, scope.item))
        scope = scope.owner.scope
    places.reverse()
    return places


def _leads_to(planned: PlanNode, other: PlanNode) -> bool:
    seen = {planned.index}
    ahead = list(planned.successors)
    while ahead:
        each = ahead.pop()
        if each is other:
            return True
        if each.index not in seen:
            seen.add(each.index)
            ahead.extend(each.successors)
    return False
