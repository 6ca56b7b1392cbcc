"""Responses about limits, stops, queues and circuit breakers."""

from typing import Annotated

from msgspec import UNSET, UnsetType

from flowmesh.gateway.bodies.answers import Answer, FailureValue, Instant
from flowmesh.records import Source

_Rate = Annotated[float, Source("rate_per_second")]
_Workflow = Annotated[str, Source("workflow_id")]
_WorkerService = Annotated[str, Source("worker_service_id")]


class LimitValue(Answer, kw_only=True):
    """A configured limit; 0 means no limit."""

    kind: str
    subject: str
    concurrency: int
    rate: _Rate
    burst: int
    weight: int
    max_size: int
    retries: float
    actor: str
    reason: str
    updated_at: Instant | UnsetType = UNSET


class LimitUseValue(Answer, kw_only=True):
    """The usage of a limit, per value of its key."""

    kind: str
    subject: str
    key: str
    in_use: int
    waiting: int
    concurrency: int
    rate: _Rate


class StopValue(Answer, kw_only=True):
    """A dispatch stop of a workflow, or of the namespace without a workflow."""

    workflow: _Workflow | UnsetType = UNSET
    reason: str
    actor: str
    stopped_at: Instant | UnsetType = UNSET
    waiting: int


class LimitList(Answer, kw_only=True):
    """Limits, their usage and stops; `unreachable` orchestrators did not respond."""

    limits: list[LimitValue]
    uses: list[LimitUseValue]
    stops: list[StopValue]
    unreachable: list[str]


class LimitAnswer(Answer, kw_only=True):
    """The change is stored; `unreachable` orchestrators apply it within a second."""

    unreachable: list[str]


class LimitDeleted(Answer, kw_only=True):
    """The result of a deletion; false if there was no such limit."""

    deleted: bool
    unreachable: list[str]


class LimitChangeValue(Answer, kw_only=True):
    """A change of a limit or of dispatch, with its actor and reason."""

    number: Annotated[int, Source("id")]
    at: Instant | UnsetType = UNSET
    action: str
    subject: str
    actor: str
    reason: str


class LimitChangeList(Answer, kw_only=True):
    """Changes, newest first."""

    changes: list[LimitChangeValue]


class QueueValue(Answer, kw_only=True):
    """Tasks of a queue and task type; ready tasks include those held back by a limit.

    `maxSize` is a limit of the queue. Arrivals and task durations are those of the last minute, and
    recommendations follow from them. 0 means none or unknown.
    """

    queue: str
    task_type: str
    requires: str | UnsetType = UNSET
    ready: int
    waiting_for_limits: int
    stopped: int
    running: int
    oldest_ms: int
    failed: int
    free_slots: Annotated[int, Source("credit")]
    worker_sets: int
    overflowed: bool
    max_size: int
    arrivals_per_second: float
    service_ms: float
    recommended_slots: int
    recommended_size: int


class QueueList(Answer, kw_only=True):
    """Queues by name and task type; `unreachable` orchestrators did not respond."""

    queues: list[QueueValue]
    unreachable: list[str]


class LearnedRoutingValue(Answer, kw_only=True):
    """The expected duration of one kind of task at a worker, from its number of `results`.

    `used` is true if tasks go first to the worker with the shortest one, false if they go to
    workers in turn; `reason` says why.
    """

    queue: str
    task_type: str
    requires: str | UnsetType = UNSET
    expected_ms: float
    results: int
    used: bool
    reason: str


class WorkerValue(Answer, kw_only=True):
    """An attached worker, or the built-in executors of a worker service.

    `running` counts tasks of this namespace. No `queues` means all. `version` is the program with
    its version, such as `python-0.2.0`; empty if the worker did not report it. `routing` is there
    where the installation has learned routing.
    """

    worker_id: str
    worker_service: _WorkerService
    builtin: bool
    queues: list[str]
    task_types: Annotated[list[str], Source(read=sorted)]
    labels: dict[str, str]
    slots: int
    running: int
    version: str
    attached_at: Instant | UnsetType = UNSET
    routing: list[LearnedRoutingValue]


class WorkerList(Answer, kw_only=True):
    """Workers by id, built-in ones last; tasks of `unreachable` orchestrators are not counted."""

    workers: list[WorkerValue]
    unreachable: list[str]


class DeadLetterValue(Answer, kw_only=True):
    """A task that failed for good and failed its execution."""

    execution_id: str
    workflow: _Workflow
    task: Annotated[str, Source("node")]
    queue: str
    task_type: str
    attempts: int
    error: Annotated[FailureValue, Source("failure")]
    failed_at: Instant | UnsetType = UNSET


class LettersChanged(Answer, kw_only=True):
    """The number of executions whose dead letters were discarded or put back."""

    changed: int


class DeadLetterList(Answer, kw_only=True):
    """Failed tasks of a page of failed executions, newest first."""

    letters: list[DeadLetterValue]
    next_page_token: str


class BreakerValue(Answer, kw_only=True):
    """A circuit breaker that is not closed."""

    upstream: Annotated[str, Source("breaker.upstream")]
    state: Annotated[str, Source("breaker.state")]
    retry_after_ms: Annotated[int, Source("breaker.retry_after_ms")]
    calls: Annotated[int, Source("breaker.calls")]
    failures: Annotated[int, Source("breaker.failures")]
    worker_service: _WorkerService


class BreakerList(Answer, kw_only=True):
    """Circuit breakers, sorted by upstream."""

    breakers: list[BreakerValue]
