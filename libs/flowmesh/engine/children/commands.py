"""What can be asked of a node that starts an execution, or waits for a signal with a key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.execution.v1 import execution_pb2


@dataclass(slots=True)
class Rendered:
    """The input of a child or of the next run, or the key of a wait; `failure` says why not.

    `names` are what a child is called by templates.
    """

    node: str
    attempt: int
    value: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None
    names: Mapping[str, Any] | None = None


@dataclass(slots=True)
class ChildBegan:
    """The child that a node asked for has started; `failure` says why it cannot.

    `joined`: another execution, which was there, is what it waits for.
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
    """The child of a node has ended. `draw` in [0, 1) decides the jitter of a retry.

    `first_run` is the execution that was started for the node, where it went on as this one.
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
    """A node of another execution, which is not its parent, is to be told how this one ends."""

    by_id: str
    by_node: str
    by_attempt: int


ChildCommand = Rendered | ChildBegan | ChildDone | Join
