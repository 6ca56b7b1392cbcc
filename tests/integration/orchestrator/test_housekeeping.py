"""Nothing is kept for ever: ended executions go after their retention, days when they are empty."""

import asyncio

import pytest

from flowmesh import failpoints
from flowmesh.orchestrator.batch import DAY_US, CommitBatch
from flowmesh.orchestrator.housekeeping import HousekeepingLoop
from flowmesh.orchestrator.ids import ExecutionIds
from flowmesh.orchestrator.metrics import OrchestratorMetrics
from flowmesh.orchestrator.store import OrchestratorStore
from flowmesh.runtime import Clock
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import until
from tests.integration.orchestrator import factories
from tests.integration.orchestrator.conftest import NewNode
from tests.integration.orchestrator.factories import completed, started

PENDING = "select exists (select from pg_inherits where inhdetachpending)"
DAY_ZERO = "select to_regclass('orchestrator.history_0')"


class LaterClock(Clock):
    """A clock that stands at the given day."""

    def __init__(self, day: int) -> None:
        self._day = day

    def now_us(self) -> int:
        return self._day * DAY_US


def housekeeping(store: OrchestratorStore, day: int) -> HousekeepingLoop:
    metrics = OrchestratorMetrics(Metrics())
    return HousekeepingLoop(store=store, clock=LaterClock(day), metrics=metrics, retention_days=30)


async def test_ended_executions_go_after_their_retention(
    new_node: NewNode, store: OrchestratorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What still runs stays, however old; a day leaves when its last execution has left."""
    monkeypatch.setattr(factories, "IDS", ExecutionIds(9))
    node = await new_node()
    await node.claim()
    batch = CommitBatch()
    ended, running = started(batch, 1), started(batch, 2)
    await node.commit(batch)
    for step in ("a", "b"):
        batch = CommitBatch()
        completed(batch, ended, 1, step)
        await node.commit(batch)

    assert (await housekeeping(store, 29).run_once()).executions == 0
    cleaned = await housekeeping(store, 32).run_once()

    assert cleaned.executions == 1
    assert await store.pool.fetchval(DAY_ZERO) is not None
    left = await store.pool.fetch("select distinct execution_id from orchestrator.history")
    assert [row["execution_id"] for row in left] == [running.execution_id]

    for step in ("a", "b"):
        batch = CommitBatch()
        completed(batch, running, 2, step)
        await node.commit(batch)
    cleaned = await housekeeping(store, 40).run_once()
    assert cleaned.executions == 1
    assert await store.pool.fetchval(DAY_ZERO) is None


@pytest.mark.fault("F1")
async def test_a_day_half_dropped_is_dropped_by_the_next_round(store: OrchestratorStore) -> None:
    """Whoever dies between detaching and dropping leaves nothing behind for ever (O12)."""
    failpoints.arm("orchestrator.day_detached=error@1")
    try:
        with pytest.raises(failpoints.Injected):
            await store.drop_empty_days(1)
    finally:
        failpoints.arm("")
    assert await store.pool.fetchval(DAY_ZERO) is not None

    assert await store.drop_empty_days(1) == 1
    assert await store.pool.fetchval(DAY_ZERO) is None


@pytest.mark.fault("F1")
async def test_a_day_half_detached_is_dropped_by_the_next_round(store: OrchestratorStore) -> None:
    """A detach that was cut off while it waited for a reader is brought to its end."""
    async with store.pool.acquire() as reading, reading.transaction():
        await reading.fetch("select * from orchestrator.history where start_day = 0")
        dropping = asyncio.create_task(store.drop_empty_days(1))
        await until("the detach waits", lambda: store.pool.fetchval(PENDING), within_s=10)
        dropping.cancel()
        await asyncio.gather(dropping, return_exceptions=True)

    assert await store.drop_empty_days(1) == 1
    assert await store.pool.fetchval(DAY_ZERO) is None
