"""States as stored snapshots, and back."""

from flowmesh.api.history.v1 import snapshot_pb2
from flowmesh.engine import NodeState, State
from flowmesh.engine.state import RUNNING
from flowmesh.plan import Plan

EVENTS_BETWEEN_SNAPSHOTS = 2_000
"""An open execution gets a new snapshot when its history grew by so many events."""

_NODE_FIELDS = (
    "status",
    "attempt",
    "delivery",
    "scheduled_at_us",
    "started_at_us",
    "ended_at_us",
    "due_at_us",
    "metadata",
    "worker_id",
    "because_of",
)
_STATE_FIELDS = (
    "sequence",
    "status",
    "started_at_us",
    "ended_at_us",
    "request_id",
    "traceparent",
)


def snapshot(state: State) -> bytes:
    """The state as bytes that `restore` understands."""
    message = snapshot_pb2.ExecutionSnapshot(
        input=state.input,
        output=state.output,
        failure=state.failure,
        failed_node=state.failed_node + 1,
        signals=state.signals,
        at_workers=list(state.scope.at_workers),
        **{field: getattr(state, field) for field in _STATE_FIELDS},
    )
    for index, node in state.scope.nodes.items():
        message.nodes.add(
            index=index,
            output=node.output,
            failure=node.failure,
            **{field: getattr(node, field) for field in _NODE_FIELDS},
        )
    for request_id, sequence in state.requests.items():
        message.requests.add(request_id=request_id, sequence=sequence)
    return message.SerializeToString()


def restore(execution_id: str, plan: Plan, body: bytes) -> State:
    """The state that `snapshot` was taken of."""
    message = snapshot_pb2.ExecutionSnapshot.FromString(body)
    state = State(execution_id, plan)
    for field in _STATE_FIELDS:
        setattr(state, field, getattr(message, field))
    state.input = message.input
    state.output = message.output if message.HasField("output") else None
    state.failure = message.failure if message.HasField("failure") else None
    state.failed_node = message.failed_node - 1
    state.signals = list(message.signals)
    state.requests = {request.request_id: request.sequence for request in message.requests}
    scope = state.scope
    for index in message.at_workers:
        scope.send(plan.nodes[index])
    for stored in message.nodes:
        node = scope.nodes[stored.index] = NodeState()
        for field in _NODE_FIELDS:
            setattr(node, field, getattr(stored, field))
        node.output = stored.output if stored.HasField("output") else None
        node.failure = stored.failure if stored.HasField("failure") else None
        _count(state, stored.index, node)
    return state


def _count(state: State, index: int, node: NodeState) -> None:
    """Brings the counters to what this node's events had made of them."""
    scope = state.scope
    if node.status == RUNNING:
        scope.running_count += state.plan.nodes[index].is_task
        if node.due_at_us:
            state.timers[index] = node.due_at_us
        return
    scope.open_count -= 1
    for successor in state.plan.nodes[index].successors:
        scope.waiting[successor] -= 1
