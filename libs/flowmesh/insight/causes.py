"""The causes for which an execution or a node waits, each with a sentence and a remedy.

A cause is a row of the table. Add its rule in `flowmesh.insight.rules`.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from msgspec import UNSET, UnsetType

from flowmesh.contract.nouns import text_of
from flowmesh.insight.parts import ExecutionWord, Json, Part


class Cause(StrEnum):
    """A cause of waiting, now or in executions to come."""

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
    """Texts over the details of a finding; see `text_of`."""

    sentence: str
    remedy: str


TEXTS: Mapping[Cause, Texts] = MappingProxyType(
    {
        Cause.ENDED: Texts("it has ended: {status}{because}", "{helps}"),
        Cause.PARTITION_UNOWNED: Texts(
            "no orchestrator owns partition {partition}, so the execution makes no progress",
            "wait some seconds until another one takes it over; start one if none runs",
        ),
        Cause.PAUSED: Texts(
            "it is paused{by}{reason}",
            "`flowmesh resume {execution}` continues it with all waiting nodes",
        ),
        Cause.COMPENSATING: Texts(
            "it compensates completed work before it ends; {left:task} left", "wait for it"
        ),
        Cause.STOPPING: Texts(
            "{task} has failed: no further node begins, and it ends after the running tasks",
            "wait for the running tasks",
        ),
        Cause.START_DELAY: Texts("its start is delayed", "wait for it"),
        Cause.START_DEBOUNCE: Texts(
            "it is debounced: it begins after a time without further starts{key}",
            "wait, and start no more executions of the same key",
        ),
        Cause.START_TURN: Texts(
            "it waits for its turn{key}: {names} must end first, and {before} are queued before it",
            "wait for them, cancel one, or raise the concurrency of the workflow's `start`",
        ),
        Cause.NOTHING_OPEN: Texts(
            "it is open without an open task, timer or signal", "report this as a bug"
        ),
        Cause.NO_WORKER: Texts(
            "no worker takes {type} from queue {queue}",
            "start a worker for {type}; for a built-in type, a worker service whose"
            " FLOWMESH_WORKER_TASK_TYPES and FLOWMESH_WORKER_QUEUES include it;"
            " `flowmesh list services` shows the running ones",
        ),
        Cause.WORKERS_BUSY: Texts(
            "{workers:worker} for {type} in queue {queue}, all busy; waiting: {waiting:task}",
            "wait, start more workers, or give them more slots",
        ),
        Cause.LIMIT: Texts(
            "it is ready, and {limit} prevents its dispatch",
            "`flowmesh limit list` shows the limits and their use",
        ),
        Cause.DISPATCHING: Texts("it is about to be sent to a worker", "wait a moment"),
        Cause.RUNNING: Texts("attempt {attempt} runs at {worker}{again}", "wait for it"),
        Cause.RUNNING_WITHOUT_LIMIT: Texts(
            "attempt {attempt} runs at {worker}{again} without a limit: it has neither a timeout"
            " nor heartbeats",
            "check the worker; give the task a timeout or a heartbeat timeout",
        ),
        Cause.WORKER_AWAY: Texts(
            "attempt {attempt} was sent to {worker}, which does not answer",
            "wait: it reconnects within some seconds, or the attempt goes to another worker",
        ),
        Cause.RETRY_BACKOFF: Texts(
            "attempt {attempt} of {attempts} failed ({error}); the next one is due",
            "wait, or fix the called service",
        ),
        Cause.TIMER: Texts("it waits for its timer", "wait for it"),
        Cause.SIGNAL: Texts(
            "it waits for the signal {signal}",
            "send it with `flowmesh signal {execution} {signal}`",
        ),
        Cause.CHILD: Texts(
            "it waits for the end of {child}", "`flowmesh explain {child}` shows why that waits"
        ),
        Cause.HANDLER: Texts("its handler waits for {names}", "wait, or send the awaited signal"),
        Cause.APPROVAL: Texts(
            "it waits for approval by {names} ({left} left)",
            "`flowmesh approve {execution} {task} --by {by}`, or `reject`",
        ),
        Cause.ON_HOLD: Texts(
            "it failed ({error}) and is held until you decide its outcome",
            "`flowmesh retry {execution} {task}`, or `skip`, `complete`, `fail`",
        ),
        Cause.UNDO_FAILED: Texts(
            "its compensation failed ({error}) and is held until you decide its outcome",
            "`flowmesh retry {execution} {task}`, or `skip`, `complete`",
        ),
        Cause.INPUT_PREPARED: Texts("its items or its input are being prepared", "wait a moment"),
        Cause.BODY_RUNS: Texts("of {total:item}, {running} run and {done} are done", "wait"),
        Cause.GOES_ROUND: Texts(
            "it has run {begun} states and loops among {states}",
            "check the condition that ends the loop; `steps_max` limits the number of states",
        ),
        Cause.DEPENDENCY: Texts("it waits for {names}", "explain these nodes"),
        Cause.JOIN: Texts("it waits until an edge from {names} is taken", "explain these nodes"),
        Cause.BREAKPOINT: Texts(
            "it is ready and stopped at a breakpoint",
            "`flowmesh step {execution} {task}` continues it",
        ),
        Cause.PARALLELISM: Texts(
            "it is ready, but the workflow runs {running:task}, its limit",
            "wait for one to end, or raise the workflow's parallelism",
        ),
        Cause.MAP_CONCURRENCY: Texts(
            "{map} has {left:item} to begin, and {running} run, its limit",
            "wait for one to end, or raise the map's concurrency",
        ),
        Cause.NOT_REACHED: Texts("its container {owner} has not reached it", "explain {owner}"),
        Cause.UNDO: Texts("it runs only when {task} is compensated", "no action is needed"),
        Cause.NODE_ENDED: Texts("it has ended: {status}{again}{because}", "{helps}"),
        Cause.PERMISSION_DENIED: Texts(
            "its dispatch was denied: {reason}",
            "start the workflow with the missing permissions, which the definition lists",
        ),
        Cause.OTHER: Texts(
            "it is open: {status}", "`flowmesh history {execution}` shows its events"
        ),
        Cause.GRAPH_CYCLE: Texts("{problem}", "remove one of the dependencies"),
        Cause.DEFINITION_INVALID: Texts("{problem}", "`flowmesh errors {code}` explains it"),
        Cause.LIMIT_MISSING: Texts(
            "neither it nor the workflow has a timeout, and it sends no heartbeats: a"
            " hanging worker is never detected",
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


# Details that are words of commands in a remedy; a shell expands `each[3]/charge`.
_WORDS = ("task", "signal", "child", "code")


class Finding(Part, kw_only=True):
    """A cause, of a task or of the execution; `until` is the time at which it ends by itself.

    `becauseOf` names the tasks concerned, `details` holds the values in the text.
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
    """The causes for which an execution, or one task of it, waits: the innermost first.

    `nextAt` is the due time of the next timer, `endsBy` the time of the execution's timeout.
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
    """The causes that would prevent executions of a workflow from ending."""

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
    """Return a finding with its texts filled from the details."""
    texts = TEXTS[cause]
    words = {name: shlex.quote(str(details[name])) for name in _WORDS if name in details}
    return Finding(
        cause=cause,
        task_id=task_id or UNSET,
        text=text_of(texts.sentence, details),
        remedy=text_of(texts.remedy, details | words),
        since=since,
        until=until,
        because_of=because_of or UNSET,
        details=details,
    )
