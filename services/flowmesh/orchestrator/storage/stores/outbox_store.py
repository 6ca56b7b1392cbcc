"""Positions of incarnations and the outbox rows of their commits."""

from __future__ import annotations

from typing import NamedTuple

from flowmesh.access.encryption import history_place
from flowmesh.errors import WrongState
from flowmesh.orchestrator.storage.database import Queries


class CommittedPosition(NamedTuple):
    """The executions and the partitions of one commit."""

    execution_ids: list[str]
    partitions: list[int]


class UnpublishedIncarnation(NamedTuple):
    """An incarnation with outbox rows; `position` is the last one."""

    incarnation: int
    position: int


class OutboxRow(NamedTuple):
    """One history row of a commit; the fields from `execution_id` on are None without one.

    `after` is an encoded EventBatch that holds the positions on which the commit depends.
    """

    position: int
    after: bytes | None
    execution_id: str | None
    seq: int | None
    events: bytes | None
    namespace: str | None
    workflow_id: str | None
    plan_digest: str | None


class OutboxStore:
    """The outbox: which events each commit of an incarnation wrote."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def last_position(self, incarnation: int) -> int | None:
        """Return the position of the last commit; None if the incarnation is unknown."""
        position: int | None = await self._queries.one("position_of", incarnation=incarnation)
        return position

    async def committed_at(self, incarnation: int, position: int) -> CommittedPosition | None:
        """Return what a commit wrote; None once its outbox row is deleted."""
        return await self._queries.record(
            CommittedPosition, "outbox_row", incarnation=incarnation, position=position
        )

    async def unpublished(self, incarnation: int) -> list[UnpublishedIncarnation]:
        """Return the incarnations other than this one that still have outbox rows."""
        return await self._queries.records(
            UnpublishedIncarnation, "unpublished_incarnations", incarnation=incarnation
        )

    async def read(
        self, incarnation: int, *, after: int, positions_max: int, bytes_max: int
    ) -> list[OutboxRow]:
        """Return the rows of the positions behind `after`, up to a size; at least one position."""
        rows = await self._queries.records(
            OutboxRow,
            "read_outbox",
            incarnation=incarnation,
            after=after,
            rows_max=positions_max,
            bytes_max=bytes_max,
        )
        return list(map(self._opened, rows))

    def _opened(self, row: OutboxRow) -> OutboxRow:
        """Return a row with its events readable; without events if their key was destroyed."""
        if row.events is None or row.execution_id is None:
            return row
        try:
            events = self._queries.keys.open(row.events, history_place(row.execution_id))
        except WrongState:
            return row._replace(execution_id=None, events=None)
        return row._replace(events=events)
