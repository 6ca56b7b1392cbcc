"""Bulk operations and their progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flowmesh.orchestrator.storage.database import Queries


class BulkRow(NamedTuple):
    """A bulk operation.

    `action` is an encoded BulkAction, `failures` a JSON array. Executions up to `cursor` are
    counted; `page` are the ids that are processed now, empty between pages. Times are in
    microseconds.
    """

    id: str
    partition: int
    namespace: str
    action: bytes
    filter: str
    now_us: int
    status: int
    matched: int
    applied: int
    skipped: int
    failed: int
    failures: str
    cursor: str
    page: list[str]
    rate_per_second: int
    actor: str
    created_at: int
    ended_at: int | None
    until_id: str


class BulkStore:
    """Bulk operations of all namespaces."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def begin(
        self,
        *,
        bulk_id: str,
        partition: int,
        namespace: str,
        request_id: str,
        action: bytes,
        filter_text: str,
        now_us: int,
        matched: int,
        rate_per_second: int,
        actor: str,
        until_id: str,
    ) -> BulkRow | None:
        """Store a new bulk; None if one was begun with the same request id."""
        return await self._queries.record(
            BulkRow,
            "begin_bulk",
            id=bulk_id,
            partition=partition,
            namespace=namespace,
            request_id=request_id,
            action=action,
            filter=filter_text,
            now_us=now_us,
            matched=matched,
            rate_per_second=rate_per_second,
            actor=actor,
            until_id=until_id,
        )

    async def find(self, namespace: str, bulk_id: str) -> BulkRow | None:
        """Return a bulk; None if the namespace has no such bulk."""
        return await self._queries.record(BulkRow, "bulk_row", namespace=namespace, bulk_id=bulk_id)

    async def find_by_request(self, namespace: str, request_id: str) -> BulkRow | None:
        """Return the bulk that was begun with a request id."""
        return await self._queries.record(
            BulkRow, "bulk_under", namespace=namespace, request_id=request_id
        )

    async def newest(self, namespace: str, rows_max: int) -> list[BulkRow]:
        """Return the newest bulks of a namespace."""
        return await self._queries.records(
            BulkRow, "bulk_rows", namespace=namespace, rows_max=rows_max
        )

    async def running(self, partitions: Sequence[int]) -> list[BulkRow]:
        """Return the running bulks of partitions."""
        return await self._queries.records(BulkRow, "open_bulks", partitions=list(partitions))

    async def take_page(self, bulk_id: str, cursor: str, page: Sequence[str]) -> BulkRow | None:
        """Store the executions to process next; None if the bulk moved on or has ended."""
        return await self._queries.record(
            BulkRow, "take_page", bulk_id=bulk_id, cursor=cursor, page=list(page)
        )

    async def count_page(
        self,
        bulk_id: str,
        cursor: str,
        *,
        next_cursor: str,
        applied: int,
        skipped: int,
        failed: int,
        failures: str,
    ) -> BulkRow | None:
        """Count the results of the page at `cursor` once; None if they are counted already."""
        return await self._queries.record(
            BulkRow,
            "count_page",
            bulk_id=bulk_id,
            cursor=cursor,
            next_cursor=next_cursor,
            applied=applied,
            skipped=skipped,
            failed=failed,
            failures=failures,
        )

    async def end(
        self, namespace: str, bulk_id: str, *, status: int, ended_at: int
    ) -> BulkRow | None:
        """End a running bulk with a status; None if it is not running."""
        return await self._queries.record(
            BulkRow,
            "end_bulk",
            namespace=namespace,
            bulk_id=bulk_id,
            status=status,
            ended_at=ended_at,
        )

    async def delete_ended(self, ended_before: int) -> None:
        """Delete the bulks that ended before a time in microseconds."""
        await self._queries.one("delete_bulks", ended_before=ended_before)
