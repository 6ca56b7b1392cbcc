"""Columns and payload references of ended executions, for the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flowmesh.orchestrator.storage.batch import DAY_US
from flowmesh.orchestrator.storage.database import Queries


class ArchivedRow(NamedTuple):
    """Columns of an ended execution. Times are in microseconds."""

    id: str
    namespace: str
    workflow_id: str
    workflow_name: str
    workflow_version: int
    plan_digest: str
    status: int
    started_at: int
    ended_at: int
    request_id: str | None

    @property
    def start_day(self) -> int:
        """The day of the start, by which the history is partitioned."""
        return self.started_at // DAY_US


class ArchiveStore:
    """Reads what the archive takes of an execution beside its plan and its history."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def rows(self, execution_ids: Sequence[str]) -> list[ArchivedRow]:
        """Return the columns of those executions that have ended."""
        return await self._queries.records(ArchivedRow, "archived_columns", ids=list(execution_ids))

    async def payload_digests(self, execution_id: str) -> list[str]:
        """Return the digests of the stored payloads that an execution refers to."""
        rows = await self._queries.rows("payloads_of", ids=[execution_id])
        return [row["digest"] for row in rows]
