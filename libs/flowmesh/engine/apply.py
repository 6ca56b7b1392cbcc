"""How each event changes the state. The same code runs live and when a history is replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import state as s
from flowmesh.engine.state import NodeState, State
from flowmesh.plan import Plan


def apply(state: State, event: history.HistoryEvent) -> None:
    """Advances the state by one event, which must be the next in sequence."""
    kind = event.WhichOneof("event")
    if event.sequence != state.sequence + 1 or kind is None:
        raise ValueError(f"{state.execution_id}: event {event.sequence} after {state.sequence}")
    state.sequence = event.sequence
    APPLY[kind](state, getattr(event, kind), event.at_us)


def replay(execution_id: str, plan: Plan, events: Iterable[history.HistoryEvent]) -> State:
    """The state that a history adds up to."""
    state = State(execution_id, plan)
    for event in events:
        apply(state, event)
    restore_held(state)
    return state


def restore_held(state: State) -> None:
    """Finds the nodes that wait because of the plan's parallelism; history does not name them."""
    scope = state.scope
    if state.plan.parallelism and not state.ended:
        ready = (i for i, count in enumerate(scope.waiting) if not count and i not in scope.nodes)
        scope.held.update(dict.fromkeys(ready))


def _own(payload: payload_pb2.Payload) -> payload_pb2.Payload:
    """A copy that does not keep the whole batch it came in alive."""
    copy = payload_pb2.Payload()
    copy.CopyFrom(payload)
    return copy


def _begin(state: State, node_id: str) -> NodeState:
    index = state.plan.index[node_id]
    node = state.scope.nodes.get(index)
    if node is None:
        node = state.scope.nodes[index] = NodeState()
    return node


def _end(state: State, node_id: str, status: s.NodeStatus, at_us: int) -> NodeState:
    """Closes a node and tells its successors, whatever the outcome."""
    index = state.plan.index[node_id]
    scope = state.scope
    node = scope.nodes.get(index)
    if node is None:
        node = scope.nodes[index] = NodeState()
    elif node.status == s.RUNNING:
        scope.running_count -= state.plan.nodes[index].is_task
        scope.bring_back(state.plan.nodes[index])
    node.status = status
    node.ended_at_us = at_us
    if node.due_at_us:
        node.due_at_us = 0
        state.timers.pop(index, None)
    scope.open_count -= 1
    waiting = scope.waiting
    for successor in state.plan.nodes[index].successors:
        waiting[successor] -= 1
    return node


def _remember(state: State, request_id: str) -> None:
    if not request_id:
        return
    state.requests[request_id] = state.sequence
    if len(state.requests) > s.REQUEST_IDS_MAX:
        del state.requests[next(iter(state.requests))]


def _workflow_started(state: State, event: history.WorkflowStarted, at_us: int) -> None:
    state.status = s.EXECUTION_RUNNING
    state.started_at_us = at_us
    state.input = _own(event.input)
    state.request_id = event.request_id
    state.traceparent = event.traceparent


def _finish(state: State, status: s.ExecutionStatus, at_us: int) -> None:
    state.status = status
    state.ended_at_us = at_us
    state.timers.clear()
    state.scope.held.clear()


def _workflow_completed(state: State, event: history.WorkflowCompleted, at_us: int) -> None:
    _finish(state, s.EXECUTION_COMPLETED, at_us)
    if event.HasField("output"):
        state.output = event.output


def _workflow_failed(state: State, event: history.WorkflowFailed, at_us: int) -> None:
    _finish(state, s.EXECUTION_FAILED, at_us)
    state.failure = event.failure


def _workflow_canceled(state: State, event: history.WorkflowCanceled, at_us: int) -> None:
    _finish(state, s.EXECUTION_CANCELED, at_us)
    _remember(state, event.request_id)


def _workflow_terminated(state: State, event: history.WorkflowTerminated, at_us: int) -> None:
    _finish(state, s.EXECUTION_TERMINATED, at_us)
    _remember(state, event.request_id)


def _task_scheduled(state: State, event: history.TaskScheduled, at_us: int) -> None:
    node = _begin(state, event.node)
    index = state.plan.index[event.node]
    planned = state.plan.nodes[index]
    if node.status == s.PENDING:
        node.status = s.RUNNING
        state.scope.running_count += planned.is_task
    if planned.is_task:
        state.scope.send(planned)
    node.attempt = event.attempt
    node.delivery = 0
    node.scheduled_at_us = at_us
    node.worker_id = ""
    if node.due_at_us:
        node.due_at_us = 0
        state.timers.pop(index, None)


def _task_started(state: State, event: history.TaskStarted, at_us: int) -> None:
    node = _begin(state, event.node)
    node.delivery = event.delivery
    node.worker_id = event.worker_id
    if event.attempt == 1 and event.delivery <= 1:
        node.started_at_us = event.started_at_us or at_us


def _task_completed(state: State, event: history.TaskCompleted, at_us: int) -> None:
    node = _end(state, event.node, s.COMPLETED, at_us)
    node.output = _own(event.output)
    node.metadata = event.metadata
    node.failure = None


def _task_failed(state: State, event: history.TaskFailed, at_us: int) -> None:
    node = _end(state, event.node, s.FAILED, at_us)
    node.failure = event.failure
    index = state.plan.index[event.node]
    if state.failed_node < 0 and state.plan.nodes[index].critical:
        state.failed_node = index


def _task_retrying(state: State, event: history.TaskRetrying, _at_us: int) -> None:
    node = _begin(state, event.node)
    node.failure = event.failure
    node.worker_id = ""
    node.due_at_us = event.retry_at_us
    index = state.plan.index[event.node]
    state.timers[index] = event.retry_at_us
    state.scope.bring_back(state.plan.nodes[index])


def _task_skipped(state: State, event: history.TaskSkipped, at_us: int) -> None:
    node = _end(state, event.node, s.SKIPPED, at_us)
    node.because_of = event.because_of


def _task_canceled(state: State, event: history.TaskCanceled, at_us: int) -> None:
    _end(state, event.node, s.CANCELED, at_us)


def _timer_started(state: State, event: history.TimerStarted, at_us: int) -> None:
    node = _begin(state, event.node)
    node.status = s.RUNNING
    node.attempt = 1
    node.scheduled_at_us = node.started_at_us = at_us
    node.due_at_us = event.fire_at_us
    state.timers[state.plan.index[event.node]] = event.fire_at_us


def _timer_fired(state: State, event: history.TimerFired, _at_us: int) -> None:
    node = _begin(state, event.node)
    node.due_at_us = 0
    state.timers.pop(state.plan.index[event.node], None)


def _signal_received(state: State, event: history.SignalReceived, at_us: int) -> None:
    state.signals.append(
        execution_pb2.Signal(name=event.name, payload=event.payload, received_at_us=at_us)
    )
    _remember(state, event.request_id)


APPLY: dict[str, Callable[[State, Any, int], None]] = {
    "workflow_started": _workflow_started,
    "workflow_completed": _workflow_completed,
    "workflow_failed": _workflow_failed,
    "workflow_canceled": _workflow_canceled,
    "workflow_terminated": _workflow_terminated,
    "task_scheduled": _task_scheduled,
    "task_started": _task_started,
    "task_completed": _task_completed,
    "task_failed": _task_failed,
    "task_retrying": _task_retrying,
    "task_skipped": _task_skipped,
    "task_canceled": _task_canceled,
    "timer_started": _timer_started,
    "timer_fired": _timer_fired,
    "signal_received": _signal_received,
}
