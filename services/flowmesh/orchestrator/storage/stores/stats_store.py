"""Statistics of workflows, summed over all processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.orchestrator.storage.database import Queries

Stats = execution_pb2.WorkflowStats
Sum = Callable[[Stats, Stats], Stats]


class StatsStore:
    """One row for each workflow with executions; unchanged ones are deleted after 90 days."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def stored(self, namespace: str, workflow_id: str) -> list[Stats]:
        """Return the statistics of a workflow, or of all of the namespace, with samples."""
        rows = await self._queries.rows("stored_stats", namespace=namespace, workflow=workflow_id)
        return [Stats.FromString(row["stats"]) for row in rows]

    async def add(self, parts: Sequence[tuple[str, Stats]], total: Sum) -> None:
        """Store the totals of the stored statistics and these, each with its namespace."""
        keys = {
            "namespaces": [namespace for namespace, _ in parts],
            "workflows": [each.workflow_id for _, each in parts],
        }
        async with self._queries.pool.acquire() as connection, connection.transaction():
            found = await self._queries.rows("lock_stats", connection, **keys)
            stored = {
                (row["namespace"], row["workflow_id"]): Stats.FromString(row["stats"])
                for row in found
            }
            sums = [
                total(known, each)
                if (known := stored.get((namespace, each.workflow_id))) is not None
                else each
                for namespace, each in parts
            ]
            stats = [each.SerializeToString() for each in sums]
            await self._queries.rows("store_stats", connection, **keys, stats=stats)

    async def delete_unused(self) -> None:
        """Delete the statistics of workflows without executions for a long time."""
        await self._queries.one("delete_unused_stats")
