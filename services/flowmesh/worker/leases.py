"""Tasks this worker service holds: running at one of its workers, or ended and not acknowledged.

Also the epochs seen per partition, by which an old owner's dispatches are refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowmesh.api.worker.v1.task_pb2 import TaskResult

if TYPE_CHECKING:
    from flowmesh.worker.attach import Link
    from flowmesh.worker.sets import WorkerSet

UNKNOWN_PARTITION = -1


class Receipt:
    """A frame of results of a remote worker; done when each of them is settled."""

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
    """One task. It runs until `result` is set, and is held until the result is acknowledged."""

    token: str
    worker_id: str
    # Where it runs; none while its worker's stream is broken.
    worker_set: "WorkerSet | None"
    # The orchestrator to talk to about it; none where it is not known.
    link: "Link | None"
    partition: int = UNKNOWN_PARTITION
    # An orchestrator learned of it from a hello and may own it by now: all are told about it.
    shared: bool = False
    canceled: bool = False
    result: TaskResult | None = None
    result_bytes: int = 0
    frame: int = 0
    # When the stream of its worker broke last, on the monotonic clock.
    away_since_ms: float = 0.0
    # When the result began to wait for a stream, on the monotonic clock.
    waits_since_ms: float = 0.0
    # Orchestrators that answered MOVED.
    refused_by: set[str] = field(default_factory=set)
    receipts: list[Receipt] = field(default_factory=list)


class Leases:
    """All leases by token."""

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
        """Leases by partition; one of unknown partition is listed under each."""
        found: dict[int, list[Lease]] = {partition: [] for partition in partitions}
        for lease in self._by_token.values():
            if lease.partition == UNKNOWN_PARTITION:
                for leases in found.values():
                    leases.append(lease)
            elif lease.partition in found:
                found[lease.partition].append(lease)
        return found

    def stale(self, partitions: Iterable[int], epochs: Iterable[int]) -> set[int]:
        """Of claimed partitions those of which a newer epoch was seen.

        Those of the others are remembered: what an old owner sent and is not here yet would run
        beside the new owner's.
        """
        claimed = zip(partitions, epochs, strict=False)
        return {partition for partition, epoch in claimed if self.newer_epoch(partition, epoch)}

    def newer_epoch(self, partition: int, epoch: int) -> int:
        """The epoch seen if it is newer than this one, else 0; remembers this one otherwise."""
        seen = self._epochs.get(partition, 0)
        if epoch < seen:
            return seen
        self._epochs[partition] = epoch
        return 0
