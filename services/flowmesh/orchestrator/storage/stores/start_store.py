"""Starts by request id and by concurrency key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flowmesh.orchestrator.model.concurrency_groups import StoredEntry
from flowmesh.orchestrator.storage.database import Queries


class StartedRow(NamedTuple):
    """The execution with which a start request was answered."""

    namespace: str
    request_id: str
    id: str
    start_digest: bytes


class StartStore:
    """Reads starts that repeat a request id or share a concurrency key."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def started_under(
        self, namespaces: Sequence[str], request_ids: Sequence[str]
    ) -> list[StartedRow]:
        """Return the executions of earlier starts with these request ids."""
        return await self._queries.records(
            StartedRow,
            "started_under",
            namespaces=list(namespaces),
            request_ids=list(request_ids),
        )

    async def entries(self, partitions: Sequence[int], *, now_us: int) -> list[StoredEntry]:
        """Return the entries of concurrency groups that are open or still answer starts."""
        return await self._queries.records(
            StoredEntry, "starts_of", partitions=list(partitions), now_us=now_us
        )

    async def delete_expired(self, now_us: int) -> None:
        """Delete entries of ended executions that answer no further start."""
        await self._queries.one("delete_starts", now_us=now_us)
