"""How each event changes the state. The same code runs live and when a history is replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import state as s
from flowmesh.engine.state import NodeState, State
from flowmesh.plan import Plan, decode


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
    """Finds what waits because of the plan's parallelism or for its shell; no history names it."""
    if state.ended:
        return
    for scope in tuple(state.all_scopes()):
        if (state.plan.parallelism or state.paused) and scope.waiting:
            for planned in scope.graph.nodes:
                if planned.index not in scope.nodes and scope.startable(planned):
                    state.held[scope.prefix + planned.id] = (scope, planned)
        for node in scope.nodes.values():
            if node.status == s.RUNNING and node.planned.body is not None:
                _restore_body(state, node)


def _restore_body(state: State, node: NodeState) -> None:
    if (state.plan.parallelism or state.paused) and _has_more(node):
        state.held[node.id] = (node.scope, node.planned)
    elif not node.scopes:
        state.set_timer(node.id, node.scheduled_at_us + s.ASK_AGAIN_US)


def _has_more(node: NodeState) -> bool:
    """Whether a further item of a map, or the next node of a machine, could begin."""
    of, machine = node.map, node.machine
    if of is not None:
        room = of.failure is None and len(of.scopes) < node.planned.concurrency
        return room and of.begun < of.total
    return machine is not None and not machine.scopes and machine.next is not None


def _own(payload: payload_pb2.Payload) -> payload_pb2.Payload:
    """A copy that does not keep the whole batch it came in alive."""
    copy = payload_pb2.Payload()
    copy.CopyFrom(payload)
    return copy


def _end(state: State, node_id: str, status: s.NodeStatus, at_us: int) -> NodeState:
    """Closes a node and tells its successors, whatever the outcome."""
    node = state.reach(node_id)
    planned, scope = node.planned, node.scope
    if node.status == s.RUNNING:
        state.running_count -= planned.is_task
        state.bring_back(node)
    node.status = status
    node.ended_at_us = at_us
    if node.due_at_us or planned.body is not None:
        node.due_at_us = 0
        state.clear_timer(node.id)
        state.drop_scopes(node)
    if planned.signal:
        state.await_no_more(node)
    scope.open_count -= 1
    waiting = scope.waiting
    for successor in planned.successors:
        waiting[successor.index] -= 1
    return node


def _close(state: State, scope: s.Scope) -> None:
    """Keeps the outcome of an item whose graph has ended, and lets the graph go."""
    owner = scope.owner
    if owner is None or scope.open_count:
        return
    del owner.scopes[scope.item]
    del state.scopes[scope.prefix]
    if owner.machine is not None:
        _move_on(owner, owner.machine, scope)
        return
    of = owner.map
    assert of is not None
    leaves = scope.graph.leaves
    if scope.failed is not None:
        of.failed += 1
        if of.failure is None:
            of.failure = _failure_of(scope.failed)
    elif owner.is_group and not owner.planned.single:
        of.outputs = [_bare(scope.output_of(leaf.index)) for leaf in leaves]
    elif len(leaves) == 1:
        of.outputs[scope.item] = _bare(scope.output_of(leaves[0].index))
    else:
        of.outputs[scope.item] = b"null"


def _move_on(owner: NodeState, machine: s.MachineState, scope: s.Scope) -> None:
    """What the outcome of a state machine's node makes of its value, and which node is next."""
    (node,) = scope.nodes.values()
    follow = node.planned.follow
    assert follow is not None
    machine.next = follow.next
    if node.status == s.FAILED:
        failure = _failure_of(node)
        caught, place = follow.caught(getattr(failure, "class"))
        if caught:
            machine.next, machine.error = place, failure
        elif node.planned.critical:
            machine.next, machine.failure = None, failure
    elif follow.chooses:
        machine.next, machine.failure = _chosen(owner, node)
    elif not follow.keeps:
        machine.value = node.output if node.output is not None else payload_pb2.Payload()


def _chosen(owner: NodeState, node: NodeState) -> tuple[int | None, failure_pb2.Failure | None]:
    """The node that the output of one that chooses names."""
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
    failure = failure_pb2.Failure(message=f"{node.id} chose {name!r}, which is no node here")
    setattr(failure, "class", "ValidationError")
    failure.node = node.id
    return None, failure


def _failure_of(node: NodeState) -> failure_pb2.Failure:
    """The failure of a node, which names the innermost one it comes from."""
    failure = failure_pb2.Failure()
    if node.failure is not None:
        failure.CopyFrom(node.failure)
    failure.node = failure.node or node.id
    return failure


def _bare(output: payload_pb2.Payload | None) -> bytes | payload_pb2.Payload:
    """An output as maps keep it."""
    if output is None:
        return b"null"
    return output if output.encoding or output.HasField("reference") else output.data


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
    state.held.clear()
    state.scopes.clear()


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


def _workflow_paused(state: State, event: history.WorkflowPaused, _at_us: int) -> None:
    state.status = s.EXECUTION_PAUSED
    _remember(state, event.request_id)


def _workflow_resumed(state: State, event: history.WorkflowResumed, _at_us: int) -> None:
    state.status = s.EXECUTION_RUNNING
    _remember(state, event.request_id)


def _task_scheduled(state: State, event: history.TaskScheduled, at_us: int) -> None:
    node = state.reach(event.node)
    is_task = node.planned.is_task
    if node.status == s.PENDING:
        node.status = s.RUNNING
        state.running_count += is_task
    if is_task:
        state.send(node)
    elif node.planned.signal:
        state.await_signal(node)
    node.attempt = event.attempt
    node.delivery = 0
    node.scheduled_at_us = at_us
    node.worker_id = ""
    if node.due_at_us:
        node.due_at_us = 0
        state.clear_timer(node.id)


def _task_started(state: State, event: history.TaskStarted, at_us: int) -> None:
    node = state.reach(event.node)
    node.delivery = event.delivery
    node.worker_id = event.worker_id
    if event.attempt == 1 and event.delivery <= 1:
        node.started_at_us = event.started_at_us or at_us


def _task_completed(state: State, event: history.TaskCompleted, at_us: int) -> None:
    node = _end(state, event.node, s.COMPLETED, at_us)
    node.output = _own(event.output)
    node.metadata = event.metadata
    node.failure = None
    if node.map is not None:
        node.map.outputs.clear()
    if node.planned.signal:
        name = node.planned.signal
        state.signals_taken[name] = state.signals_taken.get(name, 0) + 1
    _close(state, node.scope)


def _task_failed(state: State, event: history.TaskFailed, at_us: int) -> None:
    node = _end(state, event.node, s.FAILED, at_us)
    node.failure = event.failure
    if node.scope.failed is None and node.planned.critical and not node.planned.excused:
        node.scope.failed = node
    _close(state, node.scope)


def _task_retrying(state: State, event: history.TaskRetrying, _at_us: int) -> None:
    node = state.reach(event.node)
    node.failure = event.failure
    node.worker_id = ""
    node.due_at_us = event.retry_at_us
    state.set_timer(node.id, event.retry_at_us)
    state.bring_back(node)


def _task_skipped(state: State, event: history.TaskSkipped, at_us: int) -> None:
    node = _end(state, event.node, s.SKIPPED, at_us)
    node.because_of = event.because_of
    _close(state, node.scope)


def _task_canceled(state: State, event: history.TaskCanceled, at_us: int) -> None:
    _end(state, event.node, s.CANCELED, at_us)


def _map_started(state: State, event: history.MapStarted, at_us: int) -> None:
    node = state.reach(event.node)
    node.map = s.MapState(event.count)
    node.started_at_us = at_us
    state.clear_timer(node.id)


def _states_started(state: State, event: history.StatesStarted, at_us: int) -> None:
    node = state.reach(event.node)
    node.machine = s.MachineState(_own(event.value), node.planned.start)
    node.started_at_us = at_us
    state.clear_timer(node.id)


def _timer_started(state: State, event: history.TimerStarted, at_us: int) -> None:
    node = state.reach(event.node)
    node.status = s.RUNNING
    node.attempt = 1
    node.scheduled_at_us = node.started_at_us = at_us
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
    _remember(state, event.request_id)


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
    "states_started": _states_started,
    "timer_started": _timer_started,
    "timer_fired": _timer_fired,
    "signal_received": _signal_received,
}
