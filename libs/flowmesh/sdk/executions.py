"""Executions and their nodes as plain values, converted from messages."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from flowmesh.api.common.v1 import payload_pb2, search_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.sdk.failures import Failure, failure_of
from flowmesh.sdk.payloads import Json, decode_bytes, decode_inline

T = TypeVar("T")


class Status(StrEnum):
    """The status of an execution."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    # Ended, and continued as a new execution.
    CONTINUED = "continued"
    COMPENSATING = "compensating"
    # A status of a newer server.
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        return self in _ENDED


_ENDED = frozenset(
    (
        Status.COMPLETED,
        Status.FAILED,
        Status.CANCELED,
        Status.TERMINATED,
        Status.CONTINUED,
    )
)


class NodeStatus(StrEnum):
    """The status of a node."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    # A status of a newer server.
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        return self not in (NodeStatus.PENDING, NodeStatus.RUNNING, NodeStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value above 256 KiB that was not fetched; `client.fetch(value)` returns it."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Items:
    """The progress of a map."""

    total: int
    running: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Node:
    """A node with its started attempts, times (UTC), output or failure."""

    id: str
    name: str
    status: NodeStatus
    attempts: int
    dependencies: tuple[str, ...]
    task_type: str
    worker_id: str
    scheduled_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    due_at: datetime | None
    output: Json | StoredValue
    failure: Failure | None
    metadata: Json
    # The last started execution, of a node that starts a workflow.
    child_execution_id: str = ""
    child_workflow_id: str = ""
    child_version: int = 0
    # It waits for a manual action: its last attempt failed, or it is at a breakpoint.
    held: bool = False
    # The node that this one compensates.
    undoes: str = ""
    # The assignees of an approval; empty means any person.
    assignees: tuple[str, ...] = ()
    # The progress of a map with known items.
    items: Items | None = None

    @property
    def duration_ms(self) -> float | None:
        return duration_ms(self.started_at or self.scheduled_at, self.ended_at)


@dataclass(frozen=True, slots=True)
class SignalReceived:
    """A received signal."""

    name: str
    payload: Json | StoredValue
    received_at: datetime | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """The erasure of the values of an execution: its time, actor and reason."""

    at: datetime | None
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The wait before an execution begins: `delay` or `debounce` until a time, or `turn`."""

    reason: str
    until: datetime | None
    key: str


@dataclass(frozen=True, slots=True)
class Execution:
    """One running or finished workflow, as last committed."""

    id: str
    namespace: str
    workflow_id: str
    workflow_name: str
    workflow_version: int
    status: Status
    started_at: datetime | None
    ended_at: datetime | None
    input: Json | StoredValue
    output: Json | StoredValue
    failure: Failure | None
    last_sequence: int
    request_id: str
    nodes: tuple[Node, ...] = ()
    signals: tuple[SignalReceived, ...] = ()
    # The parent execution and its node. The previous, next and first run of a workflow that
    # continues as new.
    parent_id: str = ""
    parent_node: str = ""
    continued_from: str = ""
    continued_as: str = ""
    first_run: str = ""
    # The state of compensation: "", "compensating", "compensated", "failed".
    compensation: str = ""
    # The execution of which it is a rerun.
    rerun_of: str = ""
    # Searchable labels, attributes and input values by their full names.
    search: dict[str, str | float | bool | datetime | None] = field(default_factory=dict)
    # The current values of declared variables.
    variables: dict[str, Json] = field(default_factory=dict)
    # True for a copy of the archive, after the retention.
    archived: bool = False
    erasure: "Erasure | None" = None
    # Set until it begins, if its workflow has a start policy.
    hold: Hold | None = None
    _by_id: dict[str, Node] = field(default_factory=dict, repr=False, compare=False)

    def node(self, node_id: str) -> Node:
        """Return a node by its id; KeyError if it does not exist."""
        if not self._by_id:
            self._by_id.update((node.id, node) for node in self.nodes)
        return self._by_id[node_id]

    @property
    def duration_ms(self) -> float | None:
        return duration_ms(self.started_at, self.ended_at)


def duration_ms(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds() * 1000


def moment(at_us: int) -> datetime | None:
    """Convert microseconds since the epoch to a UTC time; 0 becomes None."""
    if not at_us:
        return None
    seconds, micros = divmod(at_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


def micros_of(at: datetime | None) -> int:
    """Return a time as microseconds since the epoch; None is 0. A naive time counts as UTC."""
    if at is None:
        return 0
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1_000_000)


def value_of(payload: payload_pb2.Payload) -> Json | StoredValue:
    if payload.HasField("reference"):
        return StoredValue(payload.reference.digest, payload.reference.size_bytes)
    return decode_inline(payload)


_STATUSES: dict[int, Status] = {
    number: Status(name.removeprefix("EXECUTION_STATUS_").lower())
    for name, number in execution_pb2.ExecutionStatus.items()
    if number
}
_NODE_STATUSES: dict[int, NodeStatus] = {
    number: NodeStatus(name.removeprefix("NODE_STATUS_").lower())
    for name, number in execution_pb2.NodeStatus.items()
    if number
}


def status_of(number: int) -> Status:
    """Return the status of a number in the contract; UNKNOWN for one of a newer server."""
    return _STATUSES.get(number, Status.UNKNOWN)


def number_of(status: Status | str) -> execution_pb2.ExecutionStatus.ValueType:
    """Return the number of a status in the contract; ValueError for an unknown status."""
    return execution_pb2.ExecutionStatus.Value(f"EXECUTION_STATUS_{Status(status).name}")


def _optional(message: Any, name: str, convert: Callable[[Any], T]) -> T | None:
    return convert(getattr(message, name)) if message.HasField(name) else None


def node_of(message: execution_pb2.Node) -> Node:
    return Node(
        id=message.id,
        name=message.name or message.id,
        status=_NODE_STATUSES.get(message.status, NodeStatus.UNKNOWN),
        attempts=message.attempts,
        dependencies=tuple(message.dependencies),
        task_type=message.task_type,
        worker_id=message.worker_id,
        scheduled_at=moment(message.scheduled_at_us),
        started_at=moment(message.started_at_us),
        ended_at=moment(message.ended_at_us),
        due_at=moment(message.due_at_us),
        output=value_of(message.output),
        failure=_optional(message, "failure", failure_of),
        metadata=decode_bytes(message.metadata),
        child_execution_id=message.child_execution_id,
        child_workflow_id=message.child_workflow_id,
        child_version=message.child_version,
        held=message.held,
        undoes=message.undoes,
        assignees=tuple(message.approval.assignees),
        items=_optional(message, "map", _items_of),
    )


def _items_of(message: execution_pb2.MapProgress) -> Items:
    return Items(message.total, message.running, message.completed, message.failed)


def _hold_of(message: execution_pb2.Hold) -> Hold:
    word = execution_pb2.HoldReason.Name(message.reason).removeprefix("HOLD_REASON_").lower()
    return Hold(word, moment(message.until_us), message.key)


def execution_of(message: execution_pb2.Execution) -> Execution:
    return Execution(
        id=message.execution_id,
        namespace=message.namespace,
        workflow_id=message.workflow_id,
        workflow_name=message.workflow_name or message.workflow_id,
        workflow_version=message.workflow_version,
        status=status_of(message.status),
        started_at=moment(message.started_at_us),
        ended_at=moment(message.ended_at_us),
        input=value_of(message.input),
        output=value_of(message.output),
        failure=_optional(message, "failure", failure_of),
        last_sequence=message.last_sequence,
        request_id=message.request_id,
        nodes=tuple(node_of(node) for node in message.nodes),
        signals=tuple(
            SignalReceived(s.name, value_of(s.payload), moment(s.received_at_us))
            for s in message.signals
        ),
        parent_id=message.link.parent_id,
        parent_node=message.link.parent_node,
        continued_from=message.link.continued_from,
        continued_as=message.continued_as,
        first_run=message.link.first_run,
        compensation=_compensation(message.compensation),
        rerun_of=message.origin.execution_id,
        search={each.name: _search_value(each) for each in message.search},
        variables={name: decode_inline(each) for name, each in message.variables.items()},
        archived=message.archived,
        hold=_optional(message, "hold", _hold_of),
        erasure=_optional(message, "erasure", _erasure_of),
    )


def _compensation(number: int) -> str:
    state = execution_pb2.CompensationState
    name = state.Name(state.ValueType(number)).removeprefix("COMPENSATION_STATE_").lower()
    return "" if name == "unspecified" else name


def _erasure_of(message: execution_pb2.Erasure) -> Erasure:
    return Erasure(moment(message.at_us), message.actor, message.reason)


def _search_value(value: search_pb2.SearchValue) -> str | float | bool | datetime | None:
    match value.WhichOneof("value"):
        case "number":
            return value.number
        case "flag":
            return value.flag
        case "time_us":
            return moment(value.time_us)
    return value.text
