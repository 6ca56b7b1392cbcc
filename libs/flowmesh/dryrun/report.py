"""The report of a dry run: one shape for the command line, REST and the SDK."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.contract.json_value import Json

Source = Literal["mock", "run", "schema", "use", "none"]


class Part(msgspec.Struct, rename="camel", kw_only=True):
    """The base of all parts of a report. Times are ms of the virtual clock since the start."""


class Failure(Part, kw_only=True):
    """The failure of an attempt, a node or the execution."""

    class_: str = msgspec.field(name="class")
    message: str
    task_id: str | UnsetType = UNSET
    state: str | UnsetType = UNSET


class Call(Part, kw_only=True):
    """A call that was recorded and not sent: over HTTP, or to the worker of a task type.

    Values of headers, members and query parameters with secret-like names are masked.
    """

    node: str
    attempt: int
    at_ms: float
    type: str
    input: Json = None
    method: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    body: Json | UnsetType = UNSET


class Node(Part, kw_only=True):
    """The outcome of one node.

    `outputFrom` is the source of its output: a mock, the executor (`run`), its schema, the members
    that templates read (`use`), or none.
    """

    id: str
    kind: str
    status: str
    attempts: int
    input: Json = None
    output: Json = None
    output_from: Source | UnsetType = UNSET
    error: Failure | UnsetType = UNSET
    because_of: str | UnsetType = UNSET
    started_ms: float | UnsetType = UNSET
    ended_ms: float | UnsetType = UNSET


class PlanStep(Part, kw_only=True):
    """A planned node; `body` has the nodes of a map, a group or a state machine."""

    id: str
    kind: str
    depends_on: list[str]
    type: str | UnsetType = UNSET
    task: str | UnsetType = UNSET
    timeout_ms: int | UnsetType = UNSET
    max_attempts: int | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    critical: bool | UnsetType = UNSET
    # Outcomes of a condition or decision, by the names in tests and coverage.
    branches: list[str] | UnsetType = UNSET
    body: list["PlanStep"] | UnsetType = UNSET


class Report(Part, kw_only=True):
    """A dry run. `status` is `running` if it waits for nodes without a mock (`waitingFor`)."""

    workflow: str
    version: int
    status: str
    output: Json = None
    error: Failure | UnsetType = UNSET
    duration_ms: float
    path: list[str]
    skipped: list[str]
    nodes: list[Node]
    calls: list[Call]
    plan: list[PlanStep]
    waiting_for: list[str]
    unused_mocks: list[str]

    def node(self, node_id: str) -> Node | None:
        return next((node for node in self.nodes if node.id == node_id), None)


def encode(report: Report) -> bytes:
    return msgspec.json.encode(report)


def decode(data: bytes) -> Report:
    """Decode the report of a service. Raises msgspec.DecodeError."""
    return msgspec.json.decode(data, type=Report)
