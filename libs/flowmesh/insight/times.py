"""Times of nodes and attempts, read from a history."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb

PENDING = execution_pb2.NODE_STATUS_PENDING
RUNNING = execution_pb2.NODE_STATUS_RUNNING
COMPLETED = execution_pb2.NODE_STATUS_COMPLETED
FAILED = execution_pb2.NODE_STATUS_FAILED
SKIPPED = execution_pb2.NODE_STATUS_SKIPPED
CANCELED = execution_pb2.NODE_STATUS_CANCELED


@dataclass(slots=True)
class AttemptTimes:
    """Times of an attempt: ready, started, ended, in microseconds; 0 means not yet.

    A `suspended` attempt ended because its handler waits.
    """

    number: int
    ready_us: int
    started_us: int = 0
    ended_us: int = 0
    deliveries: int = 0
    worker_id: str = ""
    suspended: bool = False
    failure: failure_pb2.Failure | None = None

    @property
    def begins_us(self) -> int:
        """The start; for a node without a worker the time at which it was ready."""
        return self.started_us or (self.ready_us if self.ended_us else 0)


@dataclass(slots=True)
class NodeTimes:
    """The attempts of a node by number, and its outcome.

    `expanded_us` is the time at which the items of a map, or the first value of a machine, were
    known, `held_us` the start of its last hold.
    """

    id: str = ""
    status: execution_pb2.NodeStatus.ValueType = PENDING
    attempts: dict[int, AttemptTimes] = field(default_factory=dict)
    ready_us: int = 0
    started_us: int = 0
    ended_us: int = 0
    expanded_us: int = 0
    held_us: int = 0
    output: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None
    because_of: str = ""
    metadata: bytes = b""

    def attempt(self, number: int, at_us: int) -> AttemptTimes:
        self.ready_us = self.ready_us or at_us
        return self.attempts.setdefault(number, AttemptTimes(number, at_us))


@dataclass(slots=True)
class History:
    """The nodes of a history in order of appearance, and its pauses.

    `undone_us` is the start of the compensation.
    """

    nodes: dict[str, NodeTimes] = field(default_factory=dict)
    # Start and end, in microseconds; 0 means not yet.
    pauses: list[tuple[int, int]] = field(default_factory=list)
    held_us: int = 0
    begun_us: int = 0
    started_us: int = 0
    undone_us: int = 0
    ended_us: int = 0
    status: execution_pb2.ExecutionStatus.ValueType = execution_pb2.EXECUTION_STATUS_PENDING
    input: payload_pb2.Payload = field(default_factory=payload_pb2.Payload)
    output: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None

    def node(self, node_id: str) -> NodeTimes:
        """Return the times of a node; empty ones if no event names it."""
        return self.nodes.get(node_id) or NodeTimes(node_id)


def read(events: Iterable[pb.HistoryEvent]) -> History:
    """Read the times of all nodes, those in bodies included."""
    history = History()
    for event in events:
        kind = event.WhichOneof("event")
        body = getattr(event, kind) if kind else None
        node_id = getattr(body, "node", "")
        if node_id:
            node = history.nodes.get(node_id)
            if node is None:
                node = history.nodes[node_id] = NodeTimes(node_id)
            _note(node, body, event.at_us)
            if isinstance(body, pb.NodeSteered):
                _reopen(history, node, body)
        else:
            _note_execution(history, body, event.at_us)
    return history


def _note_execution(history: History, body: object, at_us: int) -> None:
    match body:
        case pb.WorkflowStarted():
            history.started_us, history.input = at_us, body.input
            history.status = execution_pb2.EXECUTION_STATUS_RUNNING
        case pb.WorkflowHeld():
            history.held_us = history.held_us or at_us
            history.status = execution_pb2.EXECUTION_STATUS_PENDING
        case pb.WorkflowBegun():
            history.begun_us = at_us
            if history.status == execution_pb2.EXECUTION_STATUS_PENDING:
                history.status = execution_pb2.EXECUTION_STATUS_RUNNING
        case pb.StartDebounced():
            history.input = body.input
        case pb.WorkflowPaused():
            history.pauses.append((at_us, 0))
            history.status = execution_pb2.EXECUTION_STATUS_PAUSED
        case pb.WorkflowResumed():
            _resume(history, at_us)
            held = history.held_us and not history.begun_us
            history.status = (
                execution_pb2.EXECUTION_STATUS_PENDING
                if held
                else execution_pb2.EXECUTION_STATUS_RUNNING
            )
        case pb.CompensationStarted():
            history.undone_us = at_us
            history.status = execution_pb2.EXECUTION_STATUS_COMPENSATING
        case pb.WorkflowCompleted():
            history.output = body.output if body.HasField("output") else None
            _end(history, execution_pb2.EXECUTION_STATUS_COMPLETED, at_us)
        case pb.WorkflowContinued():
            _end(history, execution_pb2.EXECUTION_STATUS_CONTINUED, at_us)
        case pb.WorkflowFailed():
            history.failure = body.failure
            _end(history, execution_pb2.EXECUTION_STATUS_FAILED, at_us)
        case pb.WorkflowCanceled():
            _end(history, execution_pb2.EXECUTION_STATUS_CANCELED, at_us)
        case pb.WorkflowTerminated():
            _end(history, execution_pb2.EXECUTION_STATUS_TERMINATED, at_us)


def _resume(history: History, at_us: int) -> None:
    if history.pauses and not history.pauses[-1][1]:
        history.pauses[-1] = (history.pauses[-1][0], at_us)


def _reopen(history: History, node: NodeTimes, body: pb.NodeSteered) -> None:
    """Reopen a failed node and the successors that were skipped because of it."""
    if body.action == execution_pb2.NODE_ACTION_OVERRIDE:
        node.output = body.output
        return
    if node.status == FAILED:
        node.status, node.ended_us = RUNNING, 0
    for skipped in map(history.node, body.reopened):
        skipped.status, skipped.ended_us, skipped.because_of = PENDING, 0, ""


def _end(history: History, status: execution_pb2.ExecutionStatus.ValueType, at_us: int) -> None:
    _resume(history, at_us)
    history.status, history.ended_us = status, at_us


def _note(node: NodeTimes, body: object, at_us: int) -> None:
    number = getattr(body, "attempt", 0) or 1
    match body:
        case pb.TaskScheduled():
            node.attempt(number, at_us)
            node.status = RUNNING
        case pb.TimerStarted():
            attempt = node.attempt(number, at_us)
            attempt.started_us = node.started_us = at_us
            node.status = RUNNING
        case pb.TaskStarted():
            attempt = node.attempt(number, at_us)
            begun_us = body.started_at_us or at_us
            attempt.started_us = attempt.started_us or begun_us
            node.started_us = node.started_us or begun_us
            attempt.deliveries = max(attempt.deliveries, body.delivery)
            attempt.worker_id = body.worker_id
        case pb.TaskRetrying():
            attempt = node.attempt(number, at_us)
            attempt.ended_us, attempt.failure = at_us, body.failure
        case pb.TaskHeld():
            attempt = node.attempt(number, at_us)
            attempt.ended_us, attempt.failure = at_us, body.failure
            node.held_us = at_us
        case pb.TaskSuspended():
            attempt = node.attempt(number, at_us)
            attempt.ended_us, attempt.suspended = at_us, True
        case pb.BreakpointReached():
            node.held_us = at_us
        case pb.ResultReused():
            node.ended_us = at_us
            node.status = FAILED if body.HasField("failure") else COMPLETED
            node.output = body.output if body.HasField("output") else None
            node.failure = body.failure if body.HasField("failure") else None
        case pb.TaskCompleted() | pb.TaskFailed() | pb.TaskCanceled():
            node.attempt(number, at_us).ended_us = node.ended_us = at_us
            _note_end(node, body, number)
        case pb.TaskSkipped():
            node.ended_us, node.status, node.because_of = at_us, SKIPPED, body.because_of
        case pb.MapStarted() | pb.StatesStarted():
            node.expanded_us = at_us


def _note_end(
    node: NodeTimes, body: pb.TaskCompleted | pb.TaskFailed | pb.TaskCanceled, number: int
) -> None:
    match body:
        case pb.TaskCompleted():
            node.status, node.output, node.failure = COMPLETED, body.output, None
            node.metadata = body.metadata
        case pb.TaskFailed():
            node.status, node.failure = FAILED, body.failure
            node.attempts[number].failure = body.failure
        case _:
            node.status = CANCELED
