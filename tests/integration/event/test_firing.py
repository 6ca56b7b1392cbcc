"""Firings on a real database: each start once, despite crashes and repeats."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import orjson
import pytest
import structlog

from flowmesh import failpoints
from flowmesh.api.definition.v1 import trigger_catalog_service_pb2 as catalog_pb
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.event.v1 import trigger_service_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.bus import Message
from flowmesh.errors import NotFound, Unavailable
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.notifications.compiled import SubscriptionCache
from flowmesh.event.publishing import Publisher
from flowmesh.event.store import MIGRATIONS
from flowmesh.event.triggers.catalog import TriggerSyncLoop
from flowmesh.event.triggers.firing import FiringLoop
from flowmesh.event.triggers.published import TriggerCache
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.failpoints import Injected
from flowmesh.sandbox import Sandbox
from flowmesh.storage import open_database
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import done
from tests.integration.event.unsubscribed import confirmed, ignored, settled

PATIENCE_S = 20


class Orchestrator:
    """Starts executions, once per request id; rejects on demand."""

    def __init__(self) -> None:
        self.asked: list[pb.StartExecutionRequest] = []
        self.started: dict[str, str] = {}
        self.refusals: list[Exception] = []

    async def StartExecution(
        self, request: pb.StartExecutionRequest, *, timeout: float
    ) -> pb.StartExecutionResponse:
        self.asked.append(request)
        if self.refusals:
            raise self.refusals.pop(0)
        created = request.request_id not in self.started
        execution_id = self.started.setdefault(request.request_id, f"e{len(self.started)}")
        return pb.StartExecutionResponse(execution_id=execution_id, created=created)


class Definitions:
    """The responses of the definition service."""

    def __init__(self) -> None:
        self.workflows: dict[str, trigger_pb2.WorkflowTriggers] = {}
        self.on_list: Callable[[], Awaitable[None]] | None = None

    def put(self, version: int, *triggers: trigger_pb2.Trigger, live: bool = True) -> None:
        self.workflows["w"] = trigger_pb2.WorkflowTriggers(
            namespace="default", workflow_id="w", version=version, live=live, triggers=triggers
        )

    async def ListWorkflowTriggers(
        self, request: catalog_pb.ListWorkflowTriggersRequest
    ) -> catalog_pb.ListWorkflowTriggersResponse:
        if self.on_list is not None:
            await self.on_list()
        wanted = request.workflow_ids or [n for n, w in self.workflows.items() if w.triggers]
        found = [self.workflows[name] for name in wanted if name in self.workflows]
        return catalog_pb.ListWorkflowTriggersResponse(workflows=found)


class Process:
    """The trigger components of a process of the event service."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        orchestrator: Orchestrator,
        definitions: Definitions,
    ) -> None:
        self.store = TriggerStore(pool)
        stub: Any = orchestrator
        self.loop = FiringLoop(
            rights=None,
            store=self.store,
            executions=stub,
            metrics=EventMetrics(Metrics()),
            log=structlog.get_logger(),
        )
        source: Any = definitions
        self.catalog = TriggerSyncLoop(
            store=self.store, definitions=source, refresh=self.refresh, confirm=confirmed
        )
        self.publisher = Publisher(
            store=self.store,
            trigger_cache=TriggerCache(Sandbox()),
            settled=self.catalog.settled,
            new_id=lambda: "made",
            on_firing=self.loop.notify,
            on_published=lambda: None,
            subscriptions=SubscriptionCache(Sandbox()),
            on_notifications=ignored,
        )

    async def refresh(self) -> None:
        self.loop.notify()

    async def learn(self) -> int:
        self.catalog.request_full_sync()
        return await self.catalog.run_once()

    async def until_started(self, orchestrator: Orchestrator, count: int) -> None:
        """Run the loop until the orchestrator has started `count` executions."""
        async with asyncio.timeout(PATIENCE_S):
            while len(orchestrator.started) < count:
                await self.loop.run_once()
            await self.loop.drain()


class World:
    """A database with several processes on it."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self.pool = pool
        self.orchestrator = Orchestrator()
        self.definitions = Definitions()

    def process(self) -> Process:
        return Process(self.pool, self.orchestrator, self.definitions)

    async def overdue(self, seconds: int) -> None:
        """Move the next instant of each schedule into the past."""
        await self.pool.execute(
            "update triggers set next_us = next_us - 1000000 * $1::bigint"
            " where next_us is not null",
            seconds,
        )

    async def firings(self) -> int:
        count: int = await self.pool.fetchval("select count(*) from firings")
        return count


@pytest.fixture
async def world(migrated: str) -> AsyncIterator[World]:
    async with open_database(migrated, schema="event", migrations=MIGRATIONS) as pool:
        yield World(pool)


@pytest.fixture
def broken() -> Any:
    """Arm failpoints for one test."""
    yield failpoints.arm
    failpoints.arm("")


def hourly(**cron: Any) -> trigger_pb2.Trigger:
    return trigger_pb2.Trigger(
        id="hourly", cron=trigger_pb2.CronTrigger(expression="0 * * * *", **cron)
    )


def paid() -> trigger_pb2.Trigger:
    return trigger_pb2.Trigger(id="paid", event=trigger_pb2.EventTrigger(type="order.paid"))


async def publish(process: Process, number: int = 1) -> None:
    event = trigger_service_pb2.Event(id=f"e{number}", source="/shop", type="order.paid")
    await process.publisher.publish("default", event)


async def test_an_event_waits_for_triggers_announced_before_it(world: World) -> None:
    """Published right after the registration of its workflow, it fires the trigger."""
    process = world.process()
    await process.learn()
    world.definitions.put(1, paid())
    names = orjson.dumps({"namespace": "default", "names": ["w"]})
    changed = Message("definitions.changed", names, {}, 0, settled)
    await process.catalog.on_change_message(changed)
    published = asyncio.create_task(publish(process))
    waiting, _ = await asyncio.wait({published}, timeout=0.1)
    assert not waiting
    await process.catalog.run_once()
    await published
    assert await world.firings() == 1


async def test_an_event_does_not_wait_for_later_announcements(world: World) -> None:
    """A namespace that registers without end delays no other one."""
    process = world.process()
    await process.learn()
    names = orjson.dumps({"namespace": "busy", "names": ["w"]})
    changed = Message("definitions.changed", names, {}, 0, settled)
    await process.catalog.on_change_message(changed)
    published = asyncio.create_task(publish(process))
    await asyncio.sleep(0)
    world.definitions.on_list = lambda: process.catalog.on_change_message(changed)
    await process.catalog.run_once()
    async with asyncio.timeout(1):
        await published


async def test_concurrent_processes_start_each_instant_once(world: World) -> None:
    """Two concurrent processes, three missed hours."""
    world.definitions.put(1, hourly(catch_up=trigger_pb2.CATCH_UP_ALL, catch_up_max=3))
    one, two = world.process(), world.process()
    await one.learn()
    await world.overdue(3 * 3_600)
    fired = await asyncio.gather(one.loop.fire_schedules(), two.loop.fire_schedules())
    assert sorted(fired) == [0, 1]
    assert await world.firings() == 3
    await one.until_started(world.orchestrator, 3)
    assert len(world.orchestrator.asked) == 3
    assert await world.firings() == 0
    ((row,), _) = await one.store.triggers("default", workflow="w", after=("", ""), count=9)
    assert (row["fired"], row["last_error"]) == (3, "")


@pytest.mark.long
@pytest.mark.parametrize("point", ["event.published", "event.started"])
async def test_a_crash_between_commit_and_start_loses_nothing(
    world: World, broken: Any, point: str
) -> None:
    """The next process uses the same request id, so nothing is started twice."""
    world.definitions.put(1, paid())
    one = world.process()
    await one.learn()
    broken(f"{point}=error")
    if point == "event.published":
        with pytest.raises(Injected):
            await publish(one)
    else:
        await publish(one)
        await one.loop.run_once()
        await one.loop.drain()
        assert len(world.orchestrator.started) == 1
    assert await world.firings() == 1
    broken("")
    # The lease of the dead process has expired.
    await world.pool.execute("update firings set next_attempt_at = now()")
    two = world.process()
    await two.loop.run_once()
    await two.loop.drain()
    assert len(world.orchestrator.started) == 1
    assert len({request.request_id for request in world.orchestrator.asked}) == 1
    assert await world.firings() == 0
    # A repeated publication, for a lost response, changes nothing.
    await publish(two)
    assert await world.firings() == 0


async def test_a_start_is_retried_while_the_orchestrator_is_unavailable(world: World) -> None:
    """A rejected start is given up and reported."""
    world.definitions.put(1, paid())
    process = world.process()
    await process.learn()
    away = Unavailable("SERVICE_UNAVAILABLE", "away")
    world.orchestrator.refusals = [away, away]
    await publish(process)
    await process.until_started(world.orchestrator, 1)
    assert len(world.orchestrator.asked) == 3

    again = world.process()
    world.orchestrator.refusals = [NotFound("WORKFLOW_NOT_FOUND", "gone")]
    await publish(again, 2)
    await again.loop.run_once()
    await again.loop.drain()
    assert await world.firings() == 0
    ((row,), _) = await again.store.triggers("default", workflow="w", after=("", ""), count=9)
    assert row["last_error"] == "WORKFLOW_NOT_FOUND: gone"


async def test_triggers_are_those_of_the_newest_version(world: World) -> None:
    """Late changes are ignored; removed triggers do not fire; a pause outlives versions."""
    process = world.process()

    async def ids() -> list[str]:
        rows, _ = await process.store.triggers("default", workflow="", after=("", ""), count=9)
        return [row["id"] for row in rows]

    world.definitions.put(1, hourly(), paid())
    assert await process.learn() == 1
    assert await ids() == ["hourly", "paid"]
    await process.store.set_paused("default", "w", "paid", paused=True)
    world.definitions.put(2, paid())
    assert await process.learn() == 1
    assert await process.learn() == 0
    assert await ids() == ["paid"]
    ((row,), _) = await process.store.triggers("default", workflow="w", after=("", ""), count=9)
    assert (row["paused"], row["version"]) == (True, 2)
    world.definitions.put(1, hourly(), paid())
    assert await process.learn() == 0
    assert await ids() == ["paid"]
    world.definitions.put(2, live=False)
    assert await process.learn() == 1
    assert await ids() == []
    world.definitions.put(2, paid())
    assert await process.learn() == 0


async def test_a_pause_keeps_the_instants_for_the_resumption(world: World) -> None:
    """`catchUp` then applies to the paused time."""
    world.definitions.put(1, hourly(catch_up=trigger_pb2.CATCH_UP_ONE))
    process = world.process()
    await process.learn()
    await process.store.set_paused("default", "w", "hourly", paused=True)
    await world.overdue(5 * 3_600)
    assert await process.loop.fire_schedules() == 0
    await process.store.set_paused("default", "w", "hourly", paused=False)
    await process.until_started(world.orchestrator, 1)
    ((row,), _) = await process.store.triggers("default", workflow="w", after=("", ""), count=9)
    assert (row["fired"], row["missed"]) == (1, 4)


async def test_no_query_runs_while_nothing_is_due(world: World) -> None:
    """A schedule that is due in hours causes no query until then."""
    world.definitions.put(1, hourly())
    process = world.process()
    await process.learn()
    await world.pool.execute("update triggers set next_us = next_us + 7200000000")
    waiting = asyncio.create_task(process.loop.run_once())
    await done("asleep", lambda: process.loop.asleep, within_s=PATIENCE_S)
    assert not waiting.done()
    assert world.pool.get_idle_size() == world.pool.get_size()
    process.loop.notify()
    assert await waiting == 0


@pytest.mark.long
async def test_a_broken_schedule_does_not_block_others(world: World) -> None:
    """Its time zone is unknown on this machine; it is retried a minute later."""
    nowhere = hourly(time_zone="Nowhere/Here")
    nowhere.id = "nowhere"
    world.definitions.put(1, nowhere, hourly(catch_up=trigger_pb2.CATCH_UP_ONE))
    process = world.process()
    assert await process.learn() == 1
    await world.overdue(3_600)
    assert await process.loop.fire_schedules() == 2
    assert await process.loop.fire_schedules() == 0
    await process.until_started(world.orchestrator, 1)
    (good, bad), _ = await process.store.triggers("default", workflow="w", after=("", ""), count=9)
    assert (good["fired"], good["refused"]) == (1, 0)
    # An instant that starts nothing counts as refused, and as missed.
    assert (bad["fired"], bad["refused"], bad["missed"]) == (1, 1, 1)
    assert bad["next_us"] > await process.store.now_us()
