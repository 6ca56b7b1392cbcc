"""What REST answers about limits, stops, queues and circuit breakers."""

from msgspec import UNSET, UnsetType

from flowmesh.gateway.bodies.answers import Answer, FailureValue, Instant


class LimitValue(Answer, kw_only=True):
    """A limit that is set; 0 is none."""

    kind: str
    subject: str
    concurrency: int
    rate: float
    burst: int
    weight: int
    max_size: int
    retries: float
    actor: str
    reason: str
    updated_at: Instant | UnsetType = UNSET


class LimitUseValue(Answer, kw_only=True):
    """What is counted under a limit, by each value of its key."""

    kind: str
    subject: str
    key: str
    in_use: int
    waiting: int
    concurrency: int
    rate: float


class StopValue(Answer, kw_only=True):
    """A stop; without a workflow it is of the namespace."""

    workflow: str | UnsetType = UNSET
    reason: str
    actor: str
    stopped_at: Instant | UnsetType = UNSET
    waiting: int


class LimitList(Answer, kw_only=True):
    """What is set, in use and stopped; `unreachable` orchestrators did not answer."""

    limits: list[LimitValue]
    uses: list[LimitUseValue]
    stops: list[StopValue]
    unreachable: list[str]


class LimitAnswer(Answer, kw_only=True):
    """Done; `unreachable` orchestrators follow within a second."""

    unreachable: list[str]


class LimitDeleted(Answer, kw_only=True):
    """Whether there was one."""

    deleted: bool
    unreachable: list[str]


class LimitChangeValue(Answer, kw_only=True):
    """Who changed a limit or stopped dispatch, and why."""

    number: int
    at: Instant | UnsetType = UNSET
    action: str
    subject: str
    actor: str
    reason: str


class LimitChangeList(Answer, kw_only=True):
    """Newest first."""

    changes: list[LimitChangeValue]


class QueueValue(Answer, kw_only=True):
    """Tasks of one queue and task type; those that are held back are among the ready ones.

    `maxSize` is that of the queue; arrivals and the time a task takes are those of the last minute,
    and recommendations what they ask for. 0 is none, or unknown.
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
    free_slots: int
    worker_sets: int
    overflowed: bool
    max_size: int
    arrivals_per_second: float
    service_ms: float
    recommended_slots: int
    recommended_size: int


class QueueList(Answer, kw_only=True):
    """By queue and task type; `unreachable` orchestrators did not answer."""

    queues: list[QueueValue]
    unreachable: list[str]


class DeadLetterValue(Answer, kw_only=True):
    """A task whose last attempt failed and failed its execution with it."""

    execution_id: str
    workflow: str
    task: str
    queue: str
    task_type: str
    attempts: int
    error: FailureValue
    failed_at: Instant | UnsetType = UNSET


class DeadLetterList(Answer, kw_only=True):
    """Those of a page of failed executions, newest first."""

    letters: list[DeadLetterValue]
    next_page_token: str


class BreakerValue(Answer, kw_only=True):
    """A circuit breaker that is not closed."""

    upstream: str
    state: str
    retry_after_ms: int
    calls: int
    failures: int
    worker_service: str


class BreakerList(Answer, kw_only=True):
    """By upstream."""

    breakers: list[BreakerValue]
