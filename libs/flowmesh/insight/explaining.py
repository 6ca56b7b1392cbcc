"""Explanation of a waiting execution: applies the rules to its innermost open nodes."""

from collections.abc import Iterator

from flowmesh.engine import NodeState, Scope, State
from flowmesh.engine.state.state import FAILED, PENDING, RUNNING
from flowmesh.insight.cases import Case
from flowmesh.insight.causes import Cause, Explanation, finding
from flowmesh.insight.parts import execution_word, moment, moment_or_unset, node_word
from flowmesh.insight.rules import (
    EXECUTION_RULES,
    NODE_RULES,
    at_breakpoint,
    dependencies,
    goes_round,
    limited,
    node_ended,
    not_permitted,
    not_undone,
)
from flowmesh.insight.waits import owner_of, prefix_of
from flowmesh.plan import PlanNode


class NoSuchNode(Exception):
    """The workflow has no such node."""


def explain(case: Case, node_id: str = "") -> Explanation:
    """Explain the execution, or one node of it. Raises NoSuchNode."""
    if node_id:
        _explain_node(case, node_id)
    else:
        _explain_execution(case)
    state = case.state
    first = state.next_timer() if not (state.paused or state.ended or state.stopping) else None
    next_us = first[0] if first is not None else 0
    if state.hold is not None and not state.paused:
        next_us = state.hold.until_us
    return Explanation(
        execution_id=state.execution_id,
        workflow=state.plan.workflow_id,
        version=state.plan.version,
        status=execution_word(state.status),
        at=moment(case.now_us),
        findings=case.found,
        counts=case.counts,
        next_at=moment_or_unset(next_us),
        ends_by=moment_or_unset(state.limit_at_us),
        truncated=sum(case.counts.values()) > len(case.found),
    )


def _explain_execution(case: Case) -> None:
    for rule in EXECUTION_RULES:
        case.add(rule(case))
    state = case.state
    for scope in state.all_scopes():
        for failed in scope.nodes.values():
            if not case.add(not_permitted(failed)) and state.ended and failed.status == FAILED:
                case.add(node_ended(case, failed))
    if case.state.ended:
        return
    for node in _innermost(case.state):
        _explain_open(case, node)
    for node_id in case.state.stopped:
        case.add(at_breakpoint(case, node_id))
    for undone in case.state.undo:
        case.add(not_undone(case, undone))
    for scope, planned in case.state.held.values():
        if planned.index not in scope.nodes and not case.state.paused:
            case.add(limited(case, scope.prefix + planned.id))
    if not case.counts:
        case.add(iter([finding(Cause.NOTHING_OPEN)]))


def _innermost(state: State) -> Iterator[NodeState]:
    """Yield the running nodes without a graph in progress below them."""
    for scope in state.all_scopes():
        for node in scope.nodes.values():
            if node.status == RUNNING and (not node.scopes or goes_round(node)):
                yield node


def _explain_open(case: Case, node: NodeState) -> None:
    for rule in NODE_RULES:
        if case.add(rule(case, node)):
            return
    if not case.state.paused and case.live is not None:
        status, execution = node_word(node.status), case.state.execution_id
        case.add(iter([finding(Cause.OTHER, node.id, status=status, execution=execution)]))


def _explain_node(case: Case, node_id: str) -> None:
    state, prefix = case.state, prefix_of(node_id)
    try:
        planned = state.plan.at(node_id)
    except (KeyError, AssertionError):
        raise NoSuchNode(node_id) from None
    stands = state.ended or state.paused or state.stopping or state.compensating
    if stands or state.hold is not None or case.live is None:
        for rule in EXECUTION_RULES:
            case.add(rule(case))
    scope = state.scope if not prefix else state.scopes.get(prefix)
    node = scope.nodes.get(planned.index) if scope is not None else None
    if node is not None and node.status > RUNNING:
        case.add(node_ended(case, node))
        case.add(not_permitted(node))
    elif node is not None and node.status == RUNNING:
        _explain_begun(case, node)
    elif scope is None:
        _explain_unreached(case, node_id)
    elif not state.ended:
        _explain_pending(case, scope, planned)


def _explain_begun(case: Case, node: NodeState) -> None:
    """Explain a running node, and the running nodes in its body."""
    _explain_open(case, node)
    for scope in node.scopes.values():
        for inner in scope.nodes.values():
            if inner.status == RUNNING:
                _explain_begun(case, inner)


def _explain_unreached(case: Case, node_id: str) -> None:
    """Explain a node of an item that has not begun, or has ended and left the state."""
    prefix = prefix_of(node_id)
    owner = owner_of(prefix)
    around = case.state.node(owner)
    if around is not None and (around.status > RUNNING or _begun(around) > _item_of(prefix)):
        ended = f"with its item of {owner}"
        case.add(
            iter(
                [
                    finding(
                        Cause.NODE_ENDED,
                        node_id,
                        status=ended,
                        again="",
                        because="",
                        helps="no action is needed",
                    )
                ]
            )
        )
        return
    case.add(iter([finding(Cause.NOT_REACHED, node_id, because_of=[owner], owner=owner)]))
    if not case.state.ended:
        _explain_node(case, owner)


def _begun(owner: NodeState) -> int:
    """Return the number of begun items of a container."""
    inner = owner.map or owner.machine
    return inner.begun if inner is not None else 0


def _item_of(prefix: str) -> int:
    return int(prefix[prefix.rindex("[") + 1 : -2])


def _explain_pending(case: Case, scope: Scope, planned: PlanNode) -> None:
    """Explain a node that has not begun, and the nodes that it waits for."""
    seen: set[int] = set()
    waiting = [planned]
    while waiting:
        each = waiting.pop()
        if each.index in seen:
            continue
        seen.add(each.index)
        node = scope.nodes.get(each.index)
        if node is not None and node.status != PENDING:
            _explain_begun(case, node)
            continue
        node_id = scope.prefix + each.id
        if each.undoes is not None:
            task = scope.prefix + each.undoes.id
            case.add(iter([finding(Cause.UNDO, node_id, because_of=[task], task=task)]))
            continue
        if node_id in case.state.stopped:
            case.add(at_breakpoint(case, node_id))
            continue
        if node_id in case.state.held:
            if not case.state.paused:
                case.add(limited(case, node_id))
            continue
        before = [scope.graph.nodes[i] for i in each.dependencies if not scope.ended(i)]
        if before:
            case.add(dependencies(scope, each, before))
        waiting.extend(reversed(before))
