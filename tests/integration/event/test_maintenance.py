"""Triggers in memory, and deletion of expired rows, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson
import pytest
import structlog

from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2
from flowmesh.bus import Message
from flowmesh.event.store import MIGRATIONS
from flowmesh.event.triggers.catalog import TriggerSyncLoop
from flowmesh.event.triggers.listeners import ListenerLoop
from flowmesh.event.triggers.maintenance import FORGET_EVERY_S, TriggerMaintenanceLoop
from flowmesh.event.triggers.published import LifecycleTriggers, TriggerCache
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.sandbox import Sandbox
from flowmesh.storage import open_database
from tests.integration.event.test_firing import PATIENCE_S, Definitions
from tests.integration.event.unsubscribed import settled


class Time:
    """A clock that is advanced by the test."""

    def __init__(self) -> None:
        self.ms = 0

    def monotonic_ms(self) -> int:
        return self.ms


class Firing:
    """Stands in for the firing loop."""

    def notify(self) -> None:
        pass

    async def until_started(self) -> None:
        pass


class Process:
    """A process that synchronizes triggers and fires for lifecycle events."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", definitions: Definitions) -> None:
        self.store = TriggerStore(pool)
        self.confirmed: list[int] = []
        self.clock: Any = Time()
        self.lifecycle = LifecycleTriggers(
            store=self.store,
            trigger_cache=TriggerCache(Sandbox()),
            on_firing=lambda: None,
            log=structlog.get_logger(),
        )
        clock: Any = self.clock
        firing: Any = Firing()
        receivers: Any = None
        self.maintenance = TriggerMaintenanceLoop(
            store=self.store,
            lifecycle=self.lifecycle,
            firing=firing,
            listeners=ListenerLoop(store=self.store, receivers=receivers),
            on_change=settled,
            clock=clock,
        )
        source: Any = definitions
        self.catalog = TriggerSyncLoop(
            store=self.store,
            definitions=source,
            refresh=self.maintenance.refresh,
            confirm=self.confirm,
        )

    async def confirm(self, announcement: dict[str, Any]) -> None:
        self.confirmed.append(announcement["number"])

    async def learn(self) -> None:
        """Synchronize all triggers, and use them."""
        self.catalog.request_full_sync()
        await self.catalog.run_once()

    async def notify(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.maintenance.run_once()

    async def hear(self) -> None:
        """Process the start of another workflow."""
        started = history_event_pb2.HistoryEvent(
            sequence=1, at_us=7, workflow_started=history_event_pb2.WorkflowStarted()
        )
        events = history_event_pb2.HistoryEvents(events=[started])
        row = history_service_pb2.EventRow(
            namespace="default",
            workflow_id="other",
            execution_id="exec-1",
            events=events.SerializeToString(),
        )
        await self.lifecycle.store(self.lifecycle.matching([row]))


def started(condition: str = "") -> trigger_pb2.Trigger:
    event = trigger_pb2.EventTrigger(type="flowmesh.workflow.started", filter=condition)
    return trigger_pb2.Trigger(id="started", event=event)


@pytest.fixture
async def pool(migrated: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with open_database(migrated, schema="event", migrations=MIGRATIONS) as opened:
        yield opened


async def count(pool: "asyncpg.Pool[asyncpg.Record]", table: str) -> int:
    rows: int = await pool.fetchval(f"select count(*) from {table}")
    return rows


async def test_a_change_stored_by_another_process_is_used_too(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """By the new filter, not by the old one."""
    definitions = Definitions()
    definitions.put(1, started())
    one, two = Process(pool, definitions), Process(pool, definitions)
    await one.learn()
    await two.learn()
    definitions.put(2, started("event.subject == 'nobody'"))
    await one.learn()
    await two.learn()
    await one.hear()
    await two.hear()
    assert await count(pool, "firings") == 0


async def test_a_failed_load_of_triggers_is_retried(
    pool: "asyncpg.Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a further change."""
    definitions = Definitions()
    definitions.put(1, started())
    process = Process(pool, definitions)

    async def broken() -> list[Any]:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(process.store, "all_event_triggers", broken)
        with pytest.raises(OSError):
            await process.learn()
    await process.catalog.run_once()
    await process.hear()
    assert await count(pool, "firings") == 1


async def test_a_removed_trigger_starts_nothing_more(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    """Its firings that have not started are deleted; those of the other trigger stay."""
    definitions = Definitions()
    other = trigger_pb2.Trigger(id="other", event=started().event)
    definitions.put(1, started(), other)
    process = Process(pool, definitions)
    await process.learn()
    await process.hear()
    assert await count(pool, "firings") == 2
    definitions.put(2, other)
    await process.learn()
    rows = await pool.fetch("select trigger from firings")
    assert [row["trigger"] for row in rows] == ["other"]


async def test_a_change_is_confirmed_once_it_is_used(
    pool: "asyncpg.Pool[asyncpg.Record]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by a round that failed, and once by the next one."""
    process = Process(pool, Definitions())
    await process.catalog.run_once()
    body = orjson.dumps({"namespace": "default", "names": ["w"], "number": 1})
    await process.catalog.on_change_message(Message("changed", body, {}, 0, settled))

    async def broken() -> list[Any]:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(process.store, "all_event_triggers", broken)
        with pytest.raises(OSError):
            await process.catalog.run_once()
    assert process.confirmed == []
    await process.catalog.run_once()
    assert process.confirmed == [1]


async def test_expired_rows_are_deleted_without_changes_of_triggers(
    pool: "asyncpg.Pool[asyncpg.Record]",
) -> None:
    """Published events and names of calls, every hour."""
    process = Process(pool, Definitions())
    async with process.store.change() as change:
        await change.add_published("default", trigger_service_pb2.Event(id="e", type="t"), 1)
    await process.store.record_call("default", "hook", "name", execution_id="exec-1")
    await pool.execute("update calls set at = now() - interval '2 days'")
    process.clock.ms = int(FORGET_EVERY_S * 1_000)
    await process.notify()
    assert (await count(pool, "published"), await count(pool, "calls")) == (0, 0)
