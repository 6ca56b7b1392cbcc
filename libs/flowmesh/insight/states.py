"""The report of an execution after one of its events."""

from datetime import datetime

from msgspec import UNSET, UnsetType

from flowmesh.insight.parts import ErrorPart, ExecutionWord, HoldWord, Json, NodeWord, Part


class NodeAt(Part, kw_only=True):
    """A node that has begun or ended."""

    status: NodeWord
    attempt: int
    scheduled_at: datetime | UnsetType = UNSET
    started_at: datetime | UnsetType = UNSET
    ended_at: datetime | UnsetType = UNSET
    due_at: datetime | UnsetType = UNSET
    worker_id: str | UnsetType = UNSET
    because_of: str | UnsetType = UNSET
    error: ErrorPart | UnsetType = UNSET


class SignalAt(Part, kw_only=True):
    """A received signal."""

    name: str
    payload: Json
    received_at: datetime


class Variables(Part, kw_only=True):
    """Values for templates: the input, outputs by task, the values of state machines, signals, and
    the declared variables.
    """

    input: Json
    tasks: dict[str, Json]
    states: dict[str, Json]
    signals: list[SignalAt]
    declared: dict[str, Json]


class TimerAt(Part, kw_only=True):
    """A node with a due time: of a timer, of the next attempt, or of a timeout."""

    task_id: str
    due_at: datetime


class StateAt(Part, kw_only=True):
    """An execution after event `sequence`; `lastSequence` is that of its latest event.

    `held` are ready nodes that a pause or a limit of the execution holds, `queued` wait for a
    worker, `atWorkers` are sent to one; `awaiting` are the waiting nodes by signal.
    `children` are the executions that nodes wait for, empty until their start.
    `hold` is the hold before the start of the execution.
    `onHold` are failed nodes that are held, `stopped` nodes at a breakpoint, `asking` nodes with an
    open approval, `undo` nodes to compensate.
    The start of a task that ends within 50 ms is recorded with its end.
    """

    execution_id: str
    workflow: str
    version: int
    plan_digest: str
    status: ExecutionWord
    sequence: int
    last_sequence: int
    at: datetime
    event: str
    task_id: str | UnsetType = UNSET
    started_at: datetime | UnsetType = UNSET
    ended_at: datetime | UnsetType = UNSET
    hold: HoldWord | UnsetType = UNSET
    variables: Variables
    output: Json | UnsetType = UNSET
    error: ErrorPart | UnsetType = UNSET
    nodes: dict[str, NodeAt]
    counts: dict[NodeWord, int]
    held: list[str]
    queued: list[str]
    at_workers: list[str]
    timers: list[TimerAt]
    awaiting: dict[str, list[str]]
    children: dict[str, str]
    asking: list[str]
    on_hold: list[str]
    stopped: list[str]
    undo: list[str]
    truncated: bool
