"""The state of one execution: what its history adds up to. Changed by `apply` alone."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.plan import (
    ITEM_ROOTS,
    STATE_ROOTS,
    Graph,
    ItemsNeeded,
    PayloadReader,
    Plan,
    PlanNode,
    decode,
    decode_if_json,
)

if TYPE_CHECKING:
    NodeStatus: TypeAlias = execution_pb2.NodeStatus.ValueType
    ExecutionStatus: TypeAlias = execution_pb2.ExecutionStatus.ValueType

PENDING = execution_pb2.NODE_STATUS_PENDING
RUNNING = execution_pb2.NODE_STATUS_RUNNING
COMPLETED = execution_pb2.NODE_STATUS_COMPLETED
FAILED = execution_pb2.NODE_STATUS_FAILED
SKIPPED = execution_pb2.NODE_STATUS_SKIPPED
CANCELED = execution_pb2.NODE_STATUS_CANCELED

EXECUTION_PAUSED = execution_pb2.EXECUTION_STATUS_PAUSED
EXECUTION_RUNNING = execution_pb2.EXECUTION_STATUS_RUNNING
EXECUTION_COMPLETED = execution_pb2.EXECUTION_STATUS_COMPLETED
EXECUTION_FAILED = execution_pb2.EXECUTION_STATUS_FAILED
EXECUTION_CANCELED = execution_pb2.EXECUTION_STATUS_CANCELED
EXECUTION_TERMINATED = execution_pb2.EXECUTION_STATUS_TERMINATED
EXECUTION_PENDING = execution_pb2.EXECUTION_STATUS_PENDING

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


class NodeState:
    """What has become of one node that has begun or ended.

    `id` names it in its execution: `<id>` in the plan's graph, `<owner>[<item>]/<id>` in a body.
    `map` is that of a map whose items are known or of a group, `machine` of a state machine.
    """

    __slots__ = (
        "attempt",
        "because_of",
        "delivery",
        "due_at_us",
        "ended_at_us",
        "failure",
        "id",
        "machine",
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
        self.machine: MachineState | None = None

    @property
    def is_group(self) -> bool:
        return self.planned.kind == plan_pb2.NODE_KIND_GROUP

    @property
    def scopes(self) -> dict[int, Scope]:
        """Those of its body that are in progress."""
        inner = self.map or self.machine
        return inner.scopes if inner is not None else {}


class MapState:
    """How far a map is whose items are known, or a group, which has one item.

    `outputs` has a place for each of the `begun` items: its output once it has ended, bare where
    it is inline JSON; of a group that has ended those of its leaves. `scopes` are the items in
    progress; `items` is None until somebody needs it. `failure` is that of the item that failed
    first; none begins after it.
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


class MachineState:
    """Where a state machine is: the value its nodes share, and the index of the one that begins
    next, None at the end. `scopes` has the one in progress.

    `error` is the failure that was caught last, `failure` why the machine cannot go on.
    """

    __slots__ = ("begun", "error", "failure", "next", "scopes", "value")

    def __init__(self, value: payload_pb2.Payload, start: int | None) -> None:
        self.value = value
        self.next = start
        self.begun = 0
        self.scopes: dict[int, Scope] = {}
        self.error: failure_pb2.Failure | None = None
        self.failure: failure_pb2.Failure | None = None


class Scope:
    """One graph of nodes being run: that of the plan, or a body for one item.

    `waiting` counts the dependencies of each node that have not ended; a node that is not in
    `nodes` has not begun. `owner` is the node whose body it is, `item` which of its items; `failed`
    the critical node that failed first. Of the body of a state machine a single node runs, once.
    """

    __slots__ = ("failed", "graph", "item", "nodes", "open_count", "owner", "prefix", "waiting")

    def __init__(self, graph: Graph, owner: NodeState | None = None, item: int = 0) -> None:
        self.graph = graph
        self.owner = owner
        self.item = item
        self.prefix: str = f"{owner.id}[{item}]/" if owner is not None else ""
        self.nodes: dict[int, NodeState] = {}
        single = owner is not None and owner.machine is not None
        self.waiting = [] if single else [len(node.dependencies) for node in graph.nodes]
        self.open_count = 1 if single else len(graph.nodes)
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

    def binding(self, name: str, read: PayloadReader) -> Any:
        scope: Scope | None = self
        while scope is not None and scope.owner is not None:
            owner = scope.owner
            if name in ITEM_ROOTS and owner.planned.kind == plan_pb2.NODE_KIND_MAP:
                return scope.item if name == "index" else _item_of(owner, scope.item)
            if name in STATE_ROOTS and owner.machine is not None:
                machine = owner.machine
                return _fields(machine.error) if name == "error" else decode(machine.value, read)
            scope = owner.scope
        raise KeyError(name)

    def machine_value(self) -> payload_pb2.Payload | None:
        scope: Scope | None = self
        while scope is not None and scope.owner is not None:
            if scope.owner.machine is not None:
                return scope.owner.machine.value
            scope = scope.owner.scope
        return None

    def taken(self, source: int, planned: PlanNode) -> bool:
        """Whether the edge from a node that has ended is taken."""
        before = self.nodes[source]
        rules = planned.rules.get(source)
        if rules is None:
            return before.status == COMPLETED and not (
                before.planned.gate and is_false(before.output)
            )
        for rule in rules:
            if rule.on_failure:
                if before.status == FAILED:
                    return True
            elif before.status == COMPLETED and (not rule.label or names(before, rule.label)):
                return True
        return False

    def startable(self, planned: PlanNode) -> bool:
        """Whether nothing holds a node back any more."""
        if not self.waiting[planned.index]:
            return True
        if planned.join != plan_pb2.JOIN_ANY:
            return False
        ended = (index for index in planned.dependencies if self.ended(index))
        return any(self.taken(index, planned) for index in ended)

    def ended(self, index: int) -> bool:
        node = self.nodes.get(index)
        return node is not None and node.status > RUNNING


def is_false(output: payload_pb2.Payload | None) -> bool:
    return output is not None and output.data.strip() == b"false"


def names(node: NodeState, label: str) -> bool:
    """Whether a node's output names a label: as a string or in a list of strings."""
    if node.output is None or node.output.HasField("reference"):
        return False
    value = decode(node.output)
    return value == label or (isinstance(value, list) and label in value)


def _item_of(owner: NodeState, item: int) -> Any:
    if owner.map is None or owner.map.items is None:
        raise ItemsNeeded(owner)
    return owner.map.items[item]


def _fields(failure: failure_pb2.Failure | None) -> dict[str, Any] | None:
    """What templates see of a failure."""
    if failure is None:
        return None
    return {
        "class": getattr(failure, "class"),
        "message": failure.message,
        "node": failure.node,
        "details": decode_if_json(failure.details),
    }


class State:
    """One execution. `sequence` is that of its last event, 0 before the first.

    `scope` is the plan's graph, `scopes` the bodies in progress by their prefix. `awaiting` are
    nodes that wait for a signal, by its name, `signals_taken` counts those that had one.
    `at_workers` are the nodes whose current attempt is to be, or is, at a worker, oldest first, and
    `open_lanes` counts them by lane of the plan. `held` are ready nodes that wait because of the
    plan's parallelism or because the execution is paused, and bodies that have more to begin.
    `running_count` counts tasks that have begun.
    """

    __slots__ = (
        "_timer_heap",
        "at_workers",
        "awaiting",
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
        "signals_taken",
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
        self.signals_taken: dict[str, int] = {}
        self.awaiting: dict[str, OrderedDict[str, NodeState]] = {}

    @property
    def ended(self) -> bool:
        return self.status >= EXECUTION_COMPLETED

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
        cut = node_id.rfind("/") + 1
        scope = self.scopes.get(node_id[:cut]) or self._next_scope(node_id[:cut])
        return scope.node(scope.graph.by_id[node_id[cut:]])

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

    def drop_scopes(self, owner: NodeState) -> None:
        """Lets go what is in progress below a node, with all that was to begin there."""
        for scope in owner.scopes.values():
            del self.scopes[scope.prefix]
            for node in scope.nodes.values():
                self.drop_scopes(node)
            for key in [key for key in self.held if key.startswith(scope.prefix)]:
                del self.held[key]
        owner.scopes.clear()

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
        self.awaiting.setdefault(node.planned.signal, OrderedDict())[node.id] = node

    def await_no_more(self, node: NodeState) -> None:
        waiting = self.awaiting.get(node.planned.signal)
        if waiting is not None:
            waiting.pop(node.id, None)
            if not waiting:
                del self.awaiting[node.planned.signal]

    # --- timers ---

    @property
    def wake_at_us(self) -> int:
        """When the next timer is due; 0 is never. All nodes having ended, no limit applies.

        One that is paused, or waits for a signal and nothing else, sleeps until it is spoken to.
        """
        first = self.next_timer() if not self.paused else None
        wake = first[0] if first is not None else 0
        if self.plan.timeout_us and not self.ended and self.scope.open_count:
            limit = self.started_at_us + self.plan.timeout_us
            return min(wake, limit) if wake else limit
        return FAR_US if (self.awaiting or self.paused) and not wake else wake

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
