"""Incarnations, their leases, and the partitions that they own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from flowmesh.orchestrator.storage.database import Queries, records


@dataclass(frozen=True, slots=True)
class Tenure:
    """The state of ownership, as read by the renewal of a lease.

    `alive` maps incarnations to address and milliseconds of lease left; `partitions` maps
    partitions to epoch and incarnation. `limits_version` grows with every change of a limit.
    """

    now_us: int
    renewed: bool
    alive: dict[int, tuple[str, int]]
    partitions: dict[int, tuple[int, int | None]]
    limits_version: int


class ClaimedPartition(NamedTuple):
    """A partition that an incarnation has just claimed.

    `previous` is the former owner, None if there was none. `workers` are the worker services that
    were attached to it, None if unknown.
    """

    id: int
    epoch: int
    previous: int | None
    workers: list[str] | None


class PartitionStore:
    """Ownership of partitions by incarnations with a lease."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def register(self, address: str, data_dir_id: str, lease_ms: int) -> int:
        """Create an incarnation with a fresh lease; return its id.

        Leases of earlier incarnations with the same data directory end.
        """
        return int(
            await self._queries.one(
                "register_incarnation",
                address=address,
                data_dir_id=data_dir_id,
                lease_ms=lease_ms,
            )
        )

    async def renew(self, incarnation: int, lease_ms: int) -> Tenure:
        """Renew a lease from now on; return the leases and owners before that."""
        row = await self._queries.one("renew_lease", incarnation=incarnation, lease_ms=lease_ms)
        return Tenure(
            now_us=row["now_us"],
            renewed=row["renewed"],
            alive={i: (address, left) for i, address, left in orjson.loads(row["alive"])},
            partitions={p: (epoch, i) for p, epoch, i in orjson.loads(row["partitions"])},
            limits_version=row["limits_version"],
        )

    async def end_lease(self, incarnation: int) -> None:
        """End the lease of an incarnation."""
        await self._queries.one("end_lease", incarnation=incarnation)

    async def claim(self, incarnation: int, partitions_max: int) -> list[ClaimedPartition]:
        """Take up to `partitions_max` partitions that have no owner with a valid lease."""
        async with self._queries.pool.acquire() as connection, connection.transaction():
            free = await self._queries.rows(
                "lock_free_partitions", connection, partitions_max=partitions_max
            )
            rows = await self._queries.rows(
                "claim_partitions",
                connection,
                incarnation=incarnation,
                locked=[row["id"] for row in free],
            )
            return records(ClaimedPartition, rows)

    async def hand_over(
        self, partition: int, *, epoch: int, incarnation: int, receiver: int
    ) -> int | None:
        """Give a partition to another incarnation; return its new epoch.

        Returns None if the partition is not owned by `incarnation` at `epoch`.
        """
        raised: int | None = await self._queries.one(
            "hand_over_partition",
            partition=partition,
            epoch=epoch,
            incarnation=incarnation,
            receiver=receiver,
        )
        return raised

    async def raise_epoch(self, partition: int, *, epoch: int, incarnation: int) -> int | None:
        """Raise the epoch of a partition above `epoch`; return it, None if not the owner."""
        raised: int | None = await self._queries.one(
            "raise_epoch", partition=partition, epoch=epoch, incarnation=incarnation
        )
        return raised

    async def release(self, incarnation: int) -> None:
        """Release all partitions of an incarnation."""
        await self._queries.one("release_partitions", incarnation=incarnation)

    async def record_workers(self, incarnation: int, workers: Sequence[str] | None) -> None:
        """Store the worker services attached to an incarnation, None if unknown."""
        await self._queries.one("note_workers", incarnation=incarnation, workers=workers)
