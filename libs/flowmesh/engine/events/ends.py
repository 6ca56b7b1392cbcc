"""The end of a node, and of the graphs around it."""

from __future__ import annotations

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.engine.children import events as children
from flowmesh.engine.state import journal, pages
from flowmesh.engine.state import state as s
from flowmesh.engine.state.scopes import drop_scopes
from flowmesh.engine.state.state import NodeState, State
from flowmesh.plan import decode

# Takes a third of the time of CopyFrom, which serializes and parses the message.
_copy = payload_pb2.Payload.__deepcopy__


def own(payload: payload_pb2.Payload) -> payload_pb2.Payload:
    """Copy a payload, so that its batch of events can be freed."""
    return _copy(payload)


def end_node(state: State, node_id: str, status: s.NodeStatus, at_us: int) -> NodeState:
    """Close a node with any outcome and update the counts of its successors."""
    node = state.reach(node_id)
    planned, scope = node.planned, node.scope
    if node.status == s.RUNNING and state.on_hold.pop(node.id, None) is None:
        state.running_count -= planned.is_task
        state.bring_back(node)
    node.status = status
    node.ended_at_us = at_us
    timed = node.due_at_us or planned.total_timeout_us
    if timed or planned.body is not None or planned.waits:
        node.due_at_us = 0
        state.clear_timer(node.id)
        drop_scopes(state, node)
    if planned.waits:
        children.apply_ended(state, node)
    elif planned.signal:
        state.await_no_more(node)
    elif planned.approval is not None:
        state.asking.pop(node.id, None)
    if node.journal is not None:
        journal.close(state, node, node.journal)
    if planned.undoes is not None:
        return node
    scope.open_count -= 1
    waiting = scope.waiting
    for successor in planned.successors:
        waiting[successor.index] -= 1
    return node


def close_scope(state: State, scope: s.Scope) -> None:
    """Keep the outcome of an item whose graph ended, and drop the graph."""
    owner = scope.owner
    if owner is None or scope.open_count or scope.item not in owner.scopes:
        return
    if owner.journal is not None:
        journal.call_closed(state, owner, scope)
        return
    del owner.scopes[scope.item]
    if not scope.kept:
        del state.scopes[scope.prefix]
    if owner.machine is not None:
        _move_on(owner, owner.machine, scope)
        return
    of = owner.map
    assert of is not None
    leaves = scope.graph.leaves
    if scope.failed is not None:
        _count_failed(owner, of, scope.failed)
        of.outputs[scope.item] = b"null"
    elif owner.planned.counted:
        of.outputs[scope.item] = b"null"
    elif owner.is_group and not owner.planned.single:
        of.outputs = [_bare(scope.output_of(leaf.index)) for leaf in leaves]
    elif len(leaves) == 1:
        of.outputs[scope.item] = _bare(scope.output_of(leaves[0].index))
    else:
        of.outputs[scope.item] = b"null"


def _count_failed(owner: NodeState, of: s.MapState, failed: NodeState) -> None:
    """Count a failed item or page; fail the map above its tolerated number.

    Failed items of all pages are counted together.
    """
    planned, pager = owner.planned, pages.pager_of(owner)
    if planned.pages_max:
        of.failure = of.failure or _failure_of(failed)
        return
    of.failed += 1
    tally = of
    if pager is not None and pager.map is not None:
        tally = pager.map
        tally.failed += 1
    if tally is not of and planned.tolerated_share and pages.item_count(tally) is None:
        tally.excused = tally.excused or _failure_of(failed)
    elif pages.too_many_failed(planned, of, tally):
        of.failure = of.failure or _failure_of(failed)
        tally.failure = tally.failure or of.failure


def _move_on(owner: NodeState, machine: s.MachineState, scope: s.Scope) -> None:
    """Set the value of a state machine and its next node from the outcome of a node."""
    (node,) = scope.nodes.values()
    follow = node.planned.follow
    assert follow is not None
    machine.next = follow.next
    if node.status == s.FAILED:
        failure = _failure_of(node)
        failure.state = failure.state or node.planned.name
        caught, place, defers = follow.caught(getattr(failure, "class"))
        if caught:
            machine.next, machine.error = place, failure
            machine.deferred = failure if defers else machine.deferred
            return
        if node.planned.critical and not node.passes:
            machine.next, machine.failure = None, failure
        if not node.passes:
            return
    if follow.chooses:
        machine.next, machine.failure = _chosen(owner, node)
    elif not follow.keeps and node.status != s.SKIPPED:
        machine.value = node.output if node.output is not None else payload_pb2.Payload()


def _chosen(owner: NodeState, node: NodeState) -> tuple[int | None, failure_pb2.Failure | None]:
    """Return the node that the output of a choice names, or a failure."""
    assert owner.planned.body is not None
    inline = node.output is not None and not node.output.HasField("reference")
    name = decode(node.output) if inline else None
    if isinstance(name, dict):
        name = name.get("next")
    elif isinstance(name, list):
        name = name[0] if name else ""
    if name == "":
        return None, None
    place = owner.planned.body.by_id.get(name) if isinstance(name, str) else None
    if place is not None:
        return place.index, None
    failure = failure_pb2.Failure(
        message=f"{node.id} chose {name!r}, which is not a node of its graph"
    )
    setattr(failure, "class", "ValidationError")
    failure.node = node.id
    return None, failure


def _failure_of(node: NodeState) -> failure_pb2.Failure:
    """Return the failure of a node with the id of the innermost failed node."""
    failure = failure_pb2.Failure()
    if node.failure is not None:
        failure.CopyFrom(node.failure)
    failure.node = failure.node or node.id
    return failure


def _bare(output: payload_pb2.Payload | None) -> bytes | payload_pb2.Payload:
    """Return an output as maps keep it: the bytes of inline JSON, else the payload."""
    if output is None:
        return b"null"
    plain = not (output.encoding or output.sensitive or output.HasField("reference"))
    return output.data if plain else output


def remember(state: State, request_id: str) -> None:
    if not request_id:
        return
    state.requests[request_id] = state.sequence
    if len(state.requests) > s.REQUEST_IDS_MAX:
        del state.requests[next(iter(state.requests))]


def fails_its_graph(node: NodeState) -> bool:
    planned = node.planned
    goes_on = planned.excused or planned.undoes is not None or node.passes
    return node.status == s.FAILED and planned.critical and not goes_on
