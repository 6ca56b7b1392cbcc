"""States as stored snapshots, and back."""

from collections.abc import Iterable

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import snapshot_pb2
from flowmesh.engine import MachineState, MapState, NodeState, Scope, State
from flowmesh.engine.state import RUNNING
from flowmesh.plan import Plan

EVENTS_BETWEEN_SNAPSHOTS = 2_000
"""An open execution gets a new snapshot when its history grew by so many events."""

GROWTH_BETWEEN_SNAPSHOTS = 4
"""A long history must grow by this part of itself, so that snapshots cost no more than it does."""

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


def snapshot_due(state: State, last_sequence: int) -> bool:
    """Whether an execution whose last snapshot was at `last_sequence` should get a new one."""
    least = max(EVENTS_BETWEEN_SNAPSHOTS, state.sequence // GROWTH_BETWEEN_SNAPSHOTS)
    return not state.ended and state.sequence - last_sequence >= least


def snapshot(state: State) -> bytes:
    """The state as bytes that `restore` understands."""
    message = snapshot_pb2.ExecutionSnapshot(
        input=state.input,
        output=state.output,
        failure=state.failure,
        failed_node=_failed(state.scope),
        signals=state.signals,
        at_workers=_at_workers(state, state.scope),
        signals_taken=state.signals_taken,
        **{field: getattr(state, field) for field in _STATE_FIELDS},
    )
    message.nodes.extend(_nodes(state, state.scope))
    for request_id, sequence in state.requests.items():
        message.requests.add(request_id=request_id, sequence=sequence)
    return message.SerializeToString()


def _nodes(state: State, scope: Scope) -> Iterable[snapshot_pb2.NodeSnapshot]:
    for index, node in scope.nodes.items():
        message = snapshot_pb2.NodeSnapshot(
            index=index,
            output=node.output,
            failure=node.failure,
            **{field: getattr(node, field) for field in _NODE_FIELDS},
        )
        if node.map is not None:
            _put_map(state, node.map, message.map)
        if node.machine is not None:
            _put_machine(state, node.machine, message.states)
        yield message


def _put_map(state: State, of: MapState, message: snapshot_pb2.MapSnapshot) -> None:
    message.total, message.begun, message.failed = of.total, of.begun, of.failed
    if of.failure is not None:
        message.failure.CopyFrom(of.failure)
    for each in of.outputs:
        message.outputs.append(payload_pb2.Payload(data=each) if isinstance(each, bytes) else each)
    message.scopes.extend(_scope(state, scope) for scope in of.scopes.values())


def _put_machine(state: State, machine: MachineState, message: snapshot_pb2.StatesSnapshot) -> None:
    message.value.CopyFrom(machine.value)
    message.begun = machine.begun
    message.next = machine.next + 1 if machine.next is not None else 0
    if machine.error is not None:
        message.error.CopyFrom(machine.error)
    if machine.failure is not None:
        message.failure.CopyFrom(machine.failure)
    for scope in machine.scopes.values():
        message.scope.CopyFrom(_scope(state, scope))


def _scope(state: State, scope: Scope) -> snapshot_pb2.ScopeSnapshot:
    return snapshot_pb2.ScopeSnapshot(
        index=scope.item,
        nodes=_nodes(state, scope),
        failed_node=_failed(scope),
        at_workers=_at_workers(state, scope),
    )


def _failed(scope: Scope) -> int:
    return scope.failed.planned.index + 1 if scope.failed is not None else 0


def _at_workers(state: State, scope: Scope) -> list[int]:
    """Indices in the graph of this scope; in the execution's own, oldest first."""
    if scope.owner is None:
        nodes: Iterable[NodeState] = state.at_workers.values()
        return [node.planned.index for node in nodes if node.scope is scope]
    return [index for index, node in scope.nodes.items() if node.id in state.at_workers]


def restore(execution_id: str, plan: Plan, body: bytes) -> State:
    """The state that `snapshot` was taken of."""
    message = snapshot_pb2.ExecutionSnapshot.FromString(body)
    state = State(execution_id, plan)
    for field in _STATE_FIELDS:
        setattr(state, field, getattr(message, field))
    state.input = message.input
    state.output = message.output if message.HasField("output") else None
    state.failure = message.failure if message.HasField("failure") else None
    state.signals = list(message.signals)
    state.signals_bytes = sum(len(signal.payload.data) for signal in message.signals)
    state.requests = {request.request_id: request.sequence for request in message.requests}
    state.signals_taken = dict(message.signals_taken)
    _fill(state, state.scope, message)
    if state.ended:
        state.scopes.clear()
    return state


def _fill(
    state: State,
    scope: Scope,
    message: snapshot_pb2.ExecutionSnapshot | snapshot_pb2.ScopeSnapshot,
) -> None:
    for stored in message.nodes:
        node = scope.node(scope.graph.nodes[stored.index])
        for field in _NODE_FIELDS:
            setattr(node, field, getattr(stored, field))
        node.output = stored.output if stored.HasField("output") else None
        node.failure = stored.failure if stored.HasField("failure") else None
        _count(state, node)
        if stored.HasField("map"):
            _fill_map(state, node, stored.map)
        if stored.HasField("states"):
            _fill_machine(state, node, stored.states)
    for index in message.at_workers:
        state.send(scope.nodes[index])
    if message.failed_node:
        scope.failed = scope.nodes[message.failed_node - 1]


def _fill_map(state: State, node: NodeState, message: snapshot_pb2.MapSnapshot) -> None:
    of = node.map = MapState(message.total)
    of.failed = message.failed
    of.failure = message.failure if message.HasField("failure") else None
    for stored in message.scopes:
        of.begun = stored.index
        _fill(state, state.open_scope(node), stored)
    of.begun = message.begun
    of.outputs = [
        each if each.encoding or each.HasField("reference") else each.data
        for each in message.outputs
    ]


def _fill_machine(state: State, node: NodeState, message: snapshot_pb2.StatesSnapshot) -> None:
    machine = node.machine = MachineState(message.value, None)
    machine.error = message.error if message.HasField("error") else None
    machine.failure = message.failure if message.HasField("failure") else None
    if message.HasField("scope"):
        machine.begun = message.scope.index
        _fill(state, state.open_scope(node), message.scope)
    machine.begun = message.begun
    machine.next = message.next - 1 if message.next else None


def _count(state: State, node: NodeState) -> None:
    """Brings the counters to what this node's events had made of them."""
    scope = node.scope
    if node.status == RUNNING:
        state.running_count += node.planned.is_task
        if node.due_at_us:
            state.set_timer(node.id, node.due_at_us)
        if node.planned.signal:
            state.await_signal(node)
        return
    scope.open_count -= 1
    for successor in node.planned.successors:
        scope.waiting[successor.index] -= 1
