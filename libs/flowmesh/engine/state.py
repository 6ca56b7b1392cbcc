"""The state of one execution: what its history adds up to. Changed by `apply` alone."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.plan import Graph, ItemsNeeded, Plan, PlanNode

if TYPE_CHECKING:
    NodeStatus: TypeAlias = execution_pb2.NodeStatus.ValueType
    ExecutionStatus: TypeAlias = execution_pb2.ExecutionStatus.ValueType

PENDING = execution_pb2.NODE_STATUS_PENDING
RUNNING = execution_pb2.NODE_STATUS_RUNNING
COMPLETED = execution_pb2.NODE_STATUS_COMPLETED
FAILED = execution_pb2.NODE_STATUS_FAILED
SKIPPED = execution_pb2.NODE_STATUS_SKIPPED
CANCELED = execution_pb2.NODE_STATUS_CANCELED

EXECUTION_RUNNING = execution_pb2.EXECUTION_STATUS_RUNNING
EXECUTION_COMPLETED = execution_pb2.EXECUTION_STATUS_COMPLETED
EXECUTION_FAILED = execution_pb2.EXECUTION_STATUS_FAILED
EXECUTION_CANCELED = execution_pb2.EXECUTION_STATUS_CANCELED
EXECUTION_TERMINATED = execution_pb2.EXECUTION_STATUS_TERMINATED
EXECUTION_PENDING = execution_pb2.EXECUTION_STATUS_PENDING

ASK_AGAIN_US = 1_000_000
"""A map that needs something from outside asks for it again after this time."""

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


class NodeState:
    """What has become of one node that has begun or ended.

    `id` names it in its execution: `<id>` in the plan's graph, `<map>[<item>]/<id>` below a map.
    """

    __slots__ = (
        "attempt",
        "because_of",
        "delivery",
        "due_at_us",
        "ended_at_us",
        "failure",
        "id",
        "map",
        "metadata",
        "output",
        "planned",
        "scheduled_at_us",
        "scope",
        "started_at_us",
        "status",
        "worker_id",
    )

    def __init__(self, planned: PlanNode, scope: Scope) -> None:
        self.planned = planned
        self.scope = scope
        self.id = scope.prefix + planned.id if scope.prefix else planned.id
        self.status = PENDING
        self.attempt = 0
        self.delivery = 0
        self.scheduled_at_us = 0
        self.started_at_us = 0
        self.ended_at_us = 0
        self.due_at_us = 0
        self.output: payload_pb2.Payload | None = None
        self.failure: failure_pb2.Failure | None = None
        self.metadata = b""
        self.worker_id = ""
        self.because_of = ""
        self.map: MapState | None = None


class MapState:
    """How far a map is whose items are known.

    `outputs` has a place for each of the `begun` items: its output once it has ended, bare where
    it is inline JSON. `scopes` are the items in progress; `items` is None until somebody needs it.
    `failure` is that of the item that failed first; none begins after it.
    """

    __slots__ = ("begun", "failed", "failure", "items", "outputs", "scopes", "total")

    def __init__(self, total: int) -> None:
        self.total = total
        self.begun = 0
        self.outputs: list[bytes | payload_pb2.Payload] = []
        self.scopes: dict[int, Scope] = {}
        self.items: list[Any] | None = None
        self.failed = 0
        self.failure: failure_pb2.Failure | None = None


class Scope:
    """One graph of nodes being run: that of the plan, or the body of a map for one item.

    `waiting` counts the dependencies of each node that have not ended; a node that is not in
    `nodes` has not begun. `owner` is the map, `item` which of its items; `failed` the critical
    node that failed first.
    """

    __slots__ = ("failed", "graph", "item", "nodes", "open_count", "owner", "prefix", "waiting")

    def __init__(self, graph: Graph, owner: NodeState | None = None, item: int = 0) -> None:
        self.graph = graph
        self.owner = owner
        self.item = item
        self.prefix: str = f"{owner.id}[{item}]/" if owner is not None else ""
        self.nodes: dict[int, NodeState] = {}
        self.waiting = [len(node.dependencies) for node in graph.nodes]
        self.open_count = len(graph.nodes)
        self.failed: NodeState | None = None

    @property
    def parent(self) -> Scope | None:
        return self.owner.scope if self.owner is not None else None

    def node(self, planned: PlanNode) -> NodeState:
        """The state of a node, which begins with this."""
        node = self.nodes.get(planned.index)
        if node is None:
            node = self.nodes[planned.index] = NodeState(planned, self)
        return node

    def output_of(self, index: int) -> payload_pb2.Payload | None:
        node = self.nodes.get(index)
        return node.output if node is not None else None

    def bindings(self) -> Mapping[str, Any]:
        if self.owner is None or self.owner.map is None:
            return {}
        if self.owner.map.items is None:
            raise ItemsNeeded(self.owner)
        return {"item": self.owner.map.items[self.item], "index": self.item}


class State:
    """One execution. `sequence` is that of its last event, 0 before the first.

    `scope` is the plan's graph, `scopes` the bodies in progress by their prefix. `at_workers` are
    the nodes whose current attempt is to be, or is, at a worker, oldest first, and `open_lanes`
    counts them by lane of the plan. `held` are ready nodes that wait because of the plan's
    parallelism, and maps that have more items. `running_count` counts tasks that have begun.
    """

    __slots__ = (
        "_timer_heap",
        "at_workers",
        "ended_at_us",
        "execution_id",
        "failure",
        "held",
        "input",
        "open_lanes",
        "output",
        "plan",
        "request_id",
        "requests",
        "running_count",
        "scope",
        "scopes",
        "sequence",
        "signals",
        "signals_bytes",
        "started_at_us",
        "status",
        "timers",
        "traceparent",
    )

    def __init__(self, execution_id: str, plan: Plan) -> None:
        self.execution_id = execution_id
        self.plan = plan
        self.status = EXECUTION_PENDING
        self.sequence = 0
        self.started_at_us = 0
        self.ended_at_us = 0
        self.request_id = ""
        self.traceparent = ""
        self.input = payload_pb2.Payload()
        self.output: payload_pb2.Payload | None = None
        self.failure: failure_pb2.Failure | None = None
        self.scope = Scope(plan)
        self.scopes: dict[str, Scope] = {}
        self.at_workers: dict[str, NodeState] = {}
        self.open_lanes: dict[int, int] = {}
        self.held: OrderedDict[str, tuple[Scope, PlanNode]] = OrderedDict()
        self.running_count = 0
        self.timers: dict[str, int] = {}
        self._timer_heap: list[tuple[int, str]] = []
        self.requests: dict[str, int] = {}
        self.signals: list[execution_pb2.Signal] = []
        self.signals_bytes = 0

    @property
    def ended(self) -> bool:
        return self.status >= EXECUTION_COMPLETED

    @property
    def moved_at_us(self) -> int:
        return max((node.ended_at_us for node in self.scope.nodes.values()), default=0)

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
        """The node an event names; its graph begins with it where it is the next of a map.

        Raises KeyError or ValueError for a node that cannot be.
        """
        planned = self.plan.by_id.get(node_id)
        if planned is not None:
            return self.scope.node(planned)
        cut = node_id.rfind("/") + 1
        scope = self.scopes.get(node_id[:cut]) or self._next_scope(node_id[:cut])
        return scope.node(scope.graph.by_id[node_id[cut:]])

    def _next_scope(self, prefix: str) -> Scope:
        owner = self.node(prefix[: prefix.rfind("[")])
        if owner is not None and owner.map is not None:
            scope = self.open_scope(owner)
            if scope.prefix == prefix:
                return scope
        raise ValueError(f"{prefix!r} is not what comes next")

    def open_scope(self, owner: NodeState) -> Scope:
        """The body of a map for its next item."""
        assert owner.map is not None
        assert owner.planned.body is not None
        scope = Scope(owner.planned.body, owner, owner.map.begun)
        owner.map.begun += 1
        owner.map.outputs.append(b"")
        owner.map.scopes[scope.item] = scope
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

    # --- timers ---

    @property
    def wake_at_us(self) -> int:
        """When the next timer is due; 0 is never. All nodes having ended, no limit applies."""
        first = self.next_timer()
        wake = first[0] if first is not None else 0
        if self.plan.timeout_us and not self.ended and self.scope.open_count:
            limit = self.started_at_us + self.plan.timeout_us
            return min(wake, limit) if wake else limit
        return wake

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

    def clear_timer(self, node_id: str) -> None:
        self.timers.pop(node_id, None)
