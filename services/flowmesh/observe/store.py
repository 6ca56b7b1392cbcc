"""Kept signals as rows; each day is a partition."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.dashboards.metrics import SHARES
from flowmesh.observe.filters import Where
from flowmesh.observe.limits import QUERY_TIMEOUT_S, WRITE_TIMEOUT_S
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

SCHEMA: Final = "observe"
MIGRATIONS: Final = files("flowmesh.observe").joinpath("migrations")
TABLES: Final = ("points", "logs", "calls")
DAYS_AHEAD: Final = 2
# A crash may lose the last signals; executions do not share their wait for the disk.
_QUICKLY: Final = (
    f"set local synchronous_commit = off; set local statement_timeout = '{WRITE_TIMEOUT_S:g}s'"
)
# Held while partitions are made or dropped.
_LOCK: Final = 7_041_059


class Amount(NamedTuple):
    """The value of a label set in a step."""

    step_s: int
    process: str
    labels: str
    value: float


@dataclass(frozen=True, slots=True)
class Retention:
    """Days and size of what is kept."""

    days: int
    months: int
    logs_days: int
    bytes_max: int


class SignalStore:
    """Writes a batch with one statement for each kind; reads within a few seconds or refuses."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._sql: Any = load_queries(files("flowmesh.observe").joinpath("sql"))

    async def write(self, batch: pb.RecordSignalsRequest) -> None:
        """Store a batch, or nothing of it."""
        async with (
            self._pool.acquire(timeout=WRITE_TIMEOUT_S) as connection,
            connection.transaction(),
        ):
            await connection.execute(_QUICKLY)
            if batch.metrics:
                await self._sql.insert_points(
                    connection,
                    at_us=batch.at_us,
                    service=batch.service,
                    instance=batch.instance_id,
                    rows=_points(batch.metrics),
                )
            if batch.logs:
                rows = _rows(batch.logs, _LOG)
                await self._sql.insert_logs(connection, instance=batch.instance_id, rows=rows)
            if batch.calls:
                rows = _rows(batch.calls, _CALL)
                await self._sql.insert_calls(connection, instance=batch.instance_id, rows=rows)

    async def amounts(
        self, metric: str, from_us: int, until_us: int, step_s: int, *, hours: bool
    ) -> list[Amount]:
        """Return the sums of a metric by step, or the means of a gauge.

        Of a gauge the instances of a service have shares, which are summed, or its mean.
        """
        minutes = self._sql.shares if metric in SHARES else self._sql.minutes
        query = self._sql.hours if hours else minutes
        async with self._pool.acquire(timeout=QUERY_TIMEOUT_S) as connection:
            rows = query(
                connection, metric=metric, from_us=from_us, until_us=until_us, step_s=step_s
            )
            return [Amount._make(row) async for row in rows]

    async def logs(self, where: Where, count: int, *, after: int) -> list[pb.LogRecord]:
        rows = await self._page("logs", _LOG, where, count, after=after)
        return [pb.LogRecord(**_named(row)) for row in rows]

    async def calls(self, where: Where, count: int) -> list[pb.CallRecord]:
        rows = await self._page("calls", _CALL, where, count, after=0)
        return [pb.CallRecord(**_named(row)) for row in rows]

    async def _page(
        self, table: str, columns: Sequence[str], where: Where, count: int, *, after: int
    ) -> list[Any]:
        # The names are of this module, all values are parameters.
        listed = ", ".join((*columns, "instance", "position"))
        order = "asc" if after else "desc"
        ordered = f"order by position {order} limit {count:d}"
        text = f"select {listed} from {table} where {where.text} {ordered}"  # noqa: S608
        return await self._pool.fetch(text, *where.values, timeout=QUERY_TIMEOUT_S)

    # --- days ---

    async def keep(self, retention: Retention, today: date) -> int:
        """Drop the partitions beyond days or size, then make those of the next days.

        Each in its transaction: what is dropped makes room for the others on a full disk.
        """
        async with self._days() as (connection, found):
            old = list(_old(found, retention, today))
            for name in old:
                await connection.execute(f"drop table {name}")
            await self._sql.delete_hours(connection, months=retention.months)
        async with self._days() as (connection, found):
            names = {*old, *(row["name"] for row in found)}
            for ahead in range(-1, DAYS_AHEAD + 1):
                day = today + timedelta(days=ahead)
                for table in TABLES:
                    if _partition(table, day) not in names:
                        await connection.execute(_creation(table, day))
        return len(old)

    @asynccontextmanager
    async def _days(self) -> AsyncIterator[tuple[Any, list[Any]]]:
        """Yield a transaction that alone changes the partitions, and their rows."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            yield connection, [row async for row in self._sql.partitions(connection)]

    async def add_hours(self, now_us: int) -> int:
        """Sum the hours that have ended since the last one; return their number."""
        last = await self._sql.last_hour(self._pool)
        hour_us = last + _HOUR_US if last else await self._sql.first_point(self._pool)
        hour_us -= hour_us % _HOUR_US
        count = 0
        # A process sends a minute after its end.
        while hour_us and hour_us + _HOUR_US + 2 * 60_000_000 <= now_us:
            await self._sql.add_hour(self._pool, hour_us=hour_us, shares=list(SHARES))
            hour_us += _HOUR_US
            count += 1
        return count


_HOUR_US: Final = 3_600_000_000
_LOG: Final = (
    *("at_us", "level", "service", "event", "namespace", "execution_id", "trace_id", "fields"),
)
_CALL: Final = (
    *("at_us", "service", "method", "code", "duration_ms", "namespace", "execution_id"),
    "trace_id",
)


def day_of(at_us: int) -> date:
    """Return the day of an instant in UTC."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).date()


def _points(metrics: Iterable[pb.MetricPoints]) -> str:
    rows = [
        {
            "metric": each.metric,
            "gauge": each.gauge,
            "labels": list(each.labels),
            "amounts": list(each.values),
        }
        for each in metrics
    ]
    return msgspec.json.encode(rows).decode()


def _rows(records: Iterable[Any], columns: Sequence[str]) -> str:
    rows = [{name: getattr(each, name) for name in columns} for each in records]
    return msgspec.json.encode(rows).decode()


def _named(row: Any) -> dict[str, Any]:
    values = dict(row)
    values["instance_id"] = values.pop("instance")
    return values


def _partition(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def _creation(table: str, day: date) -> str:
    until = day + timedelta(days=1)
    return (
        f"create table {_partition(table, day)} partition of {table}"
        f" for values from ('{day} 00:00+00') to ('{until} 00:00+00')"
    )


def _old(found: Sequence[Any], retention: Retention, today: date) -> Iterable[str]:
    """Yield the partitions beyond their days, then the oldest ones while all are too large."""
    total = sum(row["bytes"] for row in found)
    for row in found:
        day = datetime.strptime(row["name"][-8:], "%Y%m%d").replace(tzinfo=UTC).date()
        days = retention.days if row["parent"] == "points" else retention.logs_days
        too_old = (today - day).days > days
        if too_old or (total > retention.bytes_max and day < today):
            total -= row["bytes"]
            yield row["name"]
