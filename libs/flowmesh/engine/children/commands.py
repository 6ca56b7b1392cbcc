"""Commands on nodes that start an execution or wait for a keyed signal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.execution.v1 import execution_pb2


@dataclass(slots=True)
class Rendered:
    """A rendered value: the input of a child or a next run, or the key of a wait.

    `failure` is that of the rendering. `names` are the rendered workflow and id of a child.
    """

    node: str
    attempt: int
    value: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None
    names: Mapping[str, Any] | None = None


@dataclass(slots=True)
class ChildBegan:
    """The answer to the start of a child; `failure` if it was rejected.

    With `joined` the node waits for an existing execution.
    """

    node: str
    attempt: int
    execution_id: str = ""
    version: int = 0
    failure: failure_pb2.Failure | None = None
    draw: float = 0.0
    joined: bool = False


@dataclass(slots=True)
class ChildDone:
    """The outcome of a child. `draw` in [0, 1) determines the jitter of a retry.

    `first_run` is the execution that the node started, if it continued as new since.
    """

    node: str
    attempt: int
    execution_id: str
    status: execution_pb2.ExecutionStatus.ValueType
    output: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None
    draw: float = 0.0
    first_run: str = ""


@dataclass(slots=True)
class Join:
    """The request of a node elsewhere, not the parent, for the outcome of this execution."""

    by_id: str
    by_node: str
    by_attempt: int


ChildCommand = Rendered | ChildBegan | ChildDone | Join
