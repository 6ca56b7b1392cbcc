"""The daily partitions of the history table."""

from __future__ import annotations

from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.storage.database import Queries

HISTORY_DAYS_AHEAD = 7


class HistoryDays:
    """Creates the daily tables of the history ahead of time and drops empty ones."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def ensure(self, today: int | None = None) -> None:
        """Create the tables for today and a week ahead, attached without blocking.

        `today` is a day of the epoch; by default it is read from the database.
        """
        days = await self._queries.rows("history_days")
        present = {row["relname"] for row in days if row["attached"]}
        today = days[0]["today"] if today is None else today
        for day in range(today - 1, today + HISTORY_DAYS_AHEAD + 1):
            name = f"history_{day}"
            if name in present:
                continue
            async with self._queries.pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    "select pg_advisory_xact_lock(hashtext('flowmesh.history'))"
                )
                if await connection.fetchval("select to_regclass($1)", f"orchestrator.{name}"):
                    continue
                await connection.execute(
                    f"create table orchestrator.{name} (like orchestrator.history including all);"
                    f"alter table orchestrator.history attach partition orchestrator.{name}"
                    f" for values from ({day}) to ({day + 1})"
                )

    async def drop_empty(self, before_day: int) -> int:
        """Detach and drop the tables of earlier days that hold no row; return their number."""
        pool = self._queries.pool
        dropped = 0
        for row in await self._queries.rows("history_days"):
            name = row["relname"]
            if name is None or int(name.rpartition("_")[2]) >= before_day:
                continue
            any_row = f"select exists (select from orchestrator.{name})"  # noqa: S608
            if await pool.fetchval(any_row):
                continue
            if row["attached"]:
                how = "finalize" if row["pending"] else "concurrently"
                await pool.execute(
                    f"alter table orchestrator.history detach partition orchestrator.{name} {how}"
                )
            failpoint("orchestrator.day_detached")
            await pool.execute(f"drop table orchestrator.{name}")
            dropped += 1
        return dropped
