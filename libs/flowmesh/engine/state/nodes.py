"""Nodes of a running execution, and their graphs. Only `apply` changes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.plan import (
    ITEM_ROOTS,
    PAGE_ROOTS,
    STATE_ROOTS,
    Graph,
    ItemsNeeded,
    PayloadReader,
    PlanNode,
    decode,
    decode_if_json,
)

if TYPE_CHECKING:
    from flowmesh.engine.state.journal import Journal

    NodeStatus: TypeAlias = execution_pb2.NodeStatus.ValueType

PENDING = execution_pb2.NODE_STATUS_PENDING
RUNNING = execution_pb2.NODE_STATUS_RUNNING
COMPLETED = execution_pb2.NODE_STATUS_COMPLETED
FAILED = execution_pb2.NODE_STATUS_FAILED
SKIPPED = execution_pb2.NODE_STATUS_SKIPPED
CANCELED = execution_pb2.NODE_STATUS_CANCELED


class NodeState:
    """The state of a node that has begun or ended.

    `id` is unique in the execution: `<id>` in the plan's graph, `<owner>[<item>]/<id>` in a body.
    `map` is set for a map with known items and for a group, `machine` for a state machine,
    `journal` for a durable handler after its first request.
    `begun_at_us` is the time of the first scheduled attempt. `by_hand` marks an outcome set by a
    caller. `child` is the requested child, `key` the key of the awaited signal.
    `variables` numbers the values of the variables that its attempt sees (`State.variables_of`).
    `tried` is the highest attempt of any node of its body, over all runs of the body.
    """

    __slots__ = (
        "approval",
        "attempt",
        "because_of",
        "begun_at_us",
        "by_hand",
        "child",
        "delivery",
        "due_at_us",
        "ended_at_us",
        "failure",
        "id",
        "journal",
        "key",
        "machine",
        "map",
        "metadata",
        "output",
        "planned",
        "scheduled_at_us",
        "scope",
        "started_at_us",
        "status",
        "tried",
        "variables",
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
        self.begun_at_us = 0
        self.by_hand = False
        self.approval: execution_pb2.Approval | None = None
        self.map: MapState | None = None
        self.machine: MachineState | None = None
        self.child: ChildState | None = None
        self.key = ""
        self.variables = 0
        self.tried = scope.tried
        self.journal: Journal | None = None

    def begin_attempt(self, attempt: int) -> None:
        """Set the attempt and raise `tried` of the owners around the node."""
        self.attempt = attempt
        owner = self.scope.owner
        while owner is not None and owner.tried < attempt:
            owner.tried = attempt
            owner = owner.scope.owner

    @property
    def awaited(self) -> str:
        """The awaited signal; empty for a node that waits for another execution."""
        signal = self.planned.signal
        return signal_with_key(signal, self.key) if self.key else signal

    @property
    def awaits(self) -> bool:
        """True if the running node waits for a signal or an execution. False before the key of a
        keyed wait is rendered.
        """
        planned = self.planned
        if planned.signal:
            return planned.input is None or bool(self.key)
        return planned.waits

    @property
    def is_group(self) -> bool:
        return self.planned.kind == plan_pb2.NODE_KIND_GROUP

    @property
    def inner(self) -> MapState | MachineState | Journal | None:
        """The state of the body, once it has begun."""
        return self.map or self.machine or self.journal

    @property
    def scopes(self) -> dict[int, Scope]:
        """The graphs of the body in progress."""
        return self.inner.scopes if self.inner is not None else {}

    @property
    def passes(self) -> bool:
        """True if successors may begin as after a completed node."""
        if self.status == COMPLETED:
            return True
        if self.status == FAILED:
            return self.planned.on_failure == plan_pb2.NODE_FAILURE_POLICY_CONTINUE
        return self.status == SKIPPED and self.by_hand

    @property
    def expires_at_us(self) -> int:
        """The deadline of all attempts together; 0 means none."""
        limit = self.planned.total_timeout_us
        return self.begun_at_us + limit if limit else 0


def signal_with_key(name: str, key: str) -> str:
    """Return the internal name of a keyed signal. Names contain no space."""
    return f"{name} {key}"


class ChildState:
    """The child that a node requested last. `open` until it ends or the node stops waiting.

    `workflow_id` is empty if the plan defines it. With `joined` it is an existing execution that
    answered the start, not a child.
    """

    __slots__ = ("execution_id", "joined", "open", "request_id", "version", "workflow_id")

    def __init__(self, request_id: str, workflow_id: str = "") -> None:
        self.request_id = request_id
        self.workflow_id = workflow_id
        self.execution_id = ""
        self.version = 0
        self.open = True
        self.joined = False


class MapState:
    """Progress of a map with known items, or of a group, which has one item.

    `outputs` has an entry for each of the `begun` items: its output after its end, as bytes for
    inline JSON; for an ended group the outputs of its leaves. `scopes` are the items in progress;
    `items` is None until needed. `failure` is that of the first failed item; no item begins after
    it.

    In a map by pages each page is an item: `cursors` holds the start of each page, `starts` the
    position of its first item among all, with one entry more for the next page. `excused` is the
    failure of the first failed item while the share of failed items is unknown.

    `tried` is the highest attempt of its nodes in earlier runs; new attempts are higher.
    """

    __slots__ = (
        "begun",
        "cursors",
        "excused",
        "failed",
        "failure",
        "items",
        "outputs",
        "scopes",
        "starts",
        "total",
        "tried",
    )

    def __init__(self, total: int, tried: int) -> None:
        self.total = total
        self.tried = tried
        self.cursors: list[bytes] = []
        self.starts: list[int] = []
        self.begun = 0
        self.outputs: list[bytes | payload_pb2.Payload] = []
        self.scopes: dict[int, Scope] = {}
        self.items: list[Any] | None = None
        self.failed = 0
        self.failure: failure_pb2.Failure | None = None
        self.excused: failure_pb2.Failure | None = None


class MachineState:
    """Progress of a state machine: the shared value, and the index of the next node, None at the
    end. `scopes` has the node in progress.

    `error` is the last caught failure, `failure` ends the machine at once, `deferred` fails it
    after its last node. `tried` is as for a map.
    """

    __slots__ = ("begun", "deferred", "error", "failure", "next", "scopes", "tried", "value")

    def __init__(self, value: payload_pb2.Payload, start: int | None, tried: int) -> None:
        self.value = value
        self.next = start
        self.tried = tried
        self.begun = 0
        self.scopes: dict[int, Scope] = {}
        self.error: failure_pb2.Failure | None = None
        self.failure: failure_pb2.Failure | None = None
        self.deferred: failure_pb2.Failure | None = None


class Scope:
    """A running graph: that of the plan, or a body for one item.

    `waiting` counts the open dependencies of each node; a node missing in `nodes` has not begun.
    `owner` is the node with this body, `item` the number of the item, `failed` the critical node
    that failed first. In the body of a state machine a single node runs, once.
    A `kept` graph stays after its end, for compensation.
    Attempts of its nodes are above `tried`: a worker may still run an earlier attempt.
    """

    __slots__ = (
        "failed",
        "graph",
        "item",
        "kept",
        "nodes",
        "open_count",
        "owner",
        "prefix",
        "tried",
        "waiting",
    )

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
        self.kept = False
        inner = owner.inner if owner is not None else None
        self.tried: int = inner.tried if inner is not None else 0

    def next_attempt(self, planned: PlanNode) -> int:
        """Return the number of the next attempt of a node, begun or not."""
        node = self.nodes.get(planned.index)
        return max(node.attempt if node is not None else 0, self.tried) + 1

    @property
    def parent(self) -> Scope | None:
        return self.owner.scope if self.owner is not None else None

    def node(self, planned: PlanNode) -> NodeState:
        """Return the state of a node; create it if it has not begun."""
        node = self.nodes.get(planned.index)
        if node is None:
            node = self.nodes[planned.index] = NodeState(planned, self)
        return node

    def output_of(self, index: int) -> payload_pb2.Payload | None:
        node = self.nodes.get(index)
        return node.output if node is not None else None

    def ended_node(self, index: int) -> NodeState | None:
        return self.nodes.get(index)

    def binding(self, name: str, read: PayloadReader) -> Any:
        scope: Scope | None = self
        while scope is not None and scope.owner is not None:
            owner = scope.owner
            if owner.planned.pages_max:
                if name in PAGE_ROOTS and owner.map is not None:
                    return decode(payload_pb2.Payload(data=owner.map.cursors[scope.item]), read)
            elif name in ITEM_ROOTS and owner.planned.kind == plan_pb2.NODE_KIND_MAP:
                return _position(owner, scope) if name == "index" else _item_of(owner, scope.item)
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
        """Return whether the edge from an ended node is taken."""
        before = self.nodes[source]
        rules = planned.rules.get(source)
        if rules is None:
            return before.passes and not (before.planned.gate and is_false(before.output))
        for rule in rules:
            if rule.on_failure:
                if before.status == FAILED:
                    return True
            elif before.passes and (not rule.label or names(before, rule.label)):
                return True
        return False

    def startable(self, planned: PlanNode) -> bool:
        """Return whether the dependencies of a node allow it to begin."""
        if not self.waiting[planned.index]:
            return True
        if planned.join != plan_pb2.JOIN_ANY:
            return False
        return self.joined(planned)

    def joined(self, planned: PlanNode) -> bool:
        """Return whether enough edges to a node are taken, with all required ones."""
        taken = {i for i in planned.dependencies if self.ended(i) and self.taken(i, planned)}
        return len(taken) >= planned.join_count and planned.required <= taken

    def ended(self, index: int) -> bool:
        node = self.nodes.get(index)
        return node is not None and node.status > RUNNING


def is_false(output: payload_pb2.Payload | None) -> bool:
    return output is not None and output.data.strip() == b"false"


def names(node: NodeState, label: str) -> bool:
    """Return whether an output names a label: as a string, in a list, or as `outcome`."""
    if node.output is None or node.output.HasField("reference"):
        return False
    value = decode(node.output)
    if isinstance(value, dict):
        value = value.get("outcome")
    return value == label or (isinstance(value, list) and label in value)


def _position(owner: NodeState, scope: Scope) -> int:
    """Return the position of an item in its map, counted over all pages."""
    pager = owner.scope.owner
    if pager is None or pager.map is None or not pager.planned.pages_max:
        return scope.item
    return pager.map.starts[owner.scope.item] + scope.item


def _item_of(owner: NodeState, item: int) -> Any:
    if owner.map is None or owner.map.items is None:
        raise ItemsNeeded(owner)
    return owner.map.items[item]


def _fields(failure: failure_pb2.Failure | None) -> dict[str, Any] | None:
    """Return a failure as templates see it."""
    if failure is None:
        return None
    return {
        "class": getattr(failure, "class"),
        "message": failure.message,
        "node": failure.node,
        "details": decode_if_json(failure.details),
    }
