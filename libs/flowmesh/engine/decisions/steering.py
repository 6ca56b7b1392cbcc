"""Commands on single nodes, and breakpoints."""

from __future__ import annotations

from collections import deque

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine.children import begin as children
from flowmesh.engine.children import messages
from flowmesh.engine.decisions import own_nodes
from flowmesh.engine.decisions.outcomes import cancel_below, complete, fail_node
from flowmesh.engine.decisions.progress import advance, begin, begin_body, release_all
from flowmesh.engine.decisions.step import Step, repeated
from flowmesh.engine.decisions.values import NULL, failure_of, mark
from flowmesh.engine.events.apply import hold_back
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, Scope, State
from flowmesh.engine.state.transition import NodeMissing, NodeUnfit, Unfit
from flowmesh.plan import (
    PlanNode,
)

_WORDS = {
    s.PENDING: "has not begun",
    s.RUNNING: "is running",
    s.COMPLETED: "has completed",
    s.FAILED: "has failed",
    s.SKIPPED: "was skipped",
    s.CANCELED: "was canceled",
}


def steer(step: Step, command: c.Steer) -> None:
    """Apply a node action. Raises Ended, Unfit while paused or held, NodeMissing, NodeUnfit."""
    if repeated(step, command.request_id):
        return
    if step.state.paused or step.state.hold is not None:
        raise Unfit(step.state.status)
    stopped = step.state.stopping
    if command.action == execution_pb2.NODE_ACTION_RETRY_FAILED:
        _retry_failed(step, command)
    else:
        _steer(step, command)
    if stopped and not step.state.stopping and step.state.status == s.EXECUTION_RUNNING:
        _begin_held(step)


def set_breakpoints(step: Step, command: c.Breakpoints) -> None:
    """Replace the breakpoints; without any, begin the stopped nodes."""
    state = step.state
    if repeated(step, command.request_id):
        return
    stopped = list(state.stopped.values())
    step.emit(
        "breakpoints_set",
        history.BreakpointsSet(
            all=command.everywhere,
            nodes=sorted(command.nodes),
            actor=command.actor,
            request_id=command.request_id,
        ),
    )
    ended: deque[NodeState] = deque()
    if not state.stopped:
        for scope, planned in stopped:
            begin(step, scope, planned, ended)
    advance(step, ended)


def _begin_held(step: Step) -> None:
    """Begin the nodes that were ready while a failure stopped the execution."""
    ended: deque[NodeState] = deque()
    hold_back(step.state, ready=True)
    release_all(step, ended)
    advance(step, ended)


def _steer(step: Step, command: c.Steer) -> None:
    scope, planned = _find(step, command.node)
    node = scope.nodes.get(planned.index)
    ended: deque[NodeState] = deque()
    match command.action:
        case execution_pb2.NODE_ACTION_RETRY:
            _retry(step, command, node, ended)
        case execution_pb2.NODE_ACTION_SKIP:
            _skip(step, command, scope, planned, ended)
        case execution_pb2.NODE_ACTION_COMPLETE:
            _complete(step, command, scope, planned, ended)
        case execution_pb2.NODE_ACTION_OVERRIDE:
            _override(step, command, node)
        case execution_pb2.NODE_ACTION_CONTINUE:
            _continue(step, command, ended)
        case execution_pb2.NODE_ACTION_FAIL:
            _fail(step, command, node, ended)
        case _:
            raise NodeUnfit("the action is missing: retry, skip, complete, override, or another")
    advance(step, ended)


def _find(step: Step, node_id: str) -> tuple[Scope, PlanNode]:
    state = step.state
    cut = node_id.rfind("/") + 1
    scope = state.scopes.get(node_id[:cut]) if cut else state.scope
    planned = scope.graph.by_id.get(node_id[cut:]) if scope is not None else None
    if scope is None or planned is None:
        raise NodeMissing(node_id)
    begun = planned.index in scope.nodes
    alive = scope.owner is None or scope.owner.status == s.RUNNING
    if (planned.undoes is not None or not alive) and not begun:
        raise NodeMissing(node_id)
    if state.compensating and planned.undoes is None:
        raise NodeUnfit(f"{node_id} cannot be changed during the compensation")
    return scope, planned


def _record(
    step: Step,
    command: c.Steer,
    reopened: list[NodeState] | None = None,
    output: payload_pb2.Payload | None = None,
) -> None:
    steered = history.NodeSteered(
        node=command.node,
        action=command.action,
        reason=command.reason,
        actor=command.actor,
        request_id=command.request_id,
        input=command.input,
        output=output,
        reopened=[node.id for node in reopened or ()],
    )
    if command.input is not None or output is not None:
        planned = step.plan.at(command.node)
        if steered.HasField("input"):
            mark(steered.input, planned.sensitive_input)
        if steered.HasField("output"):
            mark(steered.output, planned.sensitive)
    step.emit("node_steered", steered)


def _retry_failed(step: Step, command: c.Steer) -> None:
    """Retry every failed or held node. Raises NodeUnfit if none can be retried."""
    retried = False
    for node_id in _failed(step.state):
        ended: deque[NodeState] = deque()
        one = c.Steer(
            node_id,
            execution_pb2.NODE_ACTION_RETRY,
            reason=command.reason,
            request_id="" if retried else command.request_id,
            actor=command.actor,
        )
        try:
            scope, planned = _find(step, node_id)
            _retry(step, one, scope.nodes.get(planned.index), ended)
        except (NodeMissing, NodeUnfit):
            continue
        retried = True
        advance(step, ended)
    if not retried:
        raise NodeUnfit("the execution has no failed node that can be retried")


def _retry(step: Step, command: c.Steer, node: NodeState | None, ended: deque[NodeState]) -> None:
    state = step.state
    if node is None or (node.status != s.FAILED and node.id not in state.on_hold):
        raise NodeUnfit(f"{_status_text(command.node, node)}; only a failed node can be retried")
    planned = node.planned
    below = f"{node.id}["
    if planned.body is not None and any(each.id.startswith(below) for each in state.undo):
        raise NodeUnfit(f"{node.id} contains completed work with compensation; rerun it instead")
    _record(step, command, _skipped_successors(node) if node.status == s.FAILED else [])
    if planned.body is not None:
        begin_body(step, step.scheduled(node.scope, planned), ended)
    elif planned.is_task:
        step.schedule(node.scope, planned)
    elif planned.waits:
        children.begin(step, step.scheduled(node.scope, planned), ended)
    elif planned.undoes is not None:
        own_nodes.begin(step, node.scope, planned, ended)
    else:
        begin(step, node.scope, planned, ended)


def _skip(
    step: Step, command: c.Steer, scope: Scope, planned: PlanNode, ended: deque[NodeState]
) -> None:
    _record_outcome(step, command, scope, planned)
    by_hand = history.SKIP_REASON_BY_HAND
    step.emit("task_skipped", history.TaskSkipped(node=command.node, reason=by_hand))
    ended.append(scope.nodes[planned.index])


def _complete(
    step: Step, command: c.Steer, scope: Scope, planned: PlanNode, ended: deque[NodeState]
) -> None:
    _record_outcome(step, command, scope, planned)
    complete(step, scope.node(planned), command.output or NULL)
    ended.append(scope.nodes[planned.index])


def _override(step: Step, command: c.Steer, node: NodeState | None) -> None:
    if node is None or node.status != s.COMPLETED:
        raise NodeUnfit(f"{_status_text(command.node, node)}; only a completed node has an output")
    begun = next((each for each in _begun_successors(node) if each.status != s.SKIPPED), None)
    if begun is not None:
        message = f"{begun.id} {_WORDS[begun.status]} with the output of {node.id}"
        raise NodeUnfit(f"{message}; rerun from {node.id} instead")
    _record(step, command, output=command.output or NULL)


def _continue(step: Step, command: c.Steer, ended: deque[NodeState]) -> None:
    place = step.state.stopped.get(command.node)
    if place is None:
        raise NodeUnfit(f"{command.node} has not stopped at a breakpoint")
    _record(step, command)
    begin(step, *place, ended)


def _fail(step: Step, command: c.Steer, node: NodeState | None, ended: deque[NodeState]) -> None:
    if node is None or node.id not in step.state.on_hold:
        raise NodeUnfit(f"{_status_text(command.node, node)}; only a held node can be failed")
    failure = node.failure or failure_of("Cancelled", command.reason)
    _record(step, command)
    fail_node(step, node, failure)
    ended.append(node)


def _record_outcome(step: Step, command: c.Steer, scope: Scope, planned: PlanNode) -> None:
    """Record the outcome that a caller sets for a node, and stop its attempt."""
    node = _changeable(command.node, scope, planned)
    _record(step, command, _skipped_successors(node) if node and node.status == s.FAILED else [])
    if node is not None:
        _stop_attempt(step, node)


def _changeable(node_id: str, scope: Scope, planned: PlanNode) -> NodeState | None:
    """Return a node whose outcome can still change; None if it has not begun."""
    node: NodeState | None = scope.nodes.get(planned.index)
    if node is not None and node.status not in (s.PENDING, s.RUNNING, s.FAILED):
        raise NodeUnfit(f"{_status_text(node_id, node)}; its outcome is final")
    if not scope.waiting and node is None:
        raise NodeUnfit(f"{_status_text(node_id, node)}; its graph has ended")
    return node


def _stop_attempt(step: Step, node: NodeState) -> None:
    """Stop the worker, the child or the body that runs a node."""
    if node.status != s.RUNNING:
        return
    cancel_below(step, node)
    if node.id in step.state.at_workers:
        step.out.cancel.append((node.id, node.attempt))
    elif node.planned.waits:
        messages.stop(step, node, f"the outcome of {node.id} was set by hand")


def _skipped_successors(node: NodeState) -> list[NodeState]:
    """Return the nodes skipped because of a node. Raises NodeUnfit if another successor began."""
    successors = _begun_successors(node)
    begun = next((each for each in successors if each.status != s.SKIPPED or each.by_hand), None)
    if begun is not None:
        raise NodeUnfit(f"{begun.id}, which depends on {node.id}, {_WORDS[begun.status]}")
    return successors


def _status_text(node_id: str, node: NodeState | None) -> str:
    return f"{node_id} {_WORDS[node.status if node is not None else s.PENDING]}"


def _failed(state: State) -> list[str]:
    """Return the ids of failed and held nodes in open graphs."""
    found: list[str] = []
    ahead = [state.scope]
    while ahead:
        for node in ahead.pop().nodes.values():
            if node.status == s.FAILED or node.id in state.on_hold:
                found.append(node.id)
            ahead.extend(node.scopes.values())
    return found


def _begun_successors(node: NodeState) -> list[NodeState]:
    """Return the begun and ended nodes among the direct and indirect successors."""
    scope, found = node.scope, []
    seen: set[int] = set()
    ahead = list(node.planned.successors)
    while ahead:
        planned = ahead.pop()
        if planned.index in seen:
            continue
        seen.add(planned.index)
        ahead.extend(planned.successors)
        successor = scope.nodes.get(planned.index)
        if successor is not None:
            found.append(successor)
    return found
