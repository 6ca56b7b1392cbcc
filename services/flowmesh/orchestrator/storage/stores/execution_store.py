"""Executions, their plans and their histories as rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from flowmesh.access.encryption import history_place
from flowmesh.engine.state.state import EXECUTION_COMPLETED
from flowmesh.orchestrator.storage.batch import DAY_US
from flowmesh.orchestrator.storage.database import Queries

CachedSnapshots = Callable[[Sequence[str]], Awaitable[Mapping[str, tuple[int, bytes]]]]
"""Returns sequence and snapshot of those executions that a cache has."""

HISTORY_ROWS_AT_ONCE = 10_000
HISTORY_BYTES_AT_ONCE = 4 << 20
"""Size of a page of a history; the row that reaches it is the last one of the page."""


def may_have_more(rows: Sequence[bytes]) -> bool:
    """Return whether a history may have rows behind this page."""
    return len(rows) == HISTORY_ROWS_AT_ONCE or sum(map(len, rows)) >= HISTORY_BYTES_AT_ONCE


async def no_snapshots(_execution_ids: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
    """Return no snapshot: every execution is rebuilt from its rows."""
    return {}


class ExecutionRow(NamedTuple):
    """Columns of one execution. `started_at` is in microseconds."""

    id: str
    plan_digest: str
    status: int
    started_at: int

    @property
    def start_day(self) -> int:
        """The day of the start, by which the history is partitioned."""
        return self.started_at // DAY_US


class RunRow(NamedTuple):
    """An execution that was started by another one."""

    id: str
    workflow_version: int
    status: int


class HistoryRow(NamedTuple):
    """Encoded HistoryEvents with the sequence of the first."""

    seq: int
    events: bytes


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """A stored execution: its plan and the encoded events after its snapshot.

    `snapshot_cached` is True if the snapshot is not from the rows but from a cache.
    """

    execution_id: str
    namespace: str
    plan_digest: str
    plan_body: bytes
    snapshot: bytes | None
    events: tuple[bytes, ...]
    snapshot_cached: bool = False


class ExecutionStore:
    """Reads executions, plans and histories. Commits write them."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def now_us(self) -> int:
        """Return the time of the database: nothing is deleted by a wrong clock of a process."""
        now_us: int = await self._queries.one("now_us")
        return now_us

    async def load(
        self,
        execution_ids: Sequence[str],
        plans: Mapping[str, object],
        cached: CachedSnapshots = no_snapshots,
    ) -> list[StoredExecution]:
        """Return executions with everything needed to rebuild them.

        `plan_body` is empty for digests in `plans`. `cached` may return later snapshots of ended
        executions than the rows have.
        """
        rows = await self._queries.rows("execution_rows", ids=list(execution_ids))
        if not rows:
            return []
        wanted = list({row["plan_digest"] for row in rows if row["plan_digest"] not in plans})
        bodies = await self.plan_bodies(wanted) if wanted else {}
        later = await cached([row["id"] for row in rows if row["status"] >= EXECUTION_COMPLETED])
        snapshots = {
            row["id"]: later.get(row["id"], (row["snapshot_seq"] or 0, row["snapshot"]))
            for row in rows
        }
        events: dict[str, list[bytes]] = {row["id"]: [] for row in rows}
        history = await self._queries.rows(
            "history_rows",
            days=[row["start_day"] for row in rows],
            ids=[row["id"] for row in rows],
            afters=[snapshots[row["id"]][0] for row in rows],
        )
        for row in history:
            events[row["execution_id"]].append(row["events"])
        return [
            StoredExecution(
                row["id"],
                row["namespace"],
                row["plan_digest"],
                bodies.get(row["plan_digest"], b""),
                snapshots[row["id"]][1],
                tuple(events[row["id"]]),
                row["id"] in later,
            )
            for row in rows
        ]

    async def find(self, namespace: str, execution_id: str) -> ExecutionRow | None:
        """Return the columns of an execution; None if the namespace has no such execution."""
        return await self._queries.record(
            ExecutionRow, "execution_row", namespace=namespace, execution_id=execution_id
        )

    async def plan_bodies(self, digests: Sequence[str]) -> dict[str, bytes]:
        """Return encoded plans by their digests."""
        rows = await self._queries.rows("plan_bodies", digests=list(digests))
        return {row["digest"]: row["body"] for row in rows}

    async def history(self, execution_id: str, start_day: int) -> list[HistoryRow]:
        """Return all history rows of an execution."""
        rows = await self._queries.records(
            HistoryRow, "history_rows", days=[start_day], ids=[execution_id], afters=[0]
        )
        return self._opened(execution_id, rows)

    async def history_page(
        self, execution_id: str, start_day: int, *, after: int, rows_max: int
    ) -> list[HistoryRow]:
        """Return history rows behind a sequence; the first may begin before it."""
        rows = await self._queries.records(
            HistoryRow,
            "history_page",
            start_day=start_day,
            execution_id=execution_id,
            after=after,
            rows_max=rows_max,
        )
        return self._opened(execution_id, rows)

    def _opened(self, execution_id: str, rows: Sequence[HistoryRow]) -> list[HistoryRow]:
        place, keys = history_place(execution_id), self._queries.keys
        return [HistoryRow(row.seq, keys.open(row.events, place)) for row in rows]

    async def history_after(self, execution_id: str, start_day: int, after: int) -> list[bytes]:
        """Return a page of encoded events behind a sequence; the first row may begin before it."""
        rows = await self._queries.rows(
            "history_after",
            start_day=start_day,
            execution_id=execution_id,
            after=after,
            rows_max=HISTORY_ROWS_AT_ONCE,
            bytes_max=HISTORY_BYTES_AT_ONCE,
        )
        place, keys = history_place(execution_id), self._queries.keys
        return [keys.open(row["events"], place) for row in rows]

    async def started_by(self, namespace: str, request_id: str) -> RunRow | None:
        """Return the execution that another execution started with this request id."""
        return await self._queries.record(
            RunRow, "linked_under", namespace=namespace, request_id=request_id
        )

    async def last_run(self, namespace: str, execution_id: str, runs_max: int) -> str | None:
        """Return the id of the last run that continues an execution, at most `runs_max` later."""
        row = await self._queries.one(
            "last_run", namespace=namespace, execution_id=execution_id, runs_max=runs_max
        )
        return str(row["id"]) if row is not None else None

    async def last_ended(
        self, namespace: str, workflow_id: str, *, statuses: Sequence[int], rows_max: int
    ) -> list[str]:
        """Return the ids of the newest executions of a workflow with one of these statuses."""
        rows = await self._queries.rows(
            "last_ended",
            namespace=namespace,
            workflow_id=workflow_id,
            statuses=list(statuses),
            rows_max=rows_max,
        )
        return [row["id"] for row in rows]
