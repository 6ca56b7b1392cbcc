"""Executions and their nodes as plain values, converted from messages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from flowmesh.api.common.v1 import payload_pb2, search_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.contract.json_value import Json
from flowmesh.records import Source, moment
from flowmesh.sdk.values.failures import Failure
from flowmesh.sdk.values.payloads import decode_inline


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


def value_of(payload: payload_pb2.Payload) -> Json | StoredValue:
    if payload.HasField("reference"):
        return StoredValue(payload.reference.digest, payload.reference.size_bytes)
    return decode_inline(payload)


def _node_name(node: execution_pb2.Node) -> str:
    return node.name or node.id


def _workflow_name(execution: execution_pb2.Execution) -> str:
    return execution.workflow_name or execution.workflow_id


Search = dict[str, str | float | bool | datetime | None]


def _search_of(values: Iterable[search_pb2.SearchValue]) -> Search:
    return {each.name: _search_value(each) for each in values}


def _search_value(value: search_pb2.SearchValue) -> str | float | bool | datetime | None:
    match value.WhichOneof("value"):
        case "number":
            return value.number
        case "flag":
            return value.flag
        case "time_us":
            return moment(value.time_us)
    return value.text


def _variables_of(values: Mapping[str, payload_pb2.Payload]) -> dict[str, Json]:
    return {name: decode_inline(each) for name, each in values.items()}


Value = Annotated[Json | StoredValue, Source(read=value_of)]
"""A value of a payload."""


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
    name: Annotated[str, Source(".", read=_node_name)]
    status: NodeStatus
    attempts: int
    dependencies: tuple[str, ...]
    task_type: str
    worker_id: str
    scheduled_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    due_at: datetime | None
    output: Value
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
    assignees: Annotated[tuple[str, ...], Source("approval.")] = ()
    # The progress of a map with known items.
    items: Annotated[Items | None, Source("map")] = None

    @property
    def duration_ms(self) -> float | None:
        return duration_ms(self.started_at or self.scheduled_at, self.ended_at)


@dataclass(frozen=True, slots=True)
class SignalReceived:
    """A received signal."""

    name: str
    payload: Value
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

    id: Annotated[str, Source("execution_id")]
    namespace: str
    workflow_id: str
    workflow_name: Annotated[str, Source(".", read=_workflow_name)]
    workflow_version: int
    status: Status
    started_at: datetime | None
    ended_at: datetime | None
    input: Value
    output: Value
    failure: Failure | None
    last_sequence: int
    request_id: str
    nodes: tuple[Node, ...] = ()
    signals: tuple[SignalReceived, ...] = ()
    # The parent execution and its node. The previous, next and first run of a workflow that
    # continues as new.
    parent_id: Annotated[str, Source("link.")] = ""
    parent_node: Annotated[str, Source("link.")] = ""
    continued_from: Annotated[str, Source("link.")] = ""
    continued_as: str = ""
    first_run: Annotated[str, Source("link.")] = ""
    # The state of compensation: "", "compensating", "compensated", "failed".
    compensation: Annotated[str, Source(empty="")] = ""
    # The execution of which it is a rerun.
    rerun_of: Annotated[str, Source("origin.execution_id")] = ""
    # Searchable labels, attributes and input values by their full names.
    search: Annotated[dict[str, str | float | bool | datetime | None], Source(read=_search_of)] = (
        field(default_factory=dict)
    )
    # The current values of declared variables.
    variables: Annotated[dict[str, Json], Source(read=_variables_of)] = field(default_factory=dict)
    # True for a copy of the archive, after the retention.
    archived: bool = False
    erasure: Erasure | None = None
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


def micros_of(at: datetime | None) -> int:
    """Return a time as microseconds since the epoch; None is 0. A naive time counts as UTC."""
    if at is None:
        return 0
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1_000_000)


def number_of(status: Status | str) -> execution_pb2.ExecutionStatus.ValueType:
    """Return the number of a status in the contract; ValueError for an unknown status."""
    return execution_pb2.ExecutionStatus.Value(f"EXECUTION_STATUS_{Status(status).name}")
