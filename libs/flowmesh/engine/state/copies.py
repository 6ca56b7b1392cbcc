"""Independent copies of states, and their disposal. Copies share immutable parts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine.state.journal import Journal
from flowmesh.engine.state.nodes import ChildState, MachineState, MapState, NodeState, Scope
from flowmesh.engine.state.state import State
from flowmesh.plan import PlanNode


def copy_state(state: State) -> State:
    """Return an independent copy; immutable parts are shared."""
    return _Copying().state(state)


def dispose(state: State) -> None:
    """Break the reference cycles of an unused state.

    Its nodes and graphs refer to one another. This frees their memory without the garbage
    collector, which would stop the process.
    """
    for scope in tuple(state.all_scopes()):
        scope.nodes.clear()
        scope.failed = None


class _Copying:
    """One copy. Nodes and graphs refer to one another, and each is copied once."""

    def __init__(self) -> None:
        self._scopes: dict[Scope, Scope] = {}
        self._nodes: dict[NodeState, NodeState] = {}

    def state(self, of: State) -> State:
        into = State(of.execution_id, of.plan)
        into.status = of.status
        into.sequence = of.sequence
        into.started_at_us = of.started_at_us
        into.begun_at_us = of.begun_at_us
        into.ended_at_us = of.ended_at_us
        into.hold = of.hold
        into.request_id = of.request_id
        into.actor = of.actor
        into.permissions = of.permissions
        into.traceparent = of.traceparent
        into.input = of.input
        into.link = of.link
        into.joined_by = of.joined_by
        into.output = of.output
        into.failure = of.failure
        into.scope = self._scope(of.scope)
        into.scopes = {prefix: self._scope(scope) for prefix, scope in of.scopes.items()}
        into.at_workers = self._by_name(of.at_workers)
        into.open_lanes = of.open_lanes.copy()
        for scope, planned in of.held.values():
            into.held.add(self._scope(scope), planned)
        into.running_count = of.running_count
        for node_id, due_at_us in of.timers.items():
            into.set_timer(node_id, due_at_us)
        into.requests = of.requests.copy()
        into.signals = of.signals.copy()
        into.signals_bytes = of.signals_bytes
        into.signals_taken = of.signals_taken.copy()
        into.awaiting = {
            name: OrderedDict(self._by_name(nodes)) for name, nodes in of.awaiting.items()
        }
        into.asking = self._by_name(of.asking)
        into.on_hold = self._by_name(of.on_hold)
        into.stops_everywhere = of.stops_everywhere
        into.breakpoints = of.breakpoints
        into.stopped = self._places(of.stopped)
        into.passed = of.passed
        into.edits = of.edits
        into.undo = [self._node(node) for node in of.undo]
        into.closing = of.closing
        into.origin = of.origin
        into.search = of.search
        into.erasure = of.erasure
        into.variables = of.variables
        into.variables_set = of.variables_set
        return into

    def _by_name(self, nodes: Mapping[str, NodeState]) -> dict[str, NodeState]:
        return {name: self._node(node) for name, node in nodes.items()}

    def _places(
        self, places: Mapping[str, tuple[Scope, PlanNode]]
    ) -> dict[str, tuple[Scope, PlanNode]]:
        return {name: (self._scope(scope), planned) for name, (scope, planned) in places.items()}

    def _scope(self, of: Scope) -> Scope:
        known = self._scopes.get(of)
        if known is not None:
            return known
        owner = self._node(of.owner) if of.owner is not None else None
        if owner is not None and of in self._scopes:
            return self._scopes[of]  # copied with its owner
        into = self._scopes[of] = Scope(of.graph, owner, of.item)
        into.waiting = of.waiting.copy()
        into.open_count = of.open_count
        into.kept = of.kept
        into.tried = of.tried
        into.nodes = {index: self._node(node) for index, node in of.nodes.items()}
        into.failed = self._node(of.failed) if of.failed is not None else None
        return into

    def _node(self, of: NodeState) -> NodeState:
        known = self._nodes.get(of)
        if known is not None:
            return known
        scope = self._scope(of.scope)
        if of in self._nodes:
            return self._nodes[of]
        into = self._nodes[of] = NodeState(of.planned, scope)
        into.status = of.status
        into.attempt = of.attempt
        into.delivery = of.delivery
        into.scheduled_at_us = of.scheduled_at_us
        into.started_at_us = of.started_at_us
        into.ended_at_us = of.ended_at_us
        into.due_at_us = of.due_at_us
        into.output = of.output
        into.failure = of.failure
        into.metadata = of.metadata
        into.worker_id = of.worker_id
        into.because_of = of.because_of
        into.begun_at_us = of.begun_at_us
        into.by_hand = of.by_hand
        into.key = of.key
        into.variables = of.variables
        into.tried = of.tried
        if of.approval is not None:
            into.approval = execution_pb2.Approval()
            into.approval.CopyFrom(of.approval)
        if of.child is not None:
            into.child = _child(of.child)
        if of.map is not None:
            into.map = self._map(of.map)
        if of.machine is not None:
            into.machine = self._machine(of.machine)
        if of.journal is not None:
            into.journal = self._journal(of.journal)
        return into

    def _map(self, of: MapState) -> MapState:
        into = MapState(of.total, of.tried)
        into.cursors = of.cursors.copy()
        into.starts = of.starts.copy()
        into.begun = of.begun
        into.outputs = of.outputs.copy()
        into.scopes = self._bodies(of.scopes)
        into.items = of.items
        into.failed = of.failed
        into.failure = of.failure
        into.excused = of.excused
        return into

    def _machine(self, of: MachineState) -> MachineState:
        into = MachineState(of.value, of.next, of.tried)
        into.begun = of.begun
        into.scopes = self._bodies(of.scopes)
        into.error = of.error
        into.failure = of.failure
        into.deferred = of.deferred
        return into

    def _journal(self, of: Journal) -> Journal:
        into = Journal(of.began_at_us, of.tried)
        into.records = of.records.copy()
        into.open = of.open.copy()
        into.ended = of.ended.copy()
        into.bytes = of.bytes
        into.scopes = self._bodies(of.scopes)
        into.resumed = of.resumed
        into.suspended = of.suspended
        return into

    def _bodies(self, of: Mapping[int, Scope]) -> dict[int, Scope]:
        return {item: self._scope(scope) for item, scope in of.items()}


def _child(of: ChildState) -> ChildState:
    into = ChildState(of.request_id, of.workflow_id)
    into.execution_id = of.execution_id
    into.version = of.version
    into.open = of.open
    into.joined = of.joined
    return into
