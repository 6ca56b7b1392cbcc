"""Calls about task dispatch: limits, emergency stops, queues, workers, circuit breakers."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as rpc
from flowmesh.errors import Invalid
from flowmesh.records import Source, value_from, values_from
from flowmesh.sdk.transport.connection import Connection

LIMIT_KINDS = ("namespace", "workflow", "task_type", "node", "upstream", "queue")


def _sorted(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(words))


@dataclass(frozen=True, slots=True)
class Limit:
    """A configured limit; 0 means unlimited. `rate` is per second.

    `weight` applies to a namespace, `max_size` to a queue, and `retries` (retries per started
    task) to a workflow or an upstream.
    """

    kind: str
    subject: str
    concurrency: int
    rate: Annotated[float, Source("rate_per_second")]
    burst: int
    weight: int
    max_size: int
    retries: float
    actor: str
    reason: str
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class LimitUse:
    """The usage of a limit for one value of its key."""

    kind: str
    subject: str
    key: str
    in_use: int
    waiting: int
    concurrency: int
    rate: Annotated[float, Source("rate_per_second")]


@dataclass(frozen=True, slots=True)
class Stop:
    """An emergency stop of one workflow, or of the namespace where `workflow` is empty."""

    workflow: Annotated[str, Source("workflow_id")]
    reason: str
    actor: str
    stopped_at: datetime | None
    waiting: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Configured limits, their usage and stops; `unreachable` orchestrators did not respond."""

    limits: tuple[Limit, ...]
    uses: tuple[LimitUse, ...]
    stops: tuple[Stop, ...]
    unreachable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A change of a limit or a stop of dispatch; `action` is set, delete, stop or start."""

    number: Annotated[int, Source("id")]
    at: datetime | None
    action: str
    subject: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Figures of one queue and task type; `ready` includes tasks that limits hold back.

    `max_size` is the limit of the queue. `arrivals_per_second` and `service_ms` (the duration of a
    task) are of the last minute; the recommendations follow from them. 0 means unknown.
    """

    queue: str
    task_type: str
    requires: str
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


@dataclass(frozen=True, slots=True)
class LearnedRouting:
    """The expected duration of one kind of task at a worker, from its number of `results`.

    `used` is True if tasks go first to the worker with the shortest one; `reason` says why.
    """

    queue: str
    task_type: str
    requires: str
    expected_ms: float
    results: int
    used: bool
    reason: str


@dataclass(frozen=True, slots=True)
class AttachedWorker:
    """An attached worker, or the built-in executors of a worker service.

    `running` is the number of tasks of the client's namespace. Without `queues` it takes all.
    `version` is its program, such as `python-0.2.0`; empty if the worker did not report it.
    `routing` is there where the installation has learned routing.
    """

    worker_id: str
    worker_service: Annotated[str, Source("worker_service_id")]
    builtin: bool
    queues: tuple[str, ...]
    task_types: Annotated[tuple[str, ...], Source(read=_sorted)]
    labels: Mapping[str, str]
    slots: int
    running: int
    attached_at: datetime | None
    version: str
    routing: tuple[LearnedRouting, ...]


@dataclass(frozen=True, slots=True)
class UpstreamBreaker:
    """A circuit breaker that is not closed; `state` is open or half_open."""

    upstream: Annotated[str, Source("breaker.")]
    state: Annotated[str, Source("breaker.")]
    retry_after_ms: Annotated[int, Source("breaker.")]
    calls: Annotated[int, Source("breaker.")]
    failures: Annotated[int, Source("breaker.")]
    worker_service: Annotated[str, Source("worker_service_id")]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A task that failed for good and failed its execution."""

    execution_id: str
    workflow: Annotated[str, Source("workflow_id")]
    node: str
    queue: str
    task_type: str
    attempts: int
    error_class: Annotated[str, Source("failure.class")]
    message: Annotated[str, Source("failure.")]
    failed_at: datetime | None


def kind_of(word: str) -> pb.LimitKind.ValueType:
    """Parse the kind of a limit. Raises Invalid LIMIT_INVALID."""
    if word not in LIMIT_KINDS:
        message = f"kind must be one of {', '.join(LIMIT_KINDS)}, not {word[:64]!r}"
        raise Invalid("LIMIT_INVALID", message)
    return pb.LimitKind.Value(f"LIMIT_KIND_{word.upper()}")


class DispatchCalls:
    """Limits, stops, queues and circuit breakers of the client's namespace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.LimitServiceStub(connection.caller.channel)

    async def set_limit(
        self,
        kind: str,
        subject: str = "",
        *,
        concurrency: int = 0,
        rate: float = 0.0,
        burst: int = 0,
        weight: int = 0,
        max_size: int = 0,
        retries: float = 0.0,
        actor: str = "",
        reason: str = "",
    ) -> tuple[str, ...]:
        """Set a limit and replace its current values; return the unreachable orchestrators."""
        limit = pb.Limit(
            namespace=self._connection.namespace,
            kind=kind_of(kind),
            subject=subject,
            concurrency=concurrency,
            rate_per_second=rate,
            burst=burst,
            weight=weight,
            max_size=max_size,
            retries=retries,
        )
        request = pb.SetLimitRequest(limit=limit, actor=actor, reason=reason)
        response = await self._connection.caller.call(self._stub.SetLimit, request)
        return tuple(response.unreachable)

    async def delete_limit(
        self, kind: str, subject: str = "", *, actor: str = "", reason: str = ""
    ) -> bool:
        """Delete a limit; return False if it did not exist."""
        request = pb.DeleteLimitRequest(
            kind=kind_of(kind), subject=subject, actor=actor, reason=reason
        )
        response = await self._connection.call(self._stub.DeleteLimit, request)
        return response.deleted

    async def limits(self) -> Limits:
        """Return the configured limits, their usage and the stops."""
        found = await self._connection.call(self._stub.ListLimits, pb.ListLimitsRequest())
        return value_from(Limits, found)

    async def limit_changes(self, *, before: int = 0, size: int = 0) -> tuple[LimitChange, ...]:
        """Return the changes of limits, newest first; `before` is the number of a change."""
        request = pb.ListLimitChangesRequest(before_id=before, page_size=size)
        found = await self._connection.call(self._stub.ListLimitChanges, request)
        return values_from(LimitChange, found.changes)

    async def stop(
        self, workflow_id: str = "", *, reason: str = "", actor: str = ""
    ) -> tuple[str, ...]:
        """Stop the dispatch of tasks of a workflow or of the namespace."""
        request = pb.StopDispatchRequest(workflow_id=workflow_id, reason=reason, actor=actor)
        response = await self._connection.call(self._stub.StopDispatch, request)
        return tuple(response.unreachable)

    async def start(
        self, workflow_id: str = "", *, reason: str = "", actor: str = ""
    ) -> tuple[str, ...]:
        """End a stop; waiting tasks are dispatched."""
        request = pb.StartDispatchRequest(workflow_id=workflow_id, reason=reason, actor=actor)
        response = await self._connection.call(self._stub.StartDispatch, request)
        return tuple(response.unreachable)

    async def queues(self) -> tuple[Queue, ...]:
        """Return the figures of all queues, with the reasons for waiting."""
        found = await self._connection.call(self._stub.ListQueues, pb.ListQueuesRequest())
        return values_from(Queue, found.queues)

    async def dead_letters(
        self, *, filter: str = "", page_size: int = 0
    ) -> AsyncIterator[DeadLetter]:
        """Iterate over tasks that failed for good, newest executions first.

        `filter` is one of executions, as of `list_executions`.
        """
        request = pb.ListDeadLettersRequest(filter=filter, page_size=page_size)
        while True:
            found = await self._connection.call(self._stub.ListDeadLetters, request)
            for each in found.letters:
                yield value_from(DeadLetter, each)
            if not found.next_page_token:
                return
            request.page_token = found.next_page_token

    async def discard_dead_letters(
        self, *execution_ids: str, reason: str = "", actor: str = ""
    ) -> int:
        """Take the dead letters of executions off the list; return how many of them changed.

        The executions stay as they are. A call takes up to 200 of them.
        """
        return await self._set_discarded(execution_ids, reason, actor, restore=False)

    async def restore_dead_letters(
        self, *execution_ids: str, reason: str = "", actor: str = ""
    ) -> int:
        """Put discarded dead letters back on the list; return how many executions changed."""
        return await self._set_discarded(execution_ids, reason, actor, restore=True)

    async def _set_discarded(
        self, execution_ids: Sequence[str], reason: str, actor: str, *, restore: bool
    ) -> int:
        request = pb.DiscardDeadLettersRequest(
            execution_ids=execution_ids, restore=restore, reason=reason, actor=actor
        )
        return (await self._connection.call(self._stub.DiscardDeadLetters, request)).changed

    async def workers(self) -> tuple[AttachedWorker, ...]:
        """Return the attached workers that take tasks of the namespace."""
        found = await self._connection.call(self._stub.ListWorkers, pb.ListWorkersRequest())
        return values_from(AttachedWorker, found.workers)

    async def breakers(self) -> tuple[UpstreamBreaker, ...]:
        """Return the circuit breakers that are not closed."""
        found = await self._connection.caller.call(
            self._stub.ListBreakers, pb.ListBreakersRequest()
        )
        return values_from(UpstreamBreaker, found.breakers)
