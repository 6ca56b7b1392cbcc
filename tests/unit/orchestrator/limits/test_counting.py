"""The loops that count executions: when, from when, and how often."""

from typing import Any

import pytest

from flowmesh.api.identity.v1.quota_service_pb2 import (
    ListNamespaceQuotasRequest,
    ListNamespaceQuotasResponse,
    NamespaceQuota,
    Quota,
)
from flowmesh.orchestrator.limits.active_loop import ActiveLoop
from flowmesh.orchestrator.limits.quota_loop import QuotaLoop
from flowmesh.orchestrator.limits.quotas import QuotaCounters
from flowmesh.orchestrator.model.ids import first_id_of
from flowmesh.runtime.namespace_quotas import NamespaceQuotas
from flowmesh.telemetry import Metrics

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
MIDNIGHT_US = 20_000 * DAY_US


class Rows:
    """Counts of executions in the rows, and what was asked for."""

    def __init__(self, count: int = 0) -> None:
        self.count = count
        self.asked: list[tuple[str, str, int]] = []

    async def active(self, most: int) -> int:
        return min(self.count, most)

    async def running(self, namespace: str, most: int) -> int:
        self.asked.append((namespace, "", most))
        return min(self.count, most)

    async def started_since(self, namespace: str, first_id: str, most: int) -> int:
        self.asked.append((namespace, first_id, most))
        return min(self.count, most)


async def test_active_executions_are_counted_less_often_while_their_number_stays() -> None:
    """Each 2 s, then each 10 s; only by the owner of the first partition."""
    rows: Any = Rows(3)
    partitions = {0: 1}
    loop = ActiveLoop(store=rows, partitions=partitions, metrics=Metrics())
    for count, found, pause_ms in (
        (3, 3, 2_000),
        (3, 3, 10_000),
        (4, 4, 2_000),
        (2_000_000, 1_000_000, 2_000),
    ):
        rows.count = count
        assert await loop.run_once() == found
        assert loop.pause_ms() == pytest.approx(pause_ms)
    partitions.clear()
    assert await loop.run_once() == 0


class Clock:
    """A time that moves by what each look at it costs."""

    def __init__(self, now_us: int) -> None:
        self.now, self.cost_us = now_us, 0

    def now_us(self) -> int:
        self.now += self.cost_us
        return self.now


async def counting(clock: Clock, rows: Any, quota: Quota, owned: int) -> QuotaLoop:
    async def listed(_: ListNamespaceQuotasRequest) -> ListNamespaceQuotasResponse:
        return ListNamespaceQuotasResponse(quotas=[NamespaceQuota(namespace="n", quota=quota)])

    quotas = NamespaceQuotas(listed)
    await quotas.run_once()
    counters = QuotaCounters(owned=range(owned), now_us=clock.now_us)
    return QuotaLoop(counters=counters, quotas=quotas, store=rows, now_us=clock.now_us)


async def test_a_day_begins_at_midnight() -> None:
    """Executions are counted up to one beyond the quota; the latest ones only beside others."""
    rows, clock = Rows(), Clock(MIDNIGHT_US + DAY_US // 2)
    quota = Quota(running_executions=5, executions_per_day=9)
    loop = await counting(clock, rows, quota, owned=64)
    assert await loop.run_once() == 1
    midnight = first_id_of(MIDNIGHT_US)
    assert rows.asked == [("n", "", 6), ("n", midnight, 10)]
    loop = await counting(clock, rows, quota, owned=32)
    rows.asked.clear()
    for _ in range(2):
        await loop.run_once()
    assert [asked for asked in rows.asked if asked[2] == 100_000] == [
        ("n", first_id_of(0), 100_000),
        ("n", first_id_of(clock.now), 100_000),
    ]


async def test_executions_are_counted_at_the_begin_of_each_second() -> None:
    """A slow count is repeated after nine times as long."""
    clock = Clock(MIDNIGHT_US + 250_000)
    loop = await counting(clock, Rows(), Quota(running_executions=5), owned=64)
    await loop.run_once()
    assert loop.pause_ms() == 750
    clock.cost_us = 200_000
    await loop.run_once()
    clock.cost_us = 0
    assert loop.pause_ms() >= 1_800
