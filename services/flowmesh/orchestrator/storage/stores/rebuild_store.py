"""Rows of ended executions, compared with their histories and written again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from flowmesh.access.encryption import error_place, history_place
from flowmesh.orchestrator.model.search_values import Stored, sealed_value
from flowmesh.orchestrator.storage.database import Queries


class HistoryPlace(NamedTuple):
    """The day of the start of an execution, and its id: the order of histories."""

    start_day: int
    execution_id: str


class RebuiltRow(NamedTuple):
    """Columns of an ended execution. Times are in microseconds."""

    id: str
    namespace: str
    partition: int
    workflow_id: str
    workflow_name: str
    workflow_version: int
    plan_digest: str
    status: int
    request_id: str | None
    started_at: int
    ended_at: int | None


class StoredRow(NamedTuple):
    """Columns of a stored execution, with those that an ended one does not have."""

    row: RebuiltRow
    idle: bool


class RebuildStore:
    """Reads histories in their order, and the rows that are computed from them."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def places(self, after: HistoryPlace, rows_max: int) -> list[HistoryPlace]:
        """Return executions with a history, behind a place."""
        return await self._queries.records(
            HistoryPlace,
            "first_histories",
            start_day=after.start_day,
            execution_id=after.execution_id,
            rows_max=rows_max,
        )

    async def histories(self, places: Sequence[HistoryPlace]) -> dict[str, list[bytes]]:
        """Return all encoded events by execution."""
        found: dict[str, list[bytes]] = {each.execution_id: [] for each in places}
        rows = await self._queries.rows(
            "history_rows",
            days=[each.start_day for each in places],
            ids=[each.execution_id for each in places],
            afters=[0] * len(places),
        )
        for row in rows:
            execution_id = row["execution_id"]
            place = history_place(execution_id)
            found[execution_id].append(self._queries.keys.open(row["events"], place))
        return found

    async def rows(self, ids: Sequence[str]) -> dict[str, StoredRow]:
        """Return the stored rows by execution."""
        rows = await self._queries.rows("stored_executions", ids=list(ids))
        lanes = await self._queries.rows("stored_lanes", ids=list(ids))
        busy = {row["execution_id"] for row in lanes}
        waiting = ("wake_at", "ready_since", "queue", "priority")
        return {
            row["id"]: StoredRow(
                RebuiltRow(*(row[name] for name in RebuiltRow._fields)),
                row["id"] not in busy and all(row[name] is None for name in waiting),
            )
            for row in rows
        }

    async def values(self, ids: Sequence[str]) -> dict[str, dict[str, Stored]]:
        """Return the stored search values by execution and name."""
        found: dict[str, dict[str, Stored]] = {id: {} for id in ids}
        for row in await self._queries.rows("stored_values", ids=list(ids)):
            id, name, text = row["execution_id"], row["name"], row["text"]
            if name == "error":
                text = self._queries.keys.open_text(text, error_place(id))
            found[id][name] = (text, row["number"])
        return found

    def sealed(self, row: RebuiltRow, values: Mapping[str, Stored]) -> dict[str, Stored]:
        """Return search values as they are stored."""
        keys = self._queries.keys
        return {
            name: sealed_value(keys, row.namespace, row.id, name, value)
            for name, value in values.items()
        }

    async def write(self, row: RebuiltRow, values: Mapping[str, Stored]) -> None:
        """Write the rows of an ended execution; others of it are deleted."""
        values = self.sealed(row, values)
        await self._queries.one(
            "rebuild_execution",
            names=list(values),
            texts=[text for text, _ in values.values()],
            numbers=[number for _, number in values.values()],
            **row._asdict(),
        )

    async def note(self, namespace: str, **after: object) -> None:
        """Write the operation into the audit log, if it is audited."""
        await self._queries.one(
            "note_rebuild", namespace=namespace, after=orjson.dumps(after).decode()
        )
