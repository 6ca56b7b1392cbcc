"""Marks of failed executions whose dead letters were discarded."""

from __future__ import annotations

from collections.abc import Sequence

from flowmesh.orchestrator.storage.database import Queries


class DeadLetterStore:
    """Discarded dead letters; a mark is deleted with its execution."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def discard(self, namespace: str, ids: Sequence[str]) -> int:
        """Mark failed executions; return the number of new marks."""
        rows = await self._queries.rows("discard_dead_letters", namespace=namespace, ids=list(ids))
        return len(rows)

    async def restore(self, namespace: str, ids: Sequence[str]) -> int:
        """Delete marks; return their number."""
        rows = await self._queries.rows("restore_dead_letters", namespace=namespace, ids=list(ids))
        return len(rows)
