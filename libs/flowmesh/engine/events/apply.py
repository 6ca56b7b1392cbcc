"""The change of the state by each event, live and in a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import erasure, search_attributes, variables
from flowmesh.engine.children import events as children
from flowmesh.engine.events import start_events
from flowmesh.engine.events import steering_events as steered
from flowmesh.engine.events.ends import close_scope, end_node, fails_its_graph, own, remember
from flowmesh.engine.state import journal, pages
from flowmesh.engine.state import state as s
from flowmesh.engine.state.compensation import add_for_undo, remove_undone
from flowmesh.engine.state.scopes import keep_scopes_for_undo
from flowmesh.engine.state.state import NodeState, Scope, State
from flowmesh.plan import Plan, PlanNode

# Bound once: an attribute lookup on a message searches its fields first.
_which = history.HistoryEvent.WhichOneof


def apply(state: State, event: history.HistoryEvent) -> None:
    """Advance the state by the next event in sequence. Raises ValueError for another one."""
    kind, sequence = _which(event, "event"), event.sequence
    if sequence != state.sequence + 1 or kind is None:
        raise ValueError(f"{state.execution_id}: event {sequence} after {state.sequence}")
    state.sequence = sequence
    # The most frequent events are called directly, without a lookup by name.
    if kind == "task_scheduled":
        _task_scheduled(state, event.task_scheduled, event.at_us)
    elif kind == "task_started":
        _task_started(state, event.task_started, event.at_us)
    elif kind == "task_completed":
        _task_completed(state, event.task_completed, event.at_us)
    else:
        APPLY[kind](state, getattr(event, kind), event.at_us)


def replay(execution_id: str, plan: Plan, events: Iterable[history.HistoryEvent]) -> State:
    """Return the state after a history."""
    state = State(execution_id, plan)
    for event in events:
        apply(state, event)
    restore_held(state)
    return state


def restore_held(state: State) -> None:
    """Restore held nodes and open requests, which no event records."""
    if state.ended or state.compensating or state.hold is not None:
        return
    hold_back(state, ready=bool(state.plan.parallelism) or state.paused)


def hold_back(state: State, *, ready: bool) -> None:
    """Hold nodes and bodies that could begin or continue; nodes only if `ready`."""
    for scope in tuple(state.all_scopes()):
        if scope.owner is not None and scope.owner.status != s.RUNNING:
            continue  # kept for compensation
        for planned in _unbegun(scope) if ready else ():
            key = scope.prefix + planned.id
            if key not in state.stopped:
                state.held.add(scope, planned)
        for node in scope.nodes.values():
            if node.status == s.RUNNING and node.planned.body is not None:
                _restore_body(state, node)
            elif node.planned.waits and node.status == s.RUNNING and node.id not in state.on_hold:
                children.restore(state, node)


def _unbegun(scope: Scope) -> list[PlanNode]:
    """Return the nodes of a graph that are ready to begin."""
    machine = scope.owner.machine if scope.owner is not None else None
    if machine is None:
        nodes = scope.graph.nodes if scope.waiting else []
        return [each for each in nodes if each.index not in scope.nodes and scope.startable(each)]
    if scope.nodes or machine.next is None:
        return []
    return [scope.graph.nodes[machine.next]]


def _restore_body(state: State, node: NodeState) -> None:
    more = _has_more(node)
    if state.full and more:
        state.held.add(node.scope, node.planned)
    elif more or not node.scopes:
        state.set_timer(node.id, node.scheduled_at_us + s.ASK_AGAIN_US)


def _has_more(node: NodeState) -> bool:
    """Return whether a further item of a map, or the next node of a machine, could begin."""
    of, machine = node.map, node.machine
    if of is not None:
        room = of.failure is None and pages.has_room(node)
        return room and of.begun < of.total
    return machine is not None and not machine.scopes and machine.next is not None


def _workflow_started(state: State, event: history.WorkflowStarted, at_us: int) -> None:
    state.status = s.EXECUTION_RUNNING
    state.started_at_us = at_us
    state.input = own(event.input)
    state.request_id = event.request_id
    state.actor = event.actor
    if event.permissions:
        state.permissions = tuple(event.permissions)
    state.traceparent = event.traceparent
    state.link = event.link if event.HasField("link") else None
    if event.HasField("origin"):
        state.origin = event.origin
    if event.search:
        state.search = search_attributes.search_values(event.search)


def _finish(state: State, status: s.ExecutionStatus, at_us: int) -> None:
    state.status = status
    state.ended_at_us = at_us
    state.hold = None
    state.timers.clear()
    state.held.clear()
    state.stopped.clear()
    keep_scopes_for_undo(state)


def _workflow_completed(state: State, event: history.WorkflowCompleted, at_us: int) -> None:
    _finish(state, s.EXECUTION_COMPLETED, at_us)
    if event.HasField("output"):
        state.output = event.output


def _workflow_failed(state: State, event: history.WorkflowFailed, at_us: int) -> None:
    _finish(state, s.EXECUTION_FAILED, at_us)
    state.failure = event.failure


def _workflow_canceled(state: State, event: history.WorkflowCanceled, at_us: int) -> None:
    _finish(state, s.EXECUTION_CANCELED, at_us)
    remember(state, event.request_id)


def _workflow_terminated(state: State, event: history.WorkflowTerminated, at_us: int) -> None:
    _finish(state, s.EXECUTION_TERMINATED, at_us)
    remember(state, event.request_id)


def _workflow_paused(state: State, event: history.WorkflowPaused, _at_us: int) -> None:
    state.status = s.EXECUTION_PAUSED
    remember(state, event.request_id)


def _workflow_resumed(state: State, event: history.WorkflowResumed, _at_us: int) -> None:
    state.status = s.EXECUTION_RUNNING if state.hold is None else s.EXECUTION_PENDING
    remember(state, event.request_id)


def _task_scheduled(state: State, event: history.TaskScheduled, at_us: int) -> None:
    task_scheduled(state, event.node, event.attempt, at_us)


def task_scheduled(state: State, node_id: str, attempt: int, at_us: int) -> None:
    """Queue an attempt of a node."""
    node = state.reach(node_id)
    is_task = node.planned.is_task
    if node.status == s.PENDING:
        node.status = s.RUNNING
        node.begun_at_us = node.begun_at_us or at_us
        state.running_count += is_task
    elif state.on_hold.pop(node.id, None) is not None:
        state.running_count += is_task
    if is_task:
        state.send(node)
    elif node.planned.signal and not node.planned.waits:
        state.await_signal(node)
    node.begin_attempt(attempt)
    node.delivery = 0
    node.scheduled_at_us = at_us
    if state.plan.variables and node.journal is None:
        # A resumed handler keeps the variables of its first attempt.
        node.variables = len(state.variables)
    node.worker_id = ""
    to_begin = node.planned.start_timeout_us
    if to_begin or node.due_at_us or node.planned.total_timeout_us:
        state.set_due(node, at_us + to_begin if to_begin else 0)
    if node.planned.waits:
        children.apply_scheduled(state, node, at_us)
    if node.journal is not None:
        journal.resumed(state, node, node.journal)


def _task_started(state: State, event: history.TaskStarted, at_us: int) -> None:
    by, began_at_us = event.worker_id, event.started_at_us
    task_started(state, event.node, event.delivery, by, began_at_us, at_us)


def task_started(
    state: State,
    node_id: str,
    delivery: int,
    worker_id: str,
    started_at_us: int,
    at_us: int,
) -> None:
    """Record the start of an attempt at `started_at_us`, or now if that is 0."""
    node = state.reach(node_id)
    node.delivery = delivery
    node.worker_id = worker_id
    if node.planned.start_timeout_us and node.journal is None:
        state.set_due(node, 0)
    node.started_at_us = node.started_at_us or started_at_us or at_us


def _task_completed(state: State, event: history.TaskCompleted, at_us: int) -> None:
    output = own(event.output)
    task_completed(state, event.node, output, event.metadata, event.timed_out, at_us)


def task_completed(
    state: State,
    node_id: str,
    output: payload_pb2.Payload,
    metadata: bytes,
    timed_out: bool,
    at_us: int,
) -> None:
    """Complete a node. `output` must not be changed by the caller later."""
    node = end_node(state, node_id, s.COMPLETED, at_us)
    node.output = output
    node.metadata = metadata
    node.failure = None
    if node.map is not None:
        node.map.outputs.clear()
    if node.planned.signal and not (node.by_hand or timed_out):
        name = node.awaited
        state.signals_taken[name] = state.signals_taken.get(name, 0) + 1
    if node.planned.undo is not None:
        add_for_undo(state, node)
    elif node.planned.undoes is not None:
        remove_undone(state, node)
    close_scope(state, node.scope)


def _task_failed(state: State, event: history.TaskFailed, at_us: int) -> None:
    node = end_node(state, event.node, s.FAILED, at_us)
    node.failure = event.failure
    if event.HasField("output"):
        node.output = event.output
    if node.scope.failed is None and fails_its_graph(node):
        node.scope.failed = node
    close_scope(state, node.scope)


def _task_held(state: State, event: history.TaskHeld, _at_us: int) -> None:
    node = state.reach(event.node)
    node.failure = event.failure
    node.worker_id = ""
    node.due_at_us = 0
    state.clear_timer(node.id)
    state.bring_back(node)
    state.running_count -= node.planned.is_task
    if node.planned.waits:
        children.apply_ended(state, node)
    state.asking.pop(node.id, None)
    state.on_hold[node.id] = node


def _task_retrying(state: State, event: history.TaskRetrying, _at_us: int) -> None:
    node = state.reach(event.node)
    node.failure = event.failure
    node.worker_id = ""
    state.set_due(node, event.retry_at_us)
    state.bring_back(node)


def _task_skipped(state: State, event: history.TaskSkipped, at_us: int) -> None:
    node = end_node(state, event.node, s.SKIPPED, at_us)
    node.because_of = event.because_of
    node.by_hand = event.reason == history.SKIP_REASON_BY_HAND
    state.held.discard(node.id)
    state.stopped.pop(node.id, None)
    if node.planned.undoes is not None:
        remove_undone(state, node)
    close_scope(state, node.scope)


def _task_canceled(state: State, event: history.TaskCanceled, at_us: int) -> None:
    end_node(state, event.node, s.CANCELED, at_us)


def _map_started(state: State, event: history.MapStarted, at_us: int) -> None:
    node = state.reach(event.node)
    node.map = s.MapState(event.count, node.tried)
    if node.planned.pages_max or node.planned.next_path:
        pages.begun(node, event.count)
    node.started_at_us = at_us
    state.clear_timer(node.id)


def _states_started(state: State, event: history.StatesStarted, at_us: int) -> None:
    node = state.reach(event.node)
    node.machine = s.MachineState(own(event.value), node.planned.start, node.tried)
    node.started_at_us = at_us
    state.clear_timer(node.id)


def _timer_started(state: State, event: history.TimerStarted, at_us: int) -> None:
    node = state.reach(event.node)
    node.status = s.RUNNING
    node.attempt = node.scope.next_attempt(node.planned)
    node.scheduled_at_us = node.started_at_us = at_us
    if state.plan.variables:
        node.variables = len(state.variables)
    node.due_at_us = event.fire_at_us
    state.set_timer(node.id, event.fire_at_us)


def _timer_fired(state: State, event: history.TimerFired, _at_us: int) -> None:
    node = state.reach(event.node)
    node.due_at_us = 0
    state.clear_timer(node.id)


def _signal_received(state: State, event: history.SignalReceived, at_us: int) -> None:
    state.signals.append(
        execution_pb2.Signal(name=event.name, payload=event.payload, received_at_us=at_us)
    )
    state.signals_bytes += len(event.payload.data)
    remember(state, event.request_id)


def _compensation_started(state: State, event: history.CompensationStarted, _at_us: int) -> None:
    state.status = s.EXECUTION_COMPENSATING
    state.closing = event
    state.held.clear()
    state.stopped.clear()
    remember(state, event.request_id)


def _approval_requested(state: State, event: history.ApprovalRequested, _at_us: int) -> None:
    node = state.reach(event.node)
    node.approval = execution_pb2.Approval(
        assignees=event.assignees,
        needed=event.needed,
        due_at_us=event.due_at_us,
        details=event.details,
    )
    state.asking[node.id] = node
    if event.due_at_us:
        state.set_due(node, event.due_at_us)


def _approval_decided(state: State, event: history.ApprovalDecided, at_us: int) -> None:
    asked = state.reach(event.node).approval
    assert asked is not None
    asked.decisions.add(
        by=event.by,
        approved=event.approved,
        comment=event.comment,
        form=event.form if event.HasField("form") else None,
        at_us=at_us,
    )
    remember(state, event.request_id)


def _approval_escalated(state: State, event: history.ApprovalEscalated, _at_us: int) -> None:
    node = state.reach(event.node)
    asked = node.approval
    assert asked is not None
    asked.assignees.extend(name for name in event.assignees if name not in asked.assignees)
    asked.escalated, asked.due_at_us = True, event.due_at_us
    state.set_due(node, event.due_at_us)


def _result_reused(state: State, event: history.ResultReused, at_us: int) -> None:
    status = s.FAILED if event.HasField("failure") else s.COMPLETED
    node = end_node(state, event.node, status, at_us)
    node.output = own(event.output) if event.HasField("output") else None
    node.metadata = event.metadata
    if event.HasField("failure"):
        node.failure = event.failure
    elif node.planned.undo is not None:
        add_for_undo(state, node)


def _search_attributes_set(state: State, event: history.SearchAttributesSet, _at_us: int) -> None:
    search_attributes.apply_set(state, event)
    remember(state, event.request_id)


def _payloads_erased(state: State, event: history.PayloadsErased, at_us: int) -> None:
    erasure.apply_erased(state, event, at_us)
    remember(state, event.request_id)


def _variable_set(state: State, event: history.VariableSet, _at_us: int) -> None:
    variables.apply_set(state, event)
    remember(state, event.request_id)


APPLY: dict[str, Callable[[State, Any, int], None]] = {
    "workflow_started": _workflow_started,
    "workflow_completed": _workflow_completed,
    "workflow_failed": _workflow_failed,
    "workflow_canceled": _workflow_canceled,
    "workflow_terminated": _workflow_terminated,
    "workflow_paused": _workflow_paused,
    "workflow_resumed": _workflow_resumed,
    "task_scheduled": _task_scheduled,
    "task_started": _task_started,
    "task_completed": _task_completed,
    "task_failed": _task_failed,
    "task_retrying": _task_retrying,
    "task_skipped": _task_skipped,
    "task_canceled": _task_canceled,
    "map_started": _map_started,
    "page_turned": pages.page_turned,
    "states_started": _states_started,
    "timer_started": _timer_started,
    "timer_fired": _timer_fired,
    "signal_received": _signal_received,
    "workflow_continued": lambda state, _, at: _finish(state, s.EXECUTION_CONTINUED, at),
    **children.APPLY,
    "node_steered": steered.apply_steered,
    "task_held": _task_held,
    "breakpoints_set": steered.apply_breakpoints_set,
    "breakpoint_reached": steered.apply_breakpoint_reached,
    "compensation_started": _compensation_started,
    "result_reused": _result_reused,
    "approval_requested": _approval_requested,
    "approval_decided": _approval_decided,
    "approval_escalated": _approval_escalated,
    "search_attributes_set": _search_attributes_set,
    "payloads_erased": _payloads_erased,
    "journal_appended": journal.journal_appended,
    "task_suspended": journal.task_suspended,
    "variable_set": _variable_set,
    **start_events.APPLY,
}
