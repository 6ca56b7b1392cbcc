"""The state of one execution, as its history defines it. Only `apply` changes it."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from flowmesh.api.common.v1 import failure_pb2, link_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine.search_attributes import NO_SEARCH_VALUES, SearchValue
from flowmesh.engine.state.held import Held
from flowmesh.engine.state.nodes import (
    CANCELED,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    SKIPPED,
    MachineState,
    MapState,
    NodeState,
    Scope,
)
from flowmesh.plan import Plan, PlanNode

__all__ = [
    "CANCELED",
    "COMPLETED",
    "FAILED",
    "PENDING",
    "RUNNING",
    "SKIPPED",
    "MachineState",
    "MapState",
    "NodeState",
    "Scope",
    "State",
]

if TYPE_CHECKING:
    NodeStatus: TypeAlias = execution_pb2.NodeStatus.ValueType
    ExecutionStatus: TypeAlias = execution_pb2.ExecutionStatus.ValueType

EXECUTION_PAUSED = execution_pb2.EXECUTION_STATUS_PAUSED
EXECUTION_RUNNING = execution_pb2.EXECUTION_STATUS_RUNNING
EXECUTION_COMPLETED = execution_pb2.EXECUTION_STATUS_COMPLETED
EXECUTION_FAILED = execution_pb2.EXECUTION_STATUS_FAILED
EXECUTION_CANCELED = execution_pb2.EXECUTION_STATUS_CANCELED
EXECUTION_TERMINATED = execution_pb2.EXECUTION_STATUS_TERMINATED
EXECUTION_PENDING = execution_pb2.EXECUTION_STATUS_PENDING
EXECUTION_CONTINUED = execution_pb2.EXECUTION_STATUS_CONTINUED
EXECUTION_COMPENSATING = execution_pb2.EXECUTION_STATUS_COMPENSATING

ASK_AGAIN_US = 1_000_000
"""The interval at which a node repeats a request for items or values."""

FAR_US = 253_370_764_800_000_000
"""The first second of the year 9999, for executions that wait for something else than time."""

STALE_TIMERS_MAX = 64
"""Cleared timers in the heap above the number of set ones; more are removed."""

REQUEST_IDS_MAX = 1_000
"""Request ids that an execution remembers; repeats of older commands are applied again."""

HISTORY_EVENTS_MAX = 2_000_000
"""Events of a history; at the limit the execution fails."""

HISTORY_EVENTS_WARN = 50_000
"""Events of a history at which a warning is logged once."""

SIGNALS_MAX = 10_000
"""Signals that an execution keeps; more are rejected."""

SIGNALS_BYTES_MAX = 16 << 20
"""Bytes of the inline payloads of all signals."""


_NOTHING = payload_pb2.Payload()
_NO_EDITS: Mapping[str, payload_pb2.Payload] = {}


def has_ended(status: int) -> bool:
    """Return whether a status is final. A compensating execution has not ended."""
    return status >= EXECUTION_COMPLETED and status != EXECUTION_COMPENSATING


class State:
    """One execution. `sequence` is that of its last event, 0 before the first.

    `link` names the parent or the previous run. `scope` is the plan's graph, `scopes` the bodies
    in progress by prefix. `awaiting` are the nodes that wait for a signal, by its name; nodes that
    wait for another execution have the empty name. `signals_taken` counts consumed signals.
    `at_workers` are the nodes with a dispatched attempt, oldest first; `open_lanes` counts them by
    lane of the plan. `held` are ready nodes that wait for parallelism or a resume, and bodies with
    more to begin. `running_count` counts begun tasks.

    `asking` are nodes with an open approval, `on_hold` failed nodes with the policy HOLD,
    `stopped` nodes at a breakpoint, `passed` nodes continued from one, `edits` inputs set by
    callers, by node. `undo` are the nodes to compensate, in order of completion; `closing` is the
    outcome after the compensation. `variables` are the values before and after each of
    `variables_set`. `actor` is the starter, with its `permissions`. `hold` is the hold before the
    start. `joined_by` are nodes elsewhere, not the parent, that wait for the outcome. Rare values
    are replaced, never changed in place: most executions share the empty ones.
    """

    __slots__ = (
        "_timer_heap",
        "actor",
        "asking",
        "at_workers",
        "awaiting",
        "begun_at_us",
        "breakpoints",
        "closing",
        "edits",
        "ended_at_us",
        "erasure",
        "execution_id",
        "failure",
        "held",
        "hold",
        "input",
        "joined_by",
        "link",
        "on_hold",
        "open_lanes",
        "origin",
        "output",
        "passed",
        "permissions",
        "plan",
        "request_id",
        "requests",
        "running_count",
        "scope",
        "scopes",
        "search",
        "sequence",
        "signals",
        "signals_bytes",
        "signals_taken",
        "started_at_us",
        "status",
        "stopped",
        "stops_everywhere",
        "timers",
        "traceparent",
        "undo",
        "variables",
        "variables_set",
    )

    def __init__(self, execution_id: str, plan: Plan) -> None:
        self.execution_id = execution_id
        self.plan = plan
        self.status = EXECUTION_PENDING
        self.sequence = 0
        self.started_at_us = 0
        self.begun_at_us = 0
        self.ended_at_us = 0
        self.hold: execution_pb2.Hold | None = None
        self.request_id = ""
        self.actor = ""
        self.permissions: tuple[str, ...] = ()
        self.traceparent = ""
        self.input = _NOTHING
        self.link: link_pb2.Link | None = None
        self.joined_by: tuple[history_event_pb2.ExecutionJoined, ...] = ()
        self.output: payload_pb2.Payload | None = None
        self.failure: failure_pb2.Failure | None = None
        self.scope = Scope(plan)
        self.scopes: dict[str, Scope] = {}
        self.at_workers: dict[str, NodeState] = {}
        self.open_lanes: dict[int, int] = {}
        self.held = Held()
        self.running_count = 0
        self.timers: dict[str, int] = {}
        self._timer_heap: list[tuple[int, str]] = []
        self.requests: dict[str, int] = {}
        self.signals: list[execution_pb2.Signal] = []
        self.signals_bytes = 0
        self.signals_taken: dict[str, int] = {}
        self.awaiting: dict[str, OrderedDict[str, NodeState]] = {}
        self.asking: dict[str, NodeState] = {}
        self.on_hold: dict[str, NodeState] = {}
        self.stops_everywhere = False
        self.breakpoints: frozenset[str] = frozenset()
        self.stopped: dict[str, tuple[Scope, PlanNode]] = {}
        self.passed: frozenset[str] = frozenset()
        self.edits = _NO_EDITS
        self.undo: list[NodeState] = []
        self.closing: history_event_pb2.CompensationStarted | None = None
        self.origin: execution_pb2.Origin | None = None
        self.search: Mapping[str, SearchValue] = NO_SEARCH_VALUES
        self.erasure: execution_pb2.Erasure | None = None
        self.variables: tuple[Mapping[str, Any], ...] = (plan.variables,)
        self.variables_set: tuple[history_event_pb2.VariableSet, ...] = ()

    @property
    def ended(self) -> bool:
        status = self.status  # as `has_ended`, without its call: asked many times per transition
        return status >= EXECUTION_COMPLETED and status != EXECUTION_COMPENSATING

    @property
    def compensating(self) -> bool:
        return self.status == EXECUTION_COMPENSATING

    @property
    def stopping(self) -> bool:
        """True if a failure stops further nodes; the execution ends after the running tasks."""
        return (
            self.scope.failed is not None
            and self.plan.on_failure == plan_pb2.FAILURE_POLICY_STOP
            and self.status != EXECUTION_COMPENSATING
        )

    @property
    def paused(self) -> bool:
        return self.status == EXECUTION_PAUSED

    @property
    def full(self) -> bool:
        """True if no further task may begin."""
        if self.status == EXECUTION_PAUSED:
            return True
        most = self.plan.parallelism
        return most > 0 and self.running_count >= most

    @property
    def last_node_ended_at_us(self) -> int:
        return max((node.ended_at_us for node in self.scope.nodes.values()), default=0)

    def variables_of(self, node: NodeState | None) -> Mapping[str, Any]:
        """Return the variables at the time the node's attempt was scheduled; without node, now."""
        seen = node.variables if node is not None else 0
        return self.variables[min(seen, len(self.variables)) - 1]

    # --- nodes ---

    def node(self, node_id: str) -> NodeState | None:
        """Return a node that has begun or ended and whose graph is kept."""
        planned = self.plan.by_id.get(node_id)
        if planned is not None:
            return self.scope.nodes.get(planned.index)
        cut = node_id.rfind("/") + 1
        scope = self.scopes.get(node_id[:cut])
        planned = scope.graph.by_id.get(node_id[cut:]) if scope is not None else None
        return scope.nodes.get(planned.index) if scope is not None and planned is not None else None

    def reach(self, node_id: str) -> NodeState:
        """Return the node of an event; open its graph if that is the next of its owner.

        Raises KeyError or ValueError for an impossible node.
        """
        planned = self.plan.by_id.get(node_id)
        if planned is not None:
            return self.scope.node(planned)
        scope, planned = self.place(node_id)
        return scope.node(planned)

    def place(self, node_id: str) -> tuple[Scope, PlanNode]:
        """Return the graph and the plan of a node. Raises as `reach`."""
        planned = self.plan.by_id.get(node_id)
        if planned is not None:
            return self.scope, planned
        cut = node_id.rfind("/") + 1
        scope = self.scopes.get(node_id[:cut]) or self._next_scope(node_id[:cut])
        return scope, scope.graph.by_id[node_id[cut:]]

    def _next_scope(self, prefix: str) -> Scope:
        owner = self.node(prefix[: prefix.rfind("[")])
        if owner is not None and (owner.map is not None or owner.machine is not None):
            scope = self.open_scope(owner)
            if scope.prefix == prefix:
                return scope
        raise ValueError(f"{prefix!r} is not the next item")

    def open_scope(self, owner: NodeState) -> Scope:
        """Open the body of a node for its next item."""
        inner = owner.map or owner.machine
        assert inner is not None
        assert owner.planned.body is not None
        scope = Scope(owner.planned.body, owner, inner.begun)
        inner.begun += 1
        if owner.map is not None:
            owner.map.outputs.append(b"")
        inner.scopes[scope.item] = scope
        self.scopes[scope.prefix] = scope
        return scope

    def all_scopes(self) -> Iterator[Scope]:
        yield self.scope
        yield from self.scopes.values()

    # --- workers ---

    def send(self, node: NodeState) -> None:
        """Add a node whose current attempt is dispatched."""
        if node.id not in self.at_workers:
            self.at_workers[node.id] = node
            lane = node.planned.lane
            self.open_lanes[lane] = self.open_lanes.get(lane, 0) + 1

    def bring_back(self, node: NodeState) -> None:
        """Remove a node whose current attempt ended, if it was dispatched."""
        if self.at_workers.pop(node.id, None) is not None:
            lane = node.planned.lane
            left = self.open_lanes[lane] - 1
            if left:
                self.open_lanes[lane] = left
            else:
                del self.open_lanes[lane]

    # --- signals ---

    def next_signal(self, name: str) -> execution_pb2.Signal | None:
        """Return the first unconsumed signal of a name."""
        had = self.signals_taken.get(name, 0)
        of_name = (signal for signal in self.signals if signal.name == name)
        return next(islice(of_name, had, None), None)

    def await_signal(self, node: NodeState) -> None:
        self.awaiting.setdefault(node.awaited, OrderedDict())[node.id] = node

    def await_no_more(self, node: NodeState) -> None:
        waiting = self.awaiting.get(node.awaited)
        if waiting is not None:
            waiting.pop(node.id, None)
            if not waiting:
                del self.awaiting[node.awaited]

    # --- timers ---

    @property
    def wake_at_us(self) -> int:
        """The due time of the next timer; 0 means none. No limit applies after the last node.

        FAR_US for an execution that waits only for a command, a signal or another execution.
        """
        if self.hold is not None:
            return FAR_US if self.paused else self.hold.until_us or FAR_US
        first = self.next_timer() if not (self.paused or self.stopping) else None
        wake = first[0] if first is not None else 0
        if self.limit_at_us:
            return min(wake, self.limit_at_us) if wake else self.limit_at_us
        waits = self.awaiting or self.asking or self.on_hold or self.stopped or self.compensating
        waits = waits or self.paused
        return FAR_US if waits and not wake else wake

    @property
    def limit_at_us(self) -> int:
        """The time at which the execution exceeds its timeout; 0 means never."""
        if not self.plan.timeout_us or self.ended or self.compensating or not self.scope.open_count:
            return 0
        if self.hold is not None:
            return 0
        return (self.begun_at_us or self.started_at_us) + self.plan.timeout_us

    def next_timer(self) -> tuple[int, str] | None:
        """Return the due time and the node of the first timer."""
        heap = self._timer_heap
        while heap and self.timers.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def set_timer(self, node_id: str, due_at_us: int) -> None:
        self.timers[node_id] = due_at_us
        heapq.heappush(self._timer_heap, (due_at_us, node_id))
        if len(self._timer_heap) > 2 * len(self.timers) + STALE_TIMERS_MAX:
            self._timer_heap = [(due, name) for name, due in self.timers.items()]
            heapq.heapify(self._timer_heap)

    def set_due(self, node: NodeState, due_at_us: int) -> None:
        """Set the due time of a node, or 0, and its timer: that time or its earlier deadline."""
        node.due_at_us = due_at_us
        expires = node.expires_at_us
        first = min(due_at_us, expires) if due_at_us and expires else due_at_us or expires
        if first:
            self.set_timer(node.id, first)
        else:
            self.clear_timer(node.id)

    def clear_timer(self, node_id: str) -> None:
        self.timers.pop(node_id, None)
