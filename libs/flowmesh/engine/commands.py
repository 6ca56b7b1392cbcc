"""What can be asked of an execution. Closed set; `decide` handles each."""

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
    """`reused` are results of nodes that do not run again, those of `origin`; `edits` inputs of
    nodes in place of what their definition says. One that `waits` begins in its turn among those
    with its `key`.
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
    """It is the turn of an execution that waits for it."""


@dataclass(slots=True)
class Debounce:
    """Another start with the key of an execution that waits until nothing is started."""

    start: Start


@dataclass(slots=True)
class TaskEnded:
    """A worker's result: `failure` is None for success. `started_at_us` is the dispatch.

    `draw` in [0, 1) decides the jitter of a retry that may follow; none does where the retries
    of its workflow are `spent`. One that was refused has not `begun`.
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
    `failure` says why they cannot be. With the items of a page `value` is the cursor of the next.
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
    """`compensate` says whether what was done is undone; None is as the plan says."""

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
    """As Cancel."""

    reason: str = ""
    request_id: str = ""
    actor: str = ""
    compensate: bool | None = None


@dataclass(slots=True)
class Steer:
    """Somebody says what becomes of a node.

    `input` is what its next attempt gets, `output` what it is to have answered.
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
    """One of those asked approves or rejects; with `asked_at_us` only what was asked then."""

    node: str
    by: str
    approved: bool
    comment: str = ""
    form: payload_pb2.Payload | None = None
    request_id: str = ""
    asked_at_us: int = 0


@dataclass(slots=True)
class Breakpoints:
    """Where to stop from now on: before every node, or before these; none lets all go on."""

    everywhere: bool = False
    nodes: frozenset[str] = frozenset()
    request_id: str = ""
    actor: str = ""


@dataclass(slots=True)
class Record:
    """What a durable handler asks for and what its steps came to; its worker has the first `known`
    records of the journal. `started_at_us` is the dispatch.
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
    """As Record, and the handler leaves its worker until there is more than it knows."""


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
"""What somebody asks of an execution; done once under its request id."""

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
    | Asked
)
