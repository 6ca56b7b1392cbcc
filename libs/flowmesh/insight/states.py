"""The report of an execution as it was after one of its events."""

from datetime import datetime

from msgspec import UNSET, UnsetType

from flowmesh.insight.parts import ErrorPart, ExecutionWord, HoldWord, Json, NodeWord, Part


class NodeAt(Part, kw_only=True):
    """A node that had begun or ended."""

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
    """A signal that had been received."""

    name: str
    payload: Json
    received_at: datetime


class Variables(Part, kw_only=True):
    """What templates saw: the input, outputs by task, the values of state machines, signals, and
    what the workflow declares as variables.
    """

    input: Json
    tasks: dict[str, Json]
    states: dict[str, Json]
    signals: list[SignalAt]
    declared: dict[str, Json]


class TimerAt(Part, kw_only=True):
    """A node with a time to come: a timer, the next attempt of a task, the limit of a node."""

    task_id: str
    due_at: datetime


class StateAt(Part, kw_only=True):
    """An execution after event `sequence` of the `lastSequence` it had when this was asked.

    `held` were ready and waited because of a pause or a limit of the execution, `queued` waited
    for a worker, `atWorkers` were with one; `awaiting` has the nodes that waited for each signal.
    `children` are the executions that nodes waited for, empty until they have started.
    `hold` is what the execution itself waited for to begin.
    `onHold` had failed and waited for somebody, as did those `stopped` by a breakpoint and those
    `asking` for approval; `undo` were to be undone.
    A start of a task that is over within 50 ms is written down with its end.
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
