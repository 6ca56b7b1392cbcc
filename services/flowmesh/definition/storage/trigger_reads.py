"""Queries of the triggers of stored workflows."""

from collections.abc import Collection
from typing import Any

import asyncpg

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.definition import limits
from flowmesh.definition.storage.rows import page_of


class TriggerReads:
    """Triggers of the newest versions of workflows."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", sql: Any) -> None:
        self._pool = pool
        self._sql = sql

    async def of_workflows(
        self, namespace: str, ids: Collection[str]
    ) -> list[trigger_pb2.WorkflowTriggers]:
        """Return the triggers of the named workflows, including deleted workflows."""
        rows = self._sql.triggers_of(self._pool, namespace=namespace, ids=list(ids))
        found = []
        async for row in rows:
            kept = trigger_pb2.WorkflowTriggers.FromString(row["body"] or b"")
            kept.namespace, kept.workflow_id = namespace, row["id"]
            kept.version, kept.live = row["version"], row["live"]
            found.append(kept)
        return found

    async def page(
        self, after_namespace: str, after: str, count: int
    ) -> tuple[list[trigger_pb2.WorkflowTriggers], bool]:
        """Return a page of all workflows with triggers, by namespace and id."""
        rows = self._sql.triggers_page(
            self._pool,
            after_namespace=after_namespace,
            after=after,
            count=count,
            bytes_max=limits.PAGE_BYTES_MAX,
        )
        return await page_of(rows, lambda row: trigger_pb2.WorkflowTriggers.FromString(row["body"]))
