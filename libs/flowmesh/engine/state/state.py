"""The state of one execution: what its history adds up to. Changed by `apply` alone."""

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
"""A map that needs something from outside asks for it again after this time."""

FAR_US = 253_370_764_800_000_000
"""The first second of the year 9999: whoever sleeps so long waits for something else."""

STALE_TIMERS_MAX = 64
"""Timers that were cleared and are still in the heap, beside as many as there are."""

REQUEST_IDS_MAX = 1_000
"""Request ids of commands an execution remembers; older repeats are applied again."""

HISTORY_EVENTS_MAX = 2_000_000
"""An execution whose history is so long fails; only what ends it is added after that."""

HISTORY_EVENTS_WARN = 50_000
"""Whoever runs the suite is told once of an execution whose history is so long."""

SIGNALS_MAX = 10_000
"""Signals of an execution, all of which it keeps; more are refused."""

SIGNALS_BYTES_MAX = 16 << 20
"""Bytes of their payloads together, without those that are stored and referred to."""


_NOTHING = payload_pb2.Payload()
_NO_EDITS: Mapping[str, payload_pb2.Payload] = {}


def has_ended(status: int) -> bool:
    """Whether an execution is over; while what it did is undone, it is not."""
    return status >= EXECUTION_COMPLETED and status != EXECUTION_COMPENSATING


class State:
    """One execution. `sequence` is that of its last event, 0 before the first.

    `link` is where it comes from, if not from a caller; `awaiting` has those nodes that wait for
    another execution under the empty name.
    `scope` is the plan's graph, `scopes` the bodies in progress by their prefix. `awaiting` are
    nodes that wait for a signal, by its name, `signals_taken` counts those that had one.
    `at_workers` are the nodes whose current attempt is to be, or is, at a worker, oldest first, and
    `open_lanes` counts them by lane of the plan. `held` are ready nodes that wait because of the
    plan's parallelism or because the execution is paused, and bodies that have more to begin.
    `running_count` counts tasks that have begun.

    `asking` are nodes that wait for people to approve, `on_hold` those that failed and wait for
    somebody, `stopped` those that have not begun because of a breakpoint, `passed` those that were
    let go on from one; `edits` are inputs that somebody wrote, by node. `undo` are the nodes whose
    work is to be undone if it comes to that, in the order they completed, and `closing` how the
    execution ends once it is. `variables` are the values before and after each of `variables_set`.
    `actor` started it, and has the `permissions`. `hold` is what it waits for before it begins.
    `joined_by` are nodes of others that wait for its end and are not its parent. What most
    executions never have is replaced and not changed: they share what is empty.
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
        return has_ended(self.status)

    @property
    def compensating(self) -> bool:
        return self.status == EXECUTION_COMPENSATING

    @property
    def stopping(self) -> bool:
        """Whether a node has failed and nothing further begins: it ends when workers are done."""
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
        """Whether no further task may begin now."""
        if self.status == EXECUTION_PAUSED:
            return True
        most = self.plan.parallelism
        return most > 0 and self.running_count >= most

    @property
    def moved_at_us(self) -> int:
        return max((node.ended_at_us for node in self.scope.nodes.values()), default=0)

    def variables_of(self, node: NodeState | None) -> Mapping[str, Any]:
        """What templates see: of a node as it was when its attempt became ready, else as now."""
        seen = node.variables if node is not None else 0
        return self.variables[min(seen, len(self.variables)) - 1]

    # --- nodes ---

    def node(self, node_id: str) -> NodeState | None:
        """A node that has begun or ended and whose graph is still there."""
        planned = self.plan.by_id.get(node_id)
        if planned is not None:
            return self.scope.nodes.get(planned.index)
        cut = node_id.rfind("/") + 1
        scope = self.scopes.get(node_id[:cut])
        planned = scope.graph.by_id.get(node_id[cut:]) if scope is not None else None
        return scope.nodes.get(planned.index) if scope is not None and planned is not None else None

    def reach(self, node_id: str) -> NodeState:
        """The node an event names; its graph begins with it where it is the next of its owner.

        Raises KeyError or ValueError for a node that cannot be.
        """
        planned = self.plan.by_id.get(node_id)
        if planned is not None:
            return self.scope.node(planned)
        scope, planned = self.place(node_id)
        return scope.node(planned)

    def place(self, node_id: str) -> tuple[Scope, PlanNode]:
        """Where a node is or will be; raises as `reach`."""
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
        raise ValueError(f"{prefix!r} is not what comes next")

    def open_scope(self, owner: NodeState) -> Scope:
        """The body of a node for its next item."""
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
        """The node's current attempt is to be at a worker from now on."""
        if node.id not in self.at_workers:
            self.at_workers[node.id] = node
            lane = node.planned.lane
            self.open_lanes[lane] = self.open_lanes.get(lane, 0) + 1

    def bring_back(self, node: NodeState) -> None:
        """The node's current attempt is over, or was never at a worker."""
        if self.at_workers.pop(node.id, None) is not None:
            lane = node.planned.lane
            left = self.open_lanes[lane] - 1
            if left:
                self.open_lanes[lane] = left
            else:
                del self.open_lanes[lane]

    # --- signals ---

    def next_signal(self, name: str) -> execution_pb2.Signal | None:
        """The first signal of this name that no node has had."""
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
        """When the next timer is due; 0 is never. All nodes having ended, no limit applies.

        One that is paused, or waits for somebody and nothing else, sleeps until it is spoken to.
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
        """When the execution has taken too long; 0 is never."""
        if not self.plan.timeout_us or self.ended or self.compensating or not self.scope.open_count:
            return 0
        if self.hold is not None:
            return 0
        return (self.begun_at_us or self.started_at_us) + self.plan.timeout_us

    def next_timer(self) -> tuple[int, str] | None:
        """When the first timer is due, and its node."""
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
        """What a node waits for next: the time given, or 0; and its limit, if that is earlier."""
        node.due_at_us = due_at_us
        expires = node.expires_at_us
        first = min(due_at_us, expires) if due_at_us and expires else due_at_us or expires
        if first:
            self.set_timer(node.id, first)
        else:
            self.clear_timer(node.id)

    def clear_timer(self, node_id: str) -> None:
        self.timers.pop(node_id, None)
