"""What can be asked of an execution. Closed set; `decide` handles each."""

from dataclasses import dataclass, field
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2


@dataclass(slots=True)
class Start:
    input: payload_pb2.Payload
    request_id: str = ""
    actor: str = ""
    traceparent: str = ""


@dataclass(slots=True)
class TaskEnded:
    """A worker's result: `failure` is None for success. `started_at_us` is the dispatch.

    `draw` in [0, 1) decides the jitter of a retry that may follow.
    """

    node: str
    attempt: int
    output: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None
    metadata: bytes = b""
    worker_id: str = ""
    started_at_us: int = 0
    draw: float = 0.0


@dataclass(slots=True)
class TaskRuns:
    """A task is still at its worker a while after dispatch."""

    node: str
    attempt: int
    worker_id: str
    started_at_us: int


@dataclass(slots=True)
class DeliveryLost:
    """The worker that had the attempt is gone: hand it out again."""

    node: str
    attempt: int
    reason: str = "WORKER_LOST"


@dataclass(slots=True)
class TimersDue:
    """Whatever is due by now."""


@dataclass(slots=True)
class Finish:
    """All nodes have ended and the output template is to be rendered from fetched payloads.

    `missing` says which of them is not there any more; empty if none is. `stored` refers to the
    rendered output where that is too large to be in an event.
    """

    payloads: dict[str, bytes] = field(default_factory=dict)
    missing: str = ""
    stored: payload_pb2.Payload | None = None


@dataclass(slots=True)
class Expand:
    """The items of a map are known, or known again, or the first value of a state machine is;
    `failure` says why they cannot be.
    """

    node: str
    items: list[Any] = field(default_factory=list)
    value: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None


@dataclass(slots=True)
class Collect:
    """The outputs of a map's items are stored as one payload; `failure` says why they are not."""

    node: str
    output: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None


@dataclass(slots=True)
class Signal:
    name: str
    payload: payload_pb2.Payload
    request_id: str = ""
    actor: str = ""


@dataclass(slots=True)
class Cancel:
    reason: str = ""
    request_id: str = ""
    actor: str = ""


@dataclass(slots=True)
class Pause:
    reason: str = ""
    request_id: str = ""
    actor: str = ""


@dataclass(slots=True)
class Resume:
    reason: str = ""
    request_id: str = ""
    actor: str = ""


@dataclass(slots=True)
class Terminate:
    reason: str = ""
    request_id: str = ""
    actor: str = ""


Command = (
    Start
    | TaskEnded
    | TaskRuns
    | DeliveryLost
    | TimersDue
    | Finish
    | Expand
    | Collect
    | Signal
    | Cancel
    | Pause
    | Resume
    | Terminate
)
