"""Progress of an execution: begins the nodes whose dependencies have ended."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import commands as c
from flowmesh.engine.decisions import approval_requests, own_nodes
from flowmesh.engine.decisions.ending import compensate, fail_by, finish
from flowmesh.engine.decisions.outcomes import (
    cancel_below,
    cancel_open_nodes,
    complete,
    fail_node,
)
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.decisions.values import NULL, failure_of
from flowmesh.engine.state import pages
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, Scope, State
from flowmesh.plan import (
    FetchNeeded,
    PlanNode,
    RenderError,
    render_input,
)

_ITEM = re.compile(r"\[\d+\]")

BEGUN_PER_STEP_MAX = 10_000
"""Nodes of items that one command begins; the map continues in a later command."""


def advance(step: Step, ended: deque[NodeState]) -> None:
    """Begin the nodes that became ready; end the execution after the last node."""
    state = step.state
    begin_successors(step, ended)
    # With priorities a slot is assigned after all ready nodes are known.
    while step.plan.prioritizes and has_slot(step):
        release(step, ended)
        begin_successors(step, ended)
    if state.compensating:
        compensate(step)
    elif state.stopping and not state.at_workers and not state.ended:
        cancel_open_nodes(step)
        assert state.scope.failed is not None
        fail_by(step, state.scope.failed)
    elif not state.scope.open_count:
        finish(step, c.Finish())


def begin_successors(step: Step, ended: deque[NodeState]) -> None:
    """Begin every node whose last open dependency is among the ended ones."""
    state = step.state
    while ended:
        node = ended.popleft()
        scope, owner = node.scope, node.scope.owner
        if state.compensating:
            if owner is not None and owner.journal is not None:
                iterate(step, owner, ended)
            continue
        doubtful = node.status == s.FAILED or state.scope.failed is not None
        if doubtful and end_if_fatal(step, node):
            ended.clear()
            break
        if owner is not None and (owner.status != s.RUNNING or end_group(step, node, ended)):
            continue
        for successor in node.planned.successors:
            if successor.index in scope.nodes or not scope.startable(successor):
                continue
            if not state.held or scope.prefix + successor.id not in state.held:
                begin(step, scope, successor, ended)
        if owner is not None and not scope.open_count:
            iterate(step, owner, ended)
        if state.held and not step.plan.prioritizes:
            release_all(step, ended)


def end_if_fatal(step: Step, node: NodeState) -> bool:
    """End the execution if the failure of a node is fatal. Return whether it ends."""
    state = step.state
    if state.stopping:
        return True
    if node.status != s.FAILED or state.ended:
        return state.ended
    undoes = node.planned.on_failure == plan_pb2.NODE_FAILURE_POLICY_COMPENSATE
    cancels = step.plan.on_failure == plan_pb2.FAILURE_POLICY_CANCEL
    if not undoes and not (cancels and state.scope.failed is node):
        return False
    cancel_open_nodes(step)
    fail_by(step, node)
    return True


def release_all(step: Step, ended: deque[NodeState]) -> None:
    """Begin held nodes up to the plan's parallelism."""
    while has_slot(step):
        release(step, ended)


def has_slot(step: Step) -> bool:
    """Return whether a held node may begin."""
    state = step.state
    return bool(state.held) and not state.full and not state.stopping


def release(step: Step, ended: deque[NodeState]) -> None:
    """Begin the next held node: by priority, then by waiting time."""
    scope, planned = step.state.held.take()
    step.chosen = scope.prefix + planned.id
    if planned.index in scope.nodes:
        iterate(step, scope.nodes[planned.index], ended)
    else:
        begin(step, scope, planned, ended)
    step.chosen = ""


def lacks_slot(step: Step, scope: Scope, planned: PlanNode) -> bool:
    """Return whether a ready task, or the next item of a container, has no slot."""
    if step.state.full:
        return True
    return step.plan.prioritizes and scope.prefix + planned.id != step.chosen


def choose_first(step: Step, scope: Scope, first: Sequence[PlanNode]) -> None:
    """Assign the slot of a container to the first node of highest priority in its body."""
    if step.plan.prioritizes:
        best = max(first, key=lambda planned: planned.first_priority)
        step.chosen = scope.prefix + best.id


def begin(step: Step, scope: Scope, planned: PlanNode, ended: deque[NodeState]) -> None:
    """Begin a ready node. Add it to `ended` if it ends at once."""
    state = step.state
    if state.status != s.EXECUTION_RUNNING:
        if state.paused:
            state.held.add(scope, planned)
        return
    skip = skip_reason(scope, planned)
    if skip is not None:
        step.emit("task_skipped", skip)
        ended.append(scope.nodes[planned.index])
    elif (state.stops_everywhere or state.breakpoints) and stop_at_breakpoint(step, scope, planned):
        return
    elif planned.is_task:
        if lacks_slot(step, scope, planned):
            state.held.add(scope, planned)
        else:
            step.schedule(scope, planned)
    elif planned.body is not None:
        begin_body(step, step.scheduled(scope, planned), ended)
    elif planned.approval is not None:
        node = step.scheduled(scope, planned)
        step.started(node)
        approval_requests.request(step, node, ended)
    else:
        own_nodes.begin(step, scope, planned, ended)


def stop_at_breakpoint(step: Step, scope: Scope, planned: PlanNode) -> bool:
    """Stop a ready node at its breakpoint, if any. Return whether it is stopped."""
    key = scope.prefix + planned.id
    if key in step.state.stopped:
        return True
    if not _has_breakpoint(step.state, key):
        return False
    step.emit("breakpoint_reached", history.BreakpointReached(node=key))
    return True


def _has_breakpoint(state: State, node_id: str) -> bool:
    if not (state.stops_everywhere or state.breakpoints) or node_id in state.passed:
        return False
    # A breakpoint names a node in a body by its place in the definition: `map/a`.
    return state.stops_everywhere or _ITEM.sub("", node_id) in state.breakpoints


def skip_reason(scope: Scope, planned: PlanNode) -> history.TaskSkipped | None:
    """Return the event that skips a ready node; None if it begins."""
    if planned.join != plan_pb2.JOIN_UNSPECIFIED and scope.joined(planned):
        return None
    because: NodeState | None = None
    for dependency in planned.dependencies:
        if scope.ended(dependency) and not scope.taken(dependency, planned):
            because = scope.nodes[dependency]
            break
    if because is None:
        return None
    if because.status == s.COMPLETED:
        reason = history.SKIP_REASON_CONDITION_FALSE
    elif because.status == s.FAILED:
        reason = history.SKIP_REASON_DEPENDENCY_FAILED
    else:
        reason = history.SKIP_REASON_DEPENDENCY_SKIPPED
    return history.TaskSkipped(node=scope.prefix + planned.id, reason=reason, because_of=because.id)


def begin_body(step: Step, node: NodeState, ended: deque[NodeState]) -> None:
    match node.planned.kind:
        case plan_pb2.NODE_KIND_MAP if not node.planned.pages_max:
            step.ask(node)
        case plan_pb2.NODE_KIND_MAP | plan_pb2.NODE_KIND_GROUP:
            step.emit("map_started", history.MapStarted(node=node.id, count=1))
            iterate(step, node, ended)
        case _:
            begin_machine(step, node, ended)


def begin_machine(step: Step, node: NodeState, ended: deque[NodeState]) -> None:
    try:
        value = render_input(step.state, node)
    except FetchNeeded:
        step.ask(node)
        return
    except RenderError as error:
        fail_node(step, node, failure_of("ValidationError", f"input of {node.id}: {error}"))
        ended.append(node)
        return
    if len(value.data) > INLINE_BYTES_MAX:
        step.ask(node)
    else:
        step.emit("states_started", history.StatesStarted(node=node.id, value=value))
        iterate(step, node, ended)


def end_group(step: Step, node: NodeState, ended: deque[NodeState]) -> bool:
    """End a race with its first completed leaf, or a group with its failed node."""
    owner, scope = node.scope.owner, node.scope
    if owner is None or not owner.is_group:
        return False
    if owner.planned.race:
        if node.status != s.COMPLETED or node.planned.successors:
            return False
        cancel_below(step, owner)
        complete(step, owner, node.output or NULL)
    elif scope.failed is node and scope.open_count:
        cancel_below(step, owner)
        failure = failure_pb2.Failure()
        failure.CopyFrom(node.failure or failure_pb2.Failure())
        failure.node = failure.node or node.id
        fail_node(step, owner, failure)
    else:
        return False
    ended.append(owner)
    return True


def ask_later(step: Step, owner: NodeState) -> None:
    """Continue a body in a later command; further calls in this command have no effect."""
    step.asked = owner
    step.ask(owner)


def iterate(step: Step, owner: NodeState, ended: deque[NodeState]) -> None:
    """Begin the next nodes of a body; end its owner after the last."""
    if owner.status != s.RUNNING or owner is step.asked or owner.id in step.state.on_hold:
        return
    if owner.machine is not None:
        iterate_machine(step, owner, owner.machine, ended)
    elif owner.map is not None:
        pager = owner if owner.planned.pages_max else pages.pager_of(owner)
        if pager is None:
            iterate_map(step, owner, owner.map, ended)
        else:
            iterate_pages(step, pager, ended)
    elif owner.journal is not None:
        resume_handler(step, owner, len(owner.journal.records) - 1)


def resume_handler(step: Step, node: NodeState, known: int) -> None:
    """Send a handler its journal records after the first `known`, or dispatch it again."""
    state = step.state
    if node.id in state.at_workers:
        step.out.update_handler(node, known)
    elif node.id in state.on_hold or state.stopping:
        return
    elif node.journal is not None and node.journal.suspended:
        step.schedule(node.scope, node.planned)


def iterate_machine(
    step: Step, owner: NodeState, machine: s.MachineState, ended: deque[NodeState]
) -> None:
    """Begin the next node of a state machine, or end it with its value."""
    state = step.state
    if machine.scopes:
        return
    failure = machine.failure or (machine.deferred if machine.next is None else None)
    if failure is not None:
        fail_node(step, owner, failure)
        ended.append(owner)
    elif machine.next is None:
        complete(step, owner, machine.value)
        ended.append(owner)
    elif owner.planned.steps_max and machine.begun >= owner.planned.steps_max:
        message = f"{owner.id} has run {machine.begun:,} nodes, the limit"
        fail_node(step, owner, failure_of("ResourceLimit", message))
        ended.append(owner)
    elif lacks_slot(step, owner.scope, owner.planned):
        state.held.add(owner.scope, owner.planned)
    elif step.begun >= BEGUN_PER_STEP_MAX:
        ask_later(step, owner)
    else:
        step.begun += 1
        scope = state.open_scope(owner)
        first = scope.graph.nodes[machine.next]
        choose_first(step, scope, (first,))
        begin(step, scope, first, ended)


def iterate_pages(step: Step, pager: NodeState, ended: deque[NodeState]) -> None:
    """Begin items of the pages in progress, the earliest first, and the next page."""
    for one in (*pages.in_progress(pager), pager):
        if one.map is not None and one.status == s.RUNNING and one is not step.asked:
            iterate_map(step, one, one.map, ended)


def iterate_map(step: Step, owner: NodeState, of: s.MapState, ended: deque[NodeState]) -> None:
    """Begin items of a map up to its parallelism; end it after the last."""
    state = step.state
    failure = of.failure
    if failure is None and owner.planned.next_path:
        failure = pages.failure_around(owner)
    while failure is None and of.begun < of.total:
        if not pages.has_room(owner):
            return
        if lacks_slot(step, owner.scope, owner.planned):
            state.held.add(owner.scope, owner.planned)
            return
        if step.begun >= BEGUN_PER_STEP_MAX:
            ask_later(step, owner)
            return
        scope = state.open_scope(owner)
        step.begun += len(scope.graph.nodes)
        choose_first(step, scope, scope.graph.roots)
        for planned in scope.graph.roots:
            begin(step, scope, planned, ended)
    if of.scopes:
        return
    if failure is not None:
        fail_node(step, owner, failure)
        ended.append(owner)
        return
    if owner.planned.single:
        only = of.outputs[0]
        complete(step, owner, payload_pb2.Payload(data=only) if isinstance(only, bytes) else only)
        ended.append(owner)
        return
    if owner.planned.counted:
        count = of.starts[-1] if of.starts else of.total
        complete(step, owner, payload_pb2.Payload(data=pages.counted(count, of.failed)))
        ended.append(owner)
        return
    outputs = [each for each in of.outputs if isinstance(each, bytes)]
    if len(outputs) < len(of.outputs) or sum(map(len, outputs)) + len(outputs) > INLINE_BYTES_MAX:
        ask_later(step, owner)
        return
    complete(step, owner, payload_pb2.Payload(data=pages.map_output(owner.planned, outputs)))
    ended.append(owner)


def begin_roots(step: Step) -> None:
    """Begin the nodes without dependencies, or with reused results as their only ones."""
    scope = step.state.scope
    ended = deque(scope.nodes.values())
    for planned in step.plan.roots:
        if planned.index not in scope.nodes:
            begin(step, scope, planned, ended)
    advance(step, ended)
