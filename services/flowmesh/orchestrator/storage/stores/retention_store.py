"""Retention of ended executions: the rules, the expired executions, and their deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flowmesh.orchestrator.storage.database import Queries


class UnreadPlan(NamedTuple):
    """A plan whose retention is not stored in its row yet."""

    digest: str
    body: bytes


class PlanRetention(NamedTuple):
    """The retention that plans of a workflow set, with the digests of these plans."""

    namespace: str
    workflow_id: str
    retention_ms: int
    digests: list[str]


class NamespaceRetention(NamedTuple):
    """The retention of a namespace."""

    namespace: str
    retention_ms: int


class Expiry(NamedTuple):
    """Bounds of expired executions: ids behind `after_id` up to `before_id`, ended before a time
    in microseconds.
    """

    after_id: str
    before_id: str
    ended_before: int
    rows_max: int


class RetentionStore:
    """Reads and writes retention; finds and deletes expired executions."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    # --- the rules ---

    async def of_namespace(self, namespace: str) -> int | None:
        """Return the retention of a namespace in milliseconds; None if it has none."""
        kept_ms: int | None = await self._queries.one("retention_of", namespace=namespace)
        return kept_ms

    async def set(self, namespace: str, retention_ms: int) -> None:
        """Set the retention of a namespace."""
        await self._queries.one("set_retention", namespace=namespace, retention_ms=retention_ms)

    async def unset(self, namespace: str) -> None:
        """Remove the retention of a namespace; the default applies again."""
        await self._queries.one("unset_retention", namespace=namespace)

    async def of_namespaces(self) -> list[NamespaceRetention]:
        """Return the retention of every namespace that has one."""
        return await self._queries.records(NamespaceRetention, "kept_by_namespaces")

    async def of_plans(self) -> list[PlanRetention]:
        """Return the retention of every workflow that has one."""
        return await self._queries.records(PlanRetention, "kept_by_plans")

    async def unread_plans(self, rows_max: int) -> list[UnreadPlan]:
        """Return plans whose retention is not stored in their rows yet."""
        return await self._queries.records(UnreadPlan, "unread_plans", rows_max=rows_max)

    async def record_plan(
        self, digest: str, *, namespace: str, workflow_id: str, retention_ms: int
    ) -> None:
        """Store the retention of a plan in its row."""
        await self._queries.one(
            "note_plan",
            digest=digest,
            namespace=namespace,
            workflow_id=workflow_id,
            retention_ms=retention_ms,
        )

    # --- expired executions ---

    async def expired_of_plans(self, retention: PlanRetention, expiry: Expiry) -> list[str]:
        """Return expired executions of a workflow that sets its retention."""
        rows = await self._queries.rows(
            "expired_of_plans",
            namespace=retention.namespace,
            workflow_id=retention.workflow_id,
            digests=retention.digests,
            **expiry._asdict(),
        )
        return [row["id"] for row in rows]

    async def expired_of_namespace(self, namespace: str, expiry: Expiry) -> list[str]:
        """Return expired executions of a namespace whose plans set no retention."""
        rows = await self._queries.rows(
            "expired_of_namespace", namespace=namespace, **expiry._asdict()
        )
        return [row["id"] for row in rows]

    async def expired_by_default(self, expiry: Expiry) -> list[str]:
        """Return expired executions to which only the default retention applies."""
        rows = await self._queries.rows("expired_elsewhere", **expiry._asdict())
        return [row["id"] for row in rows]

    async def delete_executions(self, execution_ids: Sequence[str]) -> int:
        """Delete ended executions with their rows in all tables; return their number."""
        deleted: int = await self._queries.one("delete_executions", ids=list(execution_ids))
        return deleted

    async def delete_snapshots(self) -> int:
        """Delete snapshots of ended executions; return their number."""
        deleted: int = await self._queries.one("delete_snapshots")
        return deleted
