"""States as stored snapshots, and back."""

from collections.abc import Iterable

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.history.v1 import snapshot_pb2
from flowmesh.engine import (
    ChildState,
    Journal,
    MachineState,
    MapState,
    NodeState,
    Scope,
    State,
    search_messages,
)
from flowmesh.engine.search_attributes import search_values
from flowmesh.engine.state import journal as journals
from flowmesh.engine.state.compensation import add_for_undo
from flowmesh.engine.state.scopes import keep_scopes_for_undo
from flowmesh.engine.state.state import PENDING, RUNNING
from flowmesh.engine.variables import apply_set
from flowmesh.plan import Plan

EVENTS_BETWEEN_SNAPSHOTS = 2_000
"""An open execution gets a new snapshot when its history has grown by this many events."""

GROWTH_BETWEEN_SNAPSHOTS = 4
"""A long history must grow by this part of itself, so that snapshots cost no more than events."""

EVENTS_A_NODE = 2.5
"""The history must also grow by this many events for each node: a snapshot contains all nodes, and
reading one of 10,000 nodes takes longer (72 ms) than applying the three events that each node has
in a graph without loops (55 ms).
"""

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
    "key",
    "begun_at_us",
    "by_hand",
    "variables",
    "tried",
)
_CHILD_FIELDS = ("request_id", "execution_id", "version", "open", "workflow_id", "joined")
_STATE_FIELDS = (
    "sequence",
    "status",
    "started_at_us",
    "ended_at_us",
    "begun_at_us",
    "request_id",
    "actor",
    "traceparent",
    "stops_everywhere",
)


def snapshot_due(state: State, last_sequence: int) -> bool:
    """Return whether an execution whose last snapshot was at `last_sequence` needs a new one."""
    new = state.sequence - last_sequence
    if new < EVENTS_BETWEEN_SNAPSHOTS or state.ended:
        return False
    nodes = len(state.scope.nodes)
    return new >= max(state.sequence // GROWTH_BETWEEN_SNAPSHOTS, nodes * EVENTS_A_NODE)


def snapshot(state: State) -> bytes:
    """Encode a state for `restore`."""
    message = snapshot_pb2.ExecutionSnapshot(
        input=state.input,
        output=state.output,
        failure=state.failure,
        failed_node=_failed(state.scope),
        signals=state.signals,
        at_workers=_at_workers(state, state.scope),
        signals_taken=state.signals_taken,
        origin=state.origin,
        undo=[node.id for node in state.undo],
        closing=state.closing,
        edits=state.edits,
        breakpoints=sorted(state.breakpoints),
        stopped=state.stopped,
        passed=sorted(state.passed),
        search=search_messages(state.search),
        erasure=state.erasure,
        link=state.link,
        variables_set=state.variables_set,
        permissions=state.permissions,
        hold=state.hold,
        joined_by=state.joined_by,
        **{field: getattr(state, field) for field in _STATE_FIELDS},
    )
    message.nodes.extend(_nodes(state, state.scope))
    for request_id, sequence in state.requests.items():
        message.requests.add(request_id=request_id, sequence=sequence)
    for scope in state.scopes.values():
        if scope.kept and scope.owner is not None and scope.item not in scope.owner.scopes:
            message.kept.add(owner=scope.owner.id, scope=_scope(state, scope))
    return message.SerializeToString()


def _nodes(state: State, scope: Scope) -> Iterable[snapshot_pb2.NodeSnapshot]:
    for index, node in scope.nodes.items():
        message = snapshot_pb2.NodeSnapshot(
            index=index,
            output=node.output,
            failure=node.failure,
            held=node.id in state.on_hold,
            approval=node.approval,
            **{field: value for field in _NODE_FIELDS if (value := getattr(node, field))},
        )
        if node.map is not None:
            _put_map(state, node.map, message.map)
        if node.machine is not None:
            _put_machine(state, node.machine, message.states)
        if node.child is not None:
            for field in _CHILD_FIELDS:
                setattr(message.child, field, getattr(node.child, field))
        if node.journal is not None:
            _put_journal(state, node.journal, message.journal)
        yield message


def _put_map(state: State, of: MapState, message: snapshot_pb2.MapSnapshot) -> None:
    message.total, message.begun, message.failed = of.total, of.begun, of.failed
    message.tried = of.tried
    message.cursors.extend(of.cursors)
    message.starts.extend(of.starts)
    if of.failure is not None:
        message.failure.CopyFrom(of.failure)
    if of.excused is not None:
        message.excused.CopyFrom(of.excused)
    for each in of.outputs:
        message.outputs.append(payload_pb2.Payload(data=each) if isinstance(each, bytes) else each)
    message.scopes.extend(_scope(state, scope) for scope in of.scopes.values())


def _put_machine(state: State, machine: MachineState, message: snapshot_pb2.StatesSnapshot) -> None:
    message.value.CopyFrom(machine.value)
    message.begun, message.tried = machine.begun, machine.tried
    message.next = machine.next + 1 if machine.next is not None else 0
    if machine.error is not None:
        message.error.CopyFrom(machine.error)
    if machine.failure is not None:
        message.failure.CopyFrom(machine.failure)
    if machine.deferred is not None:
        message.deferred.CopyFrom(machine.deferred)
    for scope in machine.scopes.values():
        message.scope.CopyFrom(_scope(state, scope))


def _put_journal(state: State, journal: Journal, message: snapshot_pb2.JournalSnapshot) -> None:
    message.records.extend(journal.records)
    message.began_at_us, message.resumed = journal.began_at_us, journal.resumed
    message.suspended, message.tried = journal.suspended, journal.tried
    message.calls.extend(_scope(state, scope) for scope in journal.scopes.values())


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
    """Return indices in the graph of this scope; in the graph of the execution, oldest first."""
    if scope.owner is None:
        nodes: Iterable[NodeState] = state.at_workers.values()
        return [node.planned.index for node in nodes if node.scope is scope]
    return [index for index, node in scope.nodes.items() if node.id in state.at_workers]


def restore(execution_id: str, plan: Plan, body: bytes) -> State:
    """Decode a state that `snapshot` encoded."""
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
    state.edits = dict(message.edits)
    state.breakpoints = frozenset(message.breakpoints)
    state.passed = frozenset(message.passed)
    state.closing = message.closing if message.HasField("closing") else None
    state.origin = message.origin if message.HasField("origin") else None
    if message.search:
        state.search = search_values(message.search)
    state.erasure = message.erasure if message.HasField("erasure") else None
    state.link = message.link if message.HasField("link") else None
    for each in message.variables_set:
        apply_set(state, each)
    state.permissions = tuple(message.permissions)
    state.hold = message.hold if message.HasField("hold") else None
    state.joined_by = tuple(message.joined_by)
    _fill(state, state.scope, message)
    for kept in message.kept:
        _fill_kept(state, kept)
    for node_id in message.undo:
        add_for_undo(state, state.reach(node_id))
    state.stopped = {node_id: state.place(node_id) for node_id in message.stopped}
    if state.ended:
        keep_scopes_for_undo(state)
    return state


def _fill(
    state: State,
    scope: Scope,
    message: snapshot_pb2.ExecutionSnapshot | snapshot_pb2.ScopeSnapshot,
) -> None:
    for stored in message.nodes:
        node = scope.node(scope.graph.node(stored.index))
        for field in _NODE_FIELDS:
            setattr(node, field, getattr(stored, field))
        node.output = stored.output if stored.HasField("output") else None
        node.failure = stored.failure if stored.HasField("failure") else None
        if stored.HasField("child"):
            node.child = ChildState(stored.child.request_id)
            for field in _CHILD_FIELDS:
                setattr(node.child, field, getattr(stored.child, field))
        node.approval = stored.approval if stored.HasField("approval") else None
        _count(state, node, held=stored.held)
        if stored.HasField("map"):
            _fill_map(state, node, stored.map)
        if stored.HasField("states"):
            _fill_machine(state, node, stored.states)
        if stored.HasField("journal"):
            _fill_journal(state, node, stored.journal)
    for index in message.at_workers:
        state.send(scope.nodes[index])
    if message.failed_node:
        scope.failed = scope.nodes[message.failed_node - 1]


def _fill_map(state: State, node: NodeState, message: snapshot_pb2.MapSnapshot) -> None:
    of = node.map = MapState(message.total, message.tried)
    of.failed = message.failed
    of.cursors, of.starts = list(message.cursors), list(message.starts)
    of.failure = message.failure if message.HasField("failure") else None
    of.excused = message.excused if message.HasField("excused") else None
    for stored in message.scopes:
        of.begun = stored.index
        _fill(state, state.open_scope(node), stored)
    of.begun = message.begun
    of.outputs = [
        each if each.encoding or each.HasField("reference") else each.data
        for each in message.outputs
    ]


def _fill_machine(state: State, node: NodeState, message: snapshot_pb2.StatesSnapshot) -> None:
    machine = node.machine = MachineState(message.value, None, message.tried)
    machine.error = message.error if message.HasField("error") else None
    machine.failure = message.failure if message.HasField("failure") else None
    machine.deferred = message.deferred if message.HasField("deferred") else None
    if message.HasField("scope"):
        machine.begun = message.scope.index
        _fill(state, state.open_scope(node), message.scope)
    machine.begun = message.begun
    machine.next = message.next - 1 if message.next else None


def _fill_journal(state: State, node: NodeState, message: snapshot_pb2.JournalSnapshot) -> None:
    journal = node.journal = Journal(message.began_at_us, message.tried)
    journal.resumed, journal.suspended = message.resumed, message.suspended
    for record in message.records:
        journal.add(record)
    for stored in message.calls:
        scope = journals.open_call(state, node, journal.open[stored.index])
        _fill(state, scope, stored)
    if node.status == RUNNING:
        journals.await_signals(state, node, journal)


def _fill_kept(state: State, message: snapshot_pb2.KeptScope) -> None:
    """Restore a graph that has ended and may have to be compensated."""
    owner = state.reach(message.owner)
    assert owner.planned.body is not None
    scope = Scope(owner.planned.body, owner, message.scope.index)
    scope.kept = True
    state.scopes[scope.prefix] = scope
    _fill(state, scope, message.scope)


def _count(state: State, node: NodeState, *, held: bool) -> None:
    """Update the counters as the events of this node did."""
    scope = node.scope
    if node.status == PENDING:
        return
    if node.status == RUNNING:
        if held:
            state.on_hold[node.id] = node
            return
        state.running_count += node.planned.is_task
        if node.due_at_us or node.expires_at_us:
            state.set_due(node, node.due_at_us)
        if node.awaits:
            state.await_signal(node)
        if node.approval is not None:
            state.asking[node.id] = node
        return
    if node.planned.undoes is not None:
        return
    scope.open_count -= 1
    for successor in node.planned.successors:
        scope.waiting[successor.index] -= 1
