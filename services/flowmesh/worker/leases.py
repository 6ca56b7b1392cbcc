"""Tasks that this worker service holds: running at a worker, or ended and not acknowledged.

Also the newest epoch seen of each partition, by which dispatches of a former owner are refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowmesh.api.worker.v1.dispatch_service_pb2 import HeldTask
from flowmesh.api.worker.v1.task_pb2 import TaskResult, WorkerScope

if TYPE_CHECKING:
    from flowmesh.worker.sets import Owner, WorkerSet
    from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream

UNKNOWN_PARTITION = -1


class Receipt:
    """A frame of results from a remote worker; done when each result is settled."""

    def __init__(self, worker_id: str, frame: int, results: int) -> None:
        self.worker_id = worker_id
        self.frame = frame
        self.results = results
        self.open = results

    @property
    def done(self) -> bool:
        return self.open == 0


@dataclass(slots=True, eq=False)
class Lease:
    """A task. It runs until `result` is set, and is held until the result is acknowledged."""

    token: str
    worker_id: str
    # The set that runs it; None while the stream of its worker is broken.
    worker_set: "WorkerSet | None"
    # The stream to its orchestrator; None if that is unknown.
    stream: "OrchestratorStream | None"
    partition: int = UNKNOWN_PARTITION
    # Named in a hello: another orchestrator may own it by now, so reports go to all of them.
    shared: bool = False
    canceled: bool = False
    result: TaskResult | None = None
    result_bytes: int = 0
    frame: int = 0
    # Time of the last break of its worker's stream, on the monotonic clock.
    away_since_ms: float = 0.0
    # Time since which the result waits for a stream, on the monotonic clock.
    waits_since_ms: float = 0.0
    # Orchestrators that answered MOVED.
    refused_by: set[str] = field(default_factory=set)
    receipts: list[Receipt] = field(default_factory=list)
    # The owner of the worker that holds the task.
    owner: "Owner | None" = None


def held_task(lease: Lease) -> HeldTask:
    """Return the message that reports a held task to an orchestrator."""
    away = lease.worker_set is None and lease.result is None
    held = HeldTask(token=lease.token, worker_id=lease.worker_id, away=away)
    if (scope := scope_of(lease)) is not None:
        held.scope.CopyFrom(scope)
    return held


def scope_of(lease: Lease) -> WorkerScope | None:
    """Return what an orchestrator checks of a task that was not dispatched through this service."""
    if lease.owner is None or lease.partition != UNKNOWN_PARTITION:
        return None
    return lease.owner.scope


class Leases:
    """All leases by token, and the newest epochs."""

    def __init__(self) -> None:
        self._by_token: dict[str, Lease] = {}
        self._epochs: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._by_token)

    def get(self, token: str) -> Lease | None:
        return self._by_token.get(token)

    def add(self, lease: Lease) -> None:
        self._by_token[lease.token] = lease

    def remove(self, lease: Lease) -> None:
        self._by_token.pop(lease.token, None)

    def all(self) -> Iterable[Lease]:
        return list(self._by_token.values())

    def running_at(self, worker_set: "WorkerSet") -> list[Lease]:
        return [
            lease
            for lease in self._by_token.values()
            if lease.worker_set is worker_set and lease.result is None
        ]

    def of_partitions(self, partitions: set[int]) -> dict[int, list[Lease]]:
        """Return leases by partition; a lease of unknown partition is listed under each."""
        found: dict[int, list[Lease]] = {partition: [] for partition in partitions}
        for lease in self._by_token.values():
            if lease.partition == UNKNOWN_PARTITION:
                for leases in found.values():
                    leases.append(lease)
            elif lease.partition in found:
                found[lease.partition].append(lease)
        return found

    def stale(self, partitions: Iterable[int], epochs: Iterable[int]) -> set[int]:
        """Return the claimed partitions of which a newer epoch was seen.

        Remember the epochs of the others: a dispatch of the former owner that arrives later must
        not run beside the new owner's.
        """
        claimed = zip(partitions, epochs, strict=False)
        return {partition for partition, epoch in claimed if self.newer_epoch(partition, epoch)}

    def newer_epoch(self, partition: int, epoch: int) -> int:
        """Return the epoch seen if it is newer than this one; else remember this one, return 0."""
        seen = self._epochs.get(partition, 0)
        if epoch < seen:
            return seen
        self._epochs[partition] = epoch
        return 0
