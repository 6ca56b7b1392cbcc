"""What a dry run tells: one shape for the command line, REST and the SDK."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

Json = Any
Source = Literal["mock", "run", "schema", "use", "none"]


class Part(msgspec.Struct, rename="camel", kw_only=True):
    """Base of all parts of a report; times are in ms of the virtual clock from the start."""


class Failure(Part, kw_only=True):
    """Why an attempt, a node or the execution failed."""

    class_: str = msgspec.field(name="class")
    message: str
    task_id: str | UnsetType = UNSET
    state: str | UnsetType = UNSET


class Call(Part, kw_only=True):
    """A call that an execution would make: over HTTP, or to the worker of a task type.

    Values of headers, members and query parameters that look secret are masked.
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
    """What became of one node.

    `outputFrom` says where its output is from: a mock, the code that workers run, its schema, what
    others read of it (`use`), or nothing that is known of it.
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
    """A node as it is planned; `body` holds the nodes of a map, a group or a machine."""

    id: str
    kind: str
    depends_on: list[str]
    type: str | UnsetType = UNSET
    task: str | UnsetType = UNSET
    timeout_ms: int | UnsetType = UNSET
    max_attempts: int | UnsetType = UNSET
    queue: str | UnsetType = UNSET
    critical: bool | UnsetType = UNSET
    # Ways in which it may decide, by the words that tests and coverage have for them.
    branches: list[str] | UnsetType = UNSET
    body: list["PlanStep"] | UnsetType = UNSET


class Report(Part, kw_only=True):
    """A dry run. `status` is `running` where it waits for what is not mocked (`waitingFor`)."""

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
    """The report of a service; raises msgspec.DecodeError where it is none."""
    return msgspec.json.decode(data, type=Report)
