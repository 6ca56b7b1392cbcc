"""Fifteen days of series and a week of log records, for the budgets of the page *Observe*.

`python -m tests.console.signals POSTGRES COUNT` adds them to the database of a running suite.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg

from flowmesh.observe.store import SCHEMA, SignalStore
from flowmesh.telemetry.durations import LATENCY_BUCKETS
from tests.console.many import NAMESPACE

COUNT = 10_000_000
DAYS, LOG_DAYS = 15, 7
SERVICES = 12
METHODS = 5
WORKFLOWS = 50
_BOUNDS = (*map(str, LATENCY_BUCKETS), "+Inf")
_POINTS = """
insert into {table} (at, service, instance, metric, gauge, labels, amounts)
select m, r.service, r.service || '-1', r.metric, false, r.labels, r.amounts
from generate_series($1::timestamptz, $2, interval '1 minute') m,
    jsonb_to_recordset($3::jsonb) r(service text, metric text, labels text[], amounts real[])
"""
# Half of them are of a namespace; one in 50 is a warning or an error.
_LOGS = """
insert into {table} (
    at, at_us, level, service, instance, event, namespace, execution_id, trace_id, fields
)
select a.at, extract(epoch from a.at) * 1000000,
    case when n % 200 = 0 then 'error' when n % 50 = 0 then 'warning' else 'info' end,
    'service-' || n % {services}, 'service-' || n % {services} || '-1', 'event ' || n % 40,
    case when n % 2 = 0 then '{namespace}' else '' end,
    case when n % 2 = 0 then 'exec-' || md5((n / 8)::text) else '' end, md5((n / 16)::text),
    format('{{"route": "/api/v1/orders", "number": %s, "note": "%s"}}', n, repeat('x', 40))
from generate_series(0, $3::bigint - 1) n,
    lateral (select $1::timestamptz + n * ($2::timestamptz - $1) / $3 as at) a
"""


async def seed_signals(postgres: str, count: int) -> None:
    """Add log records, evenly over a week, and the series of services and workflows."""
    async with asyncpg.create_pool(
        postgres, server_settings={"search_path": SCHEMA}, command_timeout=600, min_size=1
    ) as pool:
        # Without the minute that the suite may be writing.
        now = datetime.now(UTC) - timedelta(minutes=1)
        rows = json.dumps(list(_series()))
        for begin, end in _days(now, DAYS):
            async with _day(pool, "points", begin) as (connection, table):
                await connection.execute(_POINTS.format(table=table), begin, end, rows)
        await SignalStore(pool).add_hours(int(now.timestamp() * 1_000_000))
        for begin, end in _days(now, LOG_DAYS):
            async with _day(pool, "logs", begin) as (connection, table):
                text = _LOGS.format(table=table, services=SERVICES, namespace=NAMESPACE)
                share = (end - begin) / timedelta(days=LOG_DAYS)
                await connection.execute(text, begin, end, round(count * share))
        for table in ("points", "hours", "logs"):
            await pool.execute(f"vacuum (analyze) {table}")


def _days(now: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Yield the begin and the end of each day in UTC, the oldest first."""
    begin = now - timedelta(days=days)
    while begin < now:
        midnight = datetime(begin.year, begin.month, begin.day, tzinfo=UTC)
        end = min(midnight + timedelta(days=1), now)
        # The end belongs to the next day.
        yield begin, end - timedelta(microseconds=1)
        begin = end


@asynccontextmanager
async def _day(
    pool: "asyncpg.Pool[asyncpg.Record]", parent: str, day: datetime
) -> AsyncIterator[tuple["asyncpg.pool.PoolConnectionProxy[asyncpg.Record]", str]]:
    """Yield the table of a day; one that is missing gets its indexes when it is full."""
    table = f"{parent}_{day:%Y%m%d}"
    async with pool.acquire() as connection:
        exists = await connection.fetchval("select to_regclass($1)", table)
        if not exists:
            await connection.execute(f"create table {table} (like {parent} including defaults)")
        yield connection, table
        if not exists:
            until = day.date() + timedelta(days=1)
            await connection.execute(
                f"alter table {parent} attach partition {table}"
                f" for values from ('{day.date()} 00:00+00') to ('{until} 00:00+00')"
            )


def _series() -> Iterator[dict[str, object]]:
    """Yield the metrics of a minute: calls of each service, and executions of each workflow."""
    for number in range(SERVICES):
        name = f"service-{number}"
        calls = [f"service={name},method=Method{each},code=OK" for each in range(METHODS)]
        yield _metric(name, "flowmesh_rpc_total", calls, [60.0] * METHODS)
        of_methods = [label.rpartition(",")[0] for label in calls]
        yield _histogram(name, "flowmesh_rpc_seconds", of_methods)
    of_workflows = [f"namespace={NAMESPACE},workflow=w-{each}" for each in range(WORKFLOWS)]
    yield _histogram("orchestrator", "flowmesh_workflow_execution_seconds", of_workflows)


def _histogram(service: str, metric: str, labels: list[str]) -> dict[str, object]:
    """Return the buckets of a histogram; each has five calls more than the one before."""
    bounded = [f"{each},le={bound}" for each in labels for bound in _BOUNDS]
    counts = [5.0 * (1 + place) for place in range(len(_BOUNDS))] * len(labels)
    return _metric(service, f"{metric}_bucket", bounded, counts)


def _metric(
    service: str, metric: str, labels: list[str], amounts: list[float]
) -> dict[str, object]:
    return {"service": service, "metric": metric, "labels": labels, "amounts": amounts}


if __name__ == "__main__":
    asyncio.run(seed_signals(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else COUNT))
