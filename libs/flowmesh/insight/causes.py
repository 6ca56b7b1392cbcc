"""Every reason for which an execution, or one node of it, waits: with a sentence and a remedy.

A cause is a row: its name, what is said of it, what helps. Who adds one adds a rule that finds it
in `flowmesh.insight.rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import UNSET, UnsetType

from flowmesh.insight.parts import ExecutionWord, Json, Part


class Cause(StrEnum):
    """Why something waits, or would."""

    # of an execution
    ENDED = "ENDED"
    PARTITION_UNOWNED = "PARTITION_UNOWNED"
    PAUSED = "PAUSED"
    COMPENSATING = "COMPENSATING"
    STOPPING = "STOPPING"
    START_DELAY = "START_DELAY"
    START_DEBOUNCE = "START_DEBOUNCE"
    START_TURN = "START_TURN"
    NOTHING_OPEN = "NOTHING_OPEN"
    # of a node that has begun
    NO_WORKER = "NO_WORKER"
    WORKERS_BUSY = "WORKERS_BUSY"
    LIMIT = "LIMIT"
    DISPATCHING = "DISPATCHING"
    RUNNING = "RUNNING"
    RUNNING_WITHOUT_LIMIT = "RUNNING_WITHOUT_LIMIT"
    WORKER_AWAY = "WORKER_AWAY"
    RETRY_BACKOFF = "RETRY_BACKOFF"
    TIMER = "TIMER"
    SIGNAL = "SIGNAL"
    CHILD = "CHILD"
    HANDLER = "HANDLER"
    APPROVAL = "APPROVAL"
    ON_HOLD = "ON_HOLD"
    UNDO_FAILED = "UNDO_FAILED"
    INPUT_PREPARED = "INPUT_PREPARED"
    BODY_RUNS = "BODY_RUNS"
    GOES_ROUND = "GOES_ROUND"
    # of a node that has not begun
    DEPENDENCY = "DEPENDENCY"
    JOIN = "JOIN"
    BREAKPOINT = "BREAKPOINT"
    PARALLELISM = "PARALLELISM"
    MAP_CONCURRENCY = "MAP_CONCURRENCY"
    NOT_REACHED = "NOT_REACHED"
    UNDO = "UNDO"
    NODE_ENDED = "NODE_ENDED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    OTHER = "OTHER"
    # of a definition
    GRAPH_CYCLE = "GRAPH_CYCLE"
    DEFINITION_INVALID = "DEFINITION_INVALID"
    LIMIT_MISSING = "LIMIT_MISSING"
    LIMIT_TOO_SHORT = "LIMIT_TOO_SHORT"
    SIGNAL_WITHOUT_LIMIT = "SIGNAL_WITHOUT_LIMIT"


@dataclass(frozen=True, slots=True)
class Texts:
    """`says` and `helps` are format strings over what the rule has found."""

    says: str
    helps: str


TEXTS: Mapping[Cause, Texts] = MappingProxyType(
    {
        Cause.ENDED: Texts("it has ended: {status}{because}", "{helps}"),
        Cause.PARTITION_UNOWNED: Texts(
            "no orchestrator owns partition {partition}, so nothing of it goes on",
            "wait some seconds for another to take it over; start one if none runs",
        ),
        Cause.PAUSED: Texts(
            "it is paused{by}{reason}", "`flowmesh resume` lets it go on with all that waited"
        ),
        Cause.COMPENSATING: Texts(
            "what was done is undone before it ends, {left} tasks are left", "wait for it"
        ),
        Cause.STOPPING: Texts(
            "{task} has failed: nothing further begins, and it ends when workers are done",
            "wait for them",
        ),
        Cause.START_DELAY: Texts("it was started to begin later", "wait for it"),
        Cause.START_DEBOUNCE: Texts(
            "it begins once nothing is started{key} for a while", "wait, or start nothing more"
        ),
        Cause.START_TURN: Texts(
            "it waits for its turn{key}: {names} must end first, and {before} wait before it",
            "wait for them, cancel one, or raise the concurrency of the workflow's `start`",
        ),
        Cause.NOTHING_OPEN: Texts(
            "it is open and nothing of it is: no task, no timer, no signal", "report this as a bug"
        ),
        Cause.NO_WORKER: Texts(
            "no worker takes {type} from queue {queue}",
            "start a worker for {type}; if that is built in, a worker service whose"
            " FLOWMESH_WORKER_TASK_TYPES and FLOWMESH_WORKER_QUEUES take it;"
            " `flowmesh list services` shows those that are there",
        ),
        Cause.WORKERS_BUSY: Texts(
            "all {workers} workers for {type} in queue {queue} are busy, {waiting} tasks wait",
            "wait, or start more workers or give them more slots",
        ),
        Cause.LIMIT: Texts(
            "it is ready, and {limit} keeps it from being sent",
            "`flowmesh limit list` shows what is set and who uses it",
        ),
        Cause.DISPATCHING: Texts("it is about to be sent to a worker", "wait a moment"),
        Cause.RUNNING: Texts("attempt {attempt} runs at {worker}", "wait for it"),
        Cause.RUNNING_WITHOUT_LIMIT: Texts(
            "attempt {attempt} runs at {worker}, and nothing ends it: it has neither a timeout nor"
            " heartbeats",
            "look at the worker; give the task a timeout or a heartbeat timeout",
        ),
        Cause.WORKER_AWAY: Texts(
            "attempt {attempt} was at {worker}, which does not answer now",
            "wait: it comes back within some seconds, or the attempt goes to another worker",
        ),
        Cause.RETRY_BACKOFF: Texts(
            "attempt {attempt} of {attempts} failed ({error}); the next one is due",
            "wait, or mend what it calls",
        ),
        Cause.TIMER: Texts("its timer is due", "wait for it"),
        Cause.SIGNAL: Texts(
            "it waits for the signal {signal}",
            "send it with `flowmesh signal {execution} {signal}`",
        ),
        Cause.CHILD: Texts(
            "it waits for the end of {child}", "`flowmesh explain {child}` says why that waits"
        ),
        Cause.HANDLER: Texts(
            "its handler waits for {names}", "wait, or send the signal that it waits for"
        ),
        Cause.APPROVAL: Texts(
            "it waits for {left} more of {names} to approve",
            "`flowmesh approve {execution} {task}`, or `reject`",
        ),
        Cause.ON_HOLD: Texts(
            "it failed ({error}) and waits for somebody to say how it goes on",
            "`flowmesh retry {execution} {task}`, or `skip`, `complete`, `fail`",
        ),
        Cause.UNDO_FAILED: Texts(
            "it could not be undone ({error}), and waits for somebody",
            "`flowmesh retry {execution} {task}`, or `skip`, `complete`",
        ),
        Cause.INPUT_PREPARED: Texts("its items or its input are being made ready", "wait a moment"),
        Cause.BODY_RUNS: Texts("{running} of its {total} items run, {done} are done", "wait"),
        Cause.GOES_ROUND: Texts(
            "it has run {begun} states and goes round among {states}",
            "look at the condition that is to end it; `steps_max` bounds how often it goes round",
        ),
        Cause.DEPENDENCY: Texts("it waits for {names}", "see what these wait for"),
        Cause.JOIN: Texts("it waits until one of {names} leads to it", "see what these wait for"),
        Cause.BREAKPOINT: Texts(
            "it is ready and stands at a breakpoint", "`flowmesh step {execution}` lets it go on"
        ),
        Cause.PARALLELISM: Texts(
            "it is ready, but {running} tasks run already, as many as may at once",
            "wait for one to end, or raise the workflow's parallelism",
        ),
        Cause.MAP_CONCURRENCY: Texts(
            "{left} items of {map} have not begun: {running} run, as many as may at once",
            "wait for one to end, or raise the map's concurrency",
        ),
        Cause.NOT_REACHED: Texts(
            "what it is in, {owner}, has not come to it", "see what {owner} waits for"
        ),
        Cause.UNDO: Texts("it runs only when {task} has to be undone", "nothing is to be done"),
        Cause.NODE_ENDED: Texts("it has ended: {status}{because}", "{helps}"),
        Cause.PERMISSION_DENIED: Texts(
            "it was not let run: {reason}",
            "start the workflow with what is missing; the definition says what a task needs",
        ),
        Cause.OTHER: Texts("it is open: {status}", "`flowmesh history` shows what happened last"),
        Cause.GRAPH_CYCLE: Texts("{problem}", "take away one of the dependencies"),
        Cause.DEFINITION_INVALID: Texts("{problem}", "`flowmesh errors {code}` explains it"),
        Cause.LIMIT_MISSING: Texts(
            "neither it nor the workflow has a timeout, and it sends no heartbeats: a worker that"
            " hangs is waited for without end",
            "give the task a timeout",
        ),
        Cause.LIMIT_TOO_SHORT: Texts(
            "one attempt may take {needed_ms} ms, but the workflow ends after {limit_ms} ms",
            "raise the workflow's timeout, or lower the task's",
        ),
        Cause.SIGNAL_WITHOUT_LIMIT: Texts(
            "it waits for the signal {signal}, and the workflow has no timeout",
            "give the workflow a timeout, or race the signal against a timer",
        ),
    }
)


class Finding(Part, kw_only=True):
    """One cause, of a task or of the whole; `until` is when it is over by itself.

    `becauseOf` names the tasks it is about, `details` holds what the text is made of.
    """

    cause: Cause
    task_id: str | UnsetType = UNSET
    text: str
    remedy: str
    since: datetime | UnsetType = UNSET
    until: datetime | UnsetType = UNSET
    because_of: list[str] | UnsetType = UNSET
    details: dict[str, Json]


class Explanation(Part, kw_only=True):
    """Why an execution, or a task of it, waits now; the innermost causes, those of tasks first.

    `nextAt` is when the next timer of it is due, `endsBy` when its own limit ends it.
    """

    execution_id: str
    workflow: str
    version: int
    status: ExecutionWord
    at: datetime
    findings: list[Finding]
    counts: dict[str, int]
    next_at: datetime | UnsetType = UNSET
    ends_by: datetime | UnsetType = UNSET
    truncated: bool


class Diagnosis(Part, kw_only=True):
    """What would keep executions of a workflow from ending."""

    workflow: str
    version: int
    findings: list[Finding]


def finding(
    cause: Cause,
    task_id: str = "",
    *,
    since: datetime | UnsetType = UNSET,
    until: datetime | UnsetType = UNSET,
    because_of: list[str] | None = None,
    **details: Any,
) -> Finding:
    """A cause with its texts made of the details."""
    texts = TEXTS[cause]
    return Finding(
        cause=cause,
        task_id=task_id or UNSET,
        text=texts.says.format_map(details),
        remedy=texts.helps.format_map(details),
        since=since,
        until=until,
        because_of=because_of or UNSET,
        details=details,
    )
