"""Metered use of namespaces per hour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flowmesh.orchestrator.storage.database import Queries

FOLDED_MAX = 5_000
"""Rows that one statement folds."""


class Amounts(NamedTuple):
    """Metered use, in the fields of the message."""

    executions: int = 0
    tasks: int = 0
    tokens: int = 0
    bytes: int = 0
    agent_seconds: int = 0


class HourRow(NamedTuple):
    """The use of a namespace in an hour; hours count from 1970."""

    hour: int
    executions: int
    tasks: int
    tokens: int
    bytes: int
    agent_seconds: int


class BookingRow(NamedTuple):
    """The use so far of one source in an hour."""

    source: str
    namespace: str
    hour: int
    amounts: Amounts


class MeterStore:
    """Commits add to the rows; `CommitBatch.meter` collects what they add."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def hours(
        self, namespace: str, first: int, below: int, before: int, count: int
    ) -> list[HourRow]:
        """Return the hours from `first` on and below two bounds, newest first."""
        return await self._queries.records(
            HourRow,
            "list_meters",
            namespace=namespace,
            first=first,
            below=below,
            before=before,
            count=count,
        )

    async def sum(self, namespaces: Sequence[str], first: int, below: int) -> Amounts:
        """Return the sum of several namespaces."""
        found = await self._queries.record(
            Amounts, "sum_meters", namespaces=list(namespaces), first=first, below=below
        )
        return found or Amounts()

    async def book(self, rows: Sequence[BookingRow]) -> None:
        """Store amounts; of one source and hour the greater ones are kept."""
        columns = {f"{name}s": [getattr(row, name) for row in rows] for name in _KEY}
        amounts = {name: [getattr(row.amounts, name) for row in rows] for name in Amounts._fields}
        await self._queries.one("book_meters", **columns, **amounts)

    async def fold(self, below: int) -> None:
        """Join the sources of hours below a bound."""
        while await self._queries.one("fold_meters", below=below, most=FOLDED_MAX) == FOLDED_MAX:
            continue

    async def delete(self, below: int) -> None:
        """Delete the hours below a bound."""
        await self._queries.one("delete_meters", below=below)


_KEY = ("source", "namespace", "hour")
