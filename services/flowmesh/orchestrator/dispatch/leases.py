"""Leases of tasks at workers; in memory only, a new owner learns them from worker services."""

import asyncio
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from flowmesh.api.worker.v1.task_pb2 import WorkerScope
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.limits.ready_queues import Key
from flowmesh.orchestrator.limits.worker_scope import is_permitted
from flowmesh.orchestrator.model.ids import marked, unmarked
from flowmesh.runtime import Clock

BUILTIN_GRACE_MS = 400
"""Time for a worker service to reconnect before its built-in tasks are sent again."""

DISCARDED_MAX = 4_096
"""Attempts of which a discarded run is remembered."""

SERVICE_GRACE_MS = 3_000
"""The same for tasks of remote workers, which may reconnect through another worker service."""

Attempted = tuple[int, tuple[str, str, int]]
"""A partition, and the execution, node and number of an attempt in it."""


@dataclass(slots=True)
class Lease:
    """One attempt at a worker. Times: monotonic ms, and µs on the database clock."""

    token: str
    execution_id: str
    node_id: str
    attempt: int
    partition: int
    stream: WorkerStream | None
    worker_id: str
    sent_at_ms: float
    sent_at_us: int
    timeout_ms: int
    heartbeat_timeout_ms: int
    heartbeat_at_ms: float = 0.0
    # None for an adopted task whose execution is not known yet.
    key: Key | None = None
    # Holds permits of limits.
    permitted: bool = False
    # Sent by the expected durations of its workers.
    routed: bool = False
    # The permissions of the worker of an adopted task; checked once the task is known.
    scope: WorkerScope | None = None
    # Sent before the commit of the event with the sequence `cause`, to a worker that has the token
    # with this mark. No other process and no later decision uses the mark.
    mark: str = ""
    cause: int = 0
    # Its result may be decided beside a commit.
    repeatable: bool = False

    @property
    def attempted(self) -> Attempted:
        return self.partition, (self.execution_id, self.node_id, self.attempt)

    @property
    def wire_token(self) -> str:
        """The token that its worker has."""
        return marked(self.token, self.mark) if self.mark else self.token

    def is_within_scope(self, key: Key) -> bool:
        """Return whether the worker may hold a task of this kind."""
        return self.scope is None or is_permitted(self.scope, key)

    def deadline_ms(self, grace_ms: int) -> float:
        """Return the time at which the attempt or its heartbeats time out; 0 means never."""
        deadlines = []
        if self.timeout_ms:
            deadlines.append(self.sent_at_ms + self.timeout_ms + grace_ms)
        if self.heartbeat_timeout_ms:
            seen = max(self.heartbeat_at_ms, self.sent_at_ms)
            deadlines.append(seen + self.heartbeat_timeout_ms)
        return min(deadlines, default=0.0)


class Leases:
    """Leases of all tasks at workers, including those whose worker service is disconnected."""

    def __init__(
        self,
        *,
        clock: Clock,
        lost: Callable[[Lease, str], None],
        freed: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._freed = freed
        self._lost = lost
        self._leases: dict[str, Lease] = {}
        # Attempts that ran ahead of a decision that does not hold, oldest first.
        self._discarded: dict[str, None] = {}
        self._orphans: dict[str, list[list[Lease]]] = {}

    def __contains__(self, token: str) -> bool:
        return token in self._leases

    def __len__(self) -> int:
        return len(self._leases)

    def get(self, token: str) -> Lease | None:
        return self._leases.get(token)

    def resolve(self, wire_token: str) -> tuple[str, bool]:
        """Return the token of an attempt, and False if it was sent ahead and is not valid here.

        It is valid for the owner that sent it, while the decision that made it ready holds.
        """
        token, mark = unmarked(wire_token)
        if not mark:
            return token, True
        lease = self._leases.get(token)
        valid = lease is not None and lease.mark == mark
        if not valid:
            self._discard(token)
        return token, valid

    def delivery(self, token: str) -> int:
        """Return 2 for an attempt of which an earlier run is known to be discarded, else 1."""
        return 2 if token in self._discarded else 1

    def _discard(self, token: str) -> None:
        self._discarded[token] = None
        if len(self._discarded) > DISCARDED_MAX:
            del self._discarded[next(iter(self._discarded))]

    def recall(self, execution_id: str, committed: int) -> None:
        """Cancel the tasks that were sent ahead because of events after this sequence."""
        for lease in self.of_executions({execution_id}):
            if lease.cause > committed:
                self.pop(lease.token)
                self._discard(lease.token)
                if lease.stream is not None:
                    lease.stream.cancel(lease.wire_token)

    def of_executions(self, execution_ids: Container[str]) -> list[Lease]:
        return [each for each in self._leases.values() if each.execution_id in execution_ids]

    def record_heartbeats(self, tokens: Iterable[str]) -> None:
        """Record heartbeats of the handlers of these tasks."""
        now_ms = self._clock.monotonic_ms()
        for token in tokens:
            if (lease := self._leases.get(unmarked(token)[0])) is not None:
                lease.heartbeat_at_ms = now_ms

    def put(self, lease: Lease) -> None:
        self._leases[lease.token] = lease

    def all(self) -> Iterable[Lease]:
        return self._leases.values()

    def pop(self, token: str) -> Lease | None:
        lease = self._leases.pop(token, None)
        if lease is not None and lease.permitted:
            self._freed(token)
        return lease

    def adopt(self, lease: Lease, stream: WorkerStream, worker_id: str) -> None:
        """Move a task to this worker service."""
        lease.stream = stream
        lease.worker_id = worker_id or lease.worker_id
        self.put(lease)

    def drop_partitions(self, gone: set[int]) -> None:
        for token in [t for t, lease in self._leases.items() if lease.partition in gone]:
            del self._leases[token]

    def orphan(self, stream: WorkerStream) -> None:
        """Keep the tasks of a broken stream until its worker service should be back."""
        mine = [lease for lease in self._leases.values() if lease.stream is stream]
        for lease in mine:
            lease.stream = None
        service = stream.worker_service_id
        self._orphans.setdefault(service, []).append(mine)
        loop = asyncio.get_running_loop()
        loop.call_later(BUILTIN_GRACE_MS / 1000, self._expire, service, mine, True)
        loop.call_later(SERVICE_GRACE_MS / 1000, self._expire, service, mine, False)

    def reattached(self, worker_service_id: str) -> None:
        """Give up tasks that a worker service does not hold any more after a reconnect."""
        for orphans in self._orphans.pop(worker_service_id, []):
            for lease in orphans:
                self._give_up(lease)

    def _expire(self, service: str, mine: list[Lease], builtin_only: bool) -> None:
        """End the grace period of one disconnect; a later one has its own."""
        waiting = self._orphans.get(service, [])
        if not any(orphans is mine for orphans in waiting):
            return
        gone = [lease for lease in mine if not builtin_only or lease.worker_id == service]
        mine[:] = [lease for lease in mine if builtin_only and lease.worker_id != service]
        if not mine:
            self._orphans[service] = [orphans for orphans in waiting if orphans is not mine]
            if not self._orphans[service]:
                del self._orphans[service]
        for lease in gone:
            self._give_up(lease)

    def _give_up(self, lease: Lease) -> None:
        if self._leases.get(lease.token) is lease and lease.stream is None:
            self.pop(lease.token)
            self._lost(lease, "WORKER_LOST")
