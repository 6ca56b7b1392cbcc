"""The state of one execution: what its history adds up to. Changed by `apply` alone."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.plan import Plan, PlanNode

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

REQUEST_IDS_MAX = 1_000
"""Request ids of commands an execution remembers; older repeats are applied again."""


class NodeState:
    """What has become of one node that has begun or ended."""

    __slots__ = (
        "attempt",
        "because_of",
        "delivery",
        "due_at_us",
        "ended_at_us",
        "failure",
        "metadata",
        "output",
        "scheduled_at_us",
        "started_at_us",
        "status",
        "worker_id",
    )

    def __init__(self) -> None:
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


class Scope:
    """One graph of nodes being run. A flat workflow is the one-scope case.

    `waiting` counts the dependencies of each node that have not ended; a node that is not in
    `nodes` has not begun. `at_workers` are the nodes whose current attempt is to be, or is, at a
    worker, oldest first, and `open_lanes` counts them by lane of the plan; `held` ready ones that
    wait because of the plan's parallelism.
    """

    __slots__ = (
        "at_workers",
        "held",
        "nodes",
        "open_count",
        "open_lanes",
        "parent",
        "path",
        "running_count",
        "waiting",
    )

    def __init__(self, plan: Plan, path: str = "", parent: Scope | None = None) -> None:
        self.path = path
        self.parent = parent
        self.nodes: dict[int, NodeState] = {}
        self.waiting = [len(node.dependencies) for node in plan.nodes]
        self.open_count = len(plan.nodes)
        self.running_count = 0
        self.at_workers: dict[int, None] = {}
        self.open_lanes: dict[int, int] = {}
        # A node can become ready twice in one step, by two dependencies that ended in it.
        self.held: OrderedDict[int, None] = OrderedDict()

    def send(self, node: PlanNode) -> None:
        """The node's current attempt is to be at a worker from now on."""
        if node.index not in self.at_workers:
            self.at_workers[node.index] = None
            self.open_lanes[node.lane] = self.open_lanes.get(node.lane, 0) + 1

    def bring_back(self, node: PlanNode) -> None:
        """The node's current attempt is over, or was never at a worker."""
        if node.index in self.at_workers:
            del self.at_workers[node.index]
            left = self.open_lanes[node.lane] - 1
            if left:
                self.open_lanes[node.lane] = left
            else:
                del self.open_lanes[node.lane]


class State:
    """One execution. `sequence` is that of its last event, 0 before the first."""

    __slots__ = (
        "ended_at_us",
        "execution_id",
        "failed_node",
        "failure",
        "input",
        "output",
        "plan",
        "request_id",
        "requests",
        "scope",
        "sequence",
        "signals",
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
        self.failed_node = -1
        self.scope = Scope(plan)
        self.timers: dict[int, int] = {}
        self.requests: dict[str, int] = {}
        self.signals: list[execution_pb2.Signal] = []

    @property
    def ended(self) -> bool:
        return self.status >= EXECUTION_COMPLETED

    @property
    def wake_at_us(self) -> int:
        """When the next timer is due; 0 is never. All nodes having ended, no limit applies."""
        wake = min(self.timers.values(), default=0)
        if self.plan.timeout_us and not self.ended and self.scope.open_count:
            limit = self.started_at_us + self.plan.timeout_us
            return min(wake, limit) if wake else limit
        return wake

    def node(self, index: int) -> NodeState | None:
        return self.scope.nodes.get(index)

    def output_of(self, index: int) -> payload_pb2.Payload | None:
        node = self.scope.nodes.get(index)
        return node.output if node is not None else None
