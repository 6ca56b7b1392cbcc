"""Counts of executions for quotas."""

from __future__ import annotations

from flowmesh.orchestrator.storage.database import Queries


class QuotaStore:
    """Counts up to a bound; each reads one range of an index."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def running(self, namespace: str, most: int) -> int:
        """Return the number of executions that have not ended."""
        return int(await self._queries.one("count_running", namespace=namespace, most=most))

    async def started_since(self, namespace: str, first_id: str, most: int) -> int:
        """Return the number of executions whose id is not below a bound."""
        return int(
            await self._queries.one(
                "count_started", namespace=namespace, first_id=first_id, most=most
            )
        )
