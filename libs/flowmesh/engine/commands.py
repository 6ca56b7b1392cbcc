"""Commands on an execution. A closed set; `decide` handles each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, journal_pb2, link_pb2, payload_pb2, search_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine.children.commands import ChildCommand
from flowmesh.engine.erasure import Erase
from flowmesh.engine.search_attributes import SetAttributes
from flowmesh.engine.variables import SetVariable


@dataclass(slots=True)
class Start:
    """`reused` are results of `origin` for nodes that do not run again; `edits` replace inputs of
    nodes. With `waits` the execution queues for its turn under its `key`.
    """

    input: payload_pb2.Payload
    request_id: str = ""
    actor: str = ""
    traceparent: str = ""
    link: link_pb2.Link | None = None
    signals: Sequence[execution_pb2.Signal] = ()
    origin: execution_pb2.Origin | None = None
    reused: Sequence[history_event_pb2.ResultReused] = ()
    edits: dict[str, payload_pb2.Payload] = field(default_factory=dict)
    breakpoints: Breakpoints | None = None
    search: tuple[search_pb2.SearchValue, ...] = ()
    permissions: tuple[str, ...] = ()
    key: str = ""
    waits: bool = False


@dataclass(slots=True)
class Begin:
    """The turn of a queued execution."""


@dataclass(slots=True)
class Debounce:
    """Another start under the key of a debounced execution."""

    start: Start


@dataclass(slots=True)
class TaskEnded:
    """A worker's result: `failure` is None for success. `started_at_us` is the dispatch.

    `draw` in [0, 1) determines the jitter of a retry. With `spent` the retry budget of the
    workflow is used up and no retry follows. A rejected attempt has not `begun`. `delivery` is the
    number of its sending, as far as it is known.
    """

    node: str
    attempt: int
    output: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None
    metadata: bytes = b""
    worker_id: str = ""
    started_at_us: int = 0
    draw: float = 0.0
    spent: bool = False
    begun: bool = True
    delivery: int = 1


@dataclass(slots=True)
class TaskRuns:
    """A task that still runs some time after its dispatch."""

    node: str
    attempt: int
    worker_id: str
    started_at_us: int
    delivery: int = 1


DELIVERIES_MAX = 5
"""Lost deliveries of an attempt after which its node fails with POISON, by default."""


@dataclass(slots=True)
class DeliveryLost:
    """The loss of the worker of an attempt, which is then dispatched again, or has failed."""

    node: str
    attempt: int
    reason: str = "WORKER_LOST"
    deliveries_max: int = DELIVERIES_MAX


@dataclass(slots=True)
class TimersDue:
    """The due time of at least one timer."""


@dataclass(slots=True)
class Finish:
    """Render the output from fetched payloads after the last node.

    `missing` describes a payload that no longer exists. `stored` refers to a rendered output that
    is too large for an event.
    """

    payloads: dict[str, bytes] = field(default_factory=dict)
    missing: str = ""
    stored: payload_pb2.Payload | None = None


@dataclass(slots=True)
class Expand:
    """The rendered items of a map, or the first value of a state machine; `failure` is that of the
    rendering. With the items of a page `value` is the cursor of the next page.
    """

    node: str
    items: list[Any] = field(default_factory=list)
    value: payload_pb2.Payload | None = None
    failure: failure_pb2.Failure | None = None


@dataclass(slots=True)
class Collect:
    """The stored outputs of a map as one payload, or the `failure` to store them."""

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
    """`compensate` overrides the compensation policy of the plan; None keeps it."""

    reason: str = ""
    request_id: str = ""
    actor: str = ""
    compensate: bool | None = None


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
    """See Cancel."""

    reason: str = ""
    request_id: str = ""
    actor: str = ""
    compensate: bool | None = None


@dataclass(slots=True)
class Abort:
    """Fail an execution of which a decision cannot be stored. A compensation stops where it is."""

    message: str


@dataclass(slots=True)
class Steer:
    """An action of a caller on a node.

    `input` replaces that of its next attempt, `output` its output.
    """

    node: str
    # An execution_pb2.NodeAction.
    action: Any
    input: payload_pb2.Payload | None = None
    output: payload_pb2.Payload | None = None
    reason: str = ""
    request_id: str = ""
    actor: str = ""


@dataclass(slots=True)
class Decide:
    """An approval or rejection. `asked_at_us` restricts it to the request of that time."""

    node: str
    by: str
    approved: bool
    comment: str = ""
    form: payload_pb2.Payload | None = None
    request_id: str = ""
    asked_at_us: int = 0


@dataclass(slots=True)
class Breakpoints:
    """Stop before every node, or before these nodes; none continues all stopped nodes."""

    everywhere: bool = False
    nodes: frozenset[str] = frozenset()
    request_id: str = ""
    actor: str = ""


@dataclass(slots=True)
class Record:
    """Requests and step results of a durable handler. Its worker has the first `known` records of
    the journal. `started_at_us` is the dispatch.
    """

    node: str
    attempt: int
    records: Sequence[journal_pb2.JournalRecord] = ()
    known: int = 0
    began_at_us: int = 0
    worker_id: str = ""
    started_at_us: int = 0


@dataclass(slots=True)
class Suspend(Record):
    """A Record after which the handler is suspended until its journal has more records."""


Asked = (
    Signal
    | Cancel
    | Pause
    | Resume
    | Terminate
    | Steer
    | Breakpoints
    | Decide
    | SetAttributes
    | SetVariable
    | Erase
)
"""Commands of callers, applied once per request id."""

Command = (
    Start
    | Begin
    | Debounce
    | TaskEnded
    | TaskRuns
    | DeliveryLost
    | TimersDue
    | Finish
    | Expand
    | Collect
    | ChildCommand
    | Record
    | Suspend
    | Abort
    | Asked
)
