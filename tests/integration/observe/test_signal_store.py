"""Kept signals on a real database: partitions, sums by the hour, retention."""

import time
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.observe.filters import Where
from flowmesh.observe.store import Retention, SignalStore, day_of

DAY = date(2026, 11, 29)
NOON_US = 1_795_953_600_000_000
MINUTE_US = 60_000_000
KEEP = Retention(days=15, months=1_000, logs_days=7, bytes_max=1 << 40)


async def partitions(pool: Any) -> set[str]:
    rows = await pool.fetch(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where c.relkind = 'r'"
    )
    return {row["relname"] for row in rows}


def minute(at_us: int, value: float) -> pb.RecordSignalsRequest:
    points = pb.MetricPoints(metric="calls_total", labels=["code=OK"], values=[value])
    return pb.RecordSignalsRequest(
        service="gateway", instance_id="gateway-1", at_us=at_us, metrics=[points]
    )


async def test_minutes_are_summed_to_hours_once(pool: Any) -> None:
    """The hour that has not ended is left out."""
    store = SignalStore(pool)
    await store.keep(KEEP, DAY)
    for number in range(61):
        await store.write(minute(NOON_US + number * MINUTE_US, 2))
    for _ in range(2):
        await store.add_hours(NOON_US + 63 * MINUTE_US)
    until_us = NOON_US + 120 * MINUTE_US
    hours = await store.amounts("calls_total", NOON_US, until_us, 3_600, hours=True)
    assert [(each.process, each.value) for each in hours] == [("gateway", 120)]
    minutes = await store.amounts("calls_total", NOON_US, until_us, 3_600, hours=False)
    assert sorted(each.value for each in minutes) == [2, 120]


@pytest.mark.parametrize(
    ("metric", "expected"), [("flowmesh_tasks_ready", 30), ("flowmesh_disk_free_bytes", 15)]
)
async def test_gauges_of_several_instances(pool: Any, metric: str, expected: float) -> None:
    """Shares are summed, other gauges are averaged; over time both are means, by the hour too."""
    store = SignalStore(pool)
    await store.keep(KEEP, DAY)
    for number in range(60):
        for instance, value in (("a", 10 + number % 2), ("b", 20 - number % 2)):
            points = pb.MetricPoints(metric=metric, gauge=True, labels=[""], values=[value])
            at_us = NOON_US + number * MINUTE_US
            batch = pb.RecordSignalsRequest(
                service="orchestrator", instance_id=instance, at_us=at_us, metrics=[points]
            )
            await store.write(batch)
    await store.add_hours(NOON_US + 63 * MINUTE_US)
    until_us = NOON_US + 60 * MINUTE_US
    for step_s, hours in ((60, False), (300, False), (3_600, True)):
        found = await store.amounts(metric, NOON_US, until_us, step_s, hours=hours)
        assert {each.value for each in found} == {expected}, (step_s, hours)


async def test_days_beyond_retention_are_dropped(pool: Any) -> None:
    """Logs go before metrics, and yesterday and two days ahead are there."""
    store = SignalStore(pool)
    await store.keep(KEEP, DAY)
    days = [DAY + timedelta(days=number) for number in range(-1, 3)]
    made = {f"{table}_{day:%Y%m%d}" for table in ("points", "logs", "calls") for day in days}
    assert await partitions(pool) == made
    await store.keep(KEEP, DAY + timedelta(days=8))
    left = await partitions(pool)
    assert f"logs_{DAY:%Y%m%d}" not in left
    assert f"points_{DAY:%Y%m%d}" in left
    await store.keep(KEEP, DAY + timedelta(days=16))
    assert f"points_{DAY:%Y%m%d}" not in await partitions(pool)


async def test_the_oldest_days_are_dropped_beyond_the_size(pool: Any) -> None:
    """The present day and those ahead stay."""
    store = SignalStore(pool)
    await store.keep(KEEP, DAY)
    later = DAY + timedelta(days=1)
    small = Retention(days=15, months=13, logs_days=7, bytes_max=0)
    assert await store.keep(small, later) == 6
    left = await partitions(pool)
    assert f"points_{DAY:%Y%m%d}" not in left
    assert f"points_{later:%Y%m%d}" in left


async def test_old_days_are_dropped_although_new_ones_cannot_be_made(pool: Any) -> None:
    """As on a full disk, on which the dropped ones make the room."""
    store = SignalStore(pool)
    await store.keep(KEEP, DAY)
    later = DAY + timedelta(days=16)
    await pool.execute(f"create table points_{later:%Y%m%d} ()")
    with pytest.raises(asyncpg.DuplicateTableError):
        await store.keep(KEEP, later)
    assert f"points_{DAY:%Y%m%d}" not in await partitions(pool)
    await pool.execute(f"drop table points_{later:%Y%m%d}")
    await store.keep(KEEP, later)
    assert f"points_{later:%Y%m%d}" in await partitions(pool)


async def test_a_window_of_time_has_its_records_only(pool: Any) -> None:
    """Also with other conditions, and for a record that was stored minutes after its time."""
    store = SignalStore(pool)
    now_us = time.time_ns() // 1_000
    await store.keep(KEEP, day_of(now_us))
    batch = pb.RecordSignalsRequest(service="gateway", instance_id="gateway-1")
    for minutes in (9, 5, 0):
        at_us = now_us - minutes * MINUTE_US
        batch.logs.add(at_us=at_us, level="warning", event=f"before-{minutes}", namespace="n")
    await store.write(batch)

    async def found(text: str) -> list[str]:
        where = Where(text, "logs", now_us=now_us, namespace="n")
        return [each.event for each in await store.logs(where, 10, after=0)]

    assert await found('time >= "-6m" AND time < "-1m"') == ["before-5"]
    assert await found('time > "-6m"') == ["before-0", "before-5"]
    assert await found('time < "-6m" OR event = "before-0"') == ["before-0", "before-9"]
    assert await found('(time <= "-1m" AND level = warning) AND event != x') == [
        "before-5",
        "before-9",
    ]
    assert await found('time < "-2h"') == []
    assert await found('time > "-1m" AND time < "-2m"') == []
