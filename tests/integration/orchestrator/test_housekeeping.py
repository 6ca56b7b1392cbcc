"""Nothing is kept for ever: ended executions go after their retention, days when they are empty."""

import asyncio
import base64
import time
import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

from flowmesh import failpoints
from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import Cancel, Signal
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.model.messages import execution_message
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.retention.housekeeping import HousekeepingLoop
from flowmesh.orchestrator.storage.archive import Archive
from flowmesh.orchestrator.storage.archive_files import FolderFiles
from flowmesh.orchestrator.storage.batch import DAY_US, CommitBatch
from flowmesh.orchestrator.storage.snapshots import EVENTS_BETWEEN_SNAPSHOTS
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.plan import Plan, compile_plan
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import until
from tests.integration.orchestrator import factories
from tests.integration.orchestrator.conftest import NewNode
from tests.integration.orchestrator.core import archiving_of, running
from tests.integration.orchestrator.factories import TWO_STEPS, completed, started
from tests.unit.engine.factories import node, plan

PENDING = "select exists (select from pg_inherits where inhdetachpending)"
VALUE_BYTES = 4 << 20
DAY_ZERO = "select to_regclass('orchestrator.history_0')"


def housekeeping(
    store: OrchestratorStore, day: int, archive: Archive | None = None
) -> HousekeepingLoop:
    """As on that day."""
    metrics = OrchestratorMetrics(Metrics())
    plans: Any = None

    async def none_open() -> int:
        return 0

    async def now_us() -> int:
        return day * DAY_US

    return HousekeepingLoop(
        store=store,
        now_us=now_us,
        metrics=metrics,
        retention_days=30,
        archiving=archiving_of(store, plans, archive),
        finish_erasures=none_open,
        log=structlog.get_logger("test"),
    )


async def test_ended_executions_go_after_their_retention(
    new_node: NewNode, store: OrchestratorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running executions stay, however old; a day is dropped after its last execution."""
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
    """A crash between detaching and dropping a day leaves nothing behind forever (O12)."""
    failpoints.arm("orchestrator.day_detached=error@1")
    try:
        with pytest.raises(failpoints.Injected):
            await store.history_days.drop_empty(1)
    finally:
        failpoints.arm("")
    assert await store.pool.fetchval(DAY_ZERO) is not None

    assert await store.history_days.drop_empty(1) == 1
    assert await store.pool.fetchval(DAY_ZERO) is None


@pytest.mark.fault("F1")
async def test_a_day_half_detached_is_dropped_by_the_next_round(store: OrchestratorStore) -> None:
    """A detach that was cut off while it waited for a reader is brought to its end."""
    async with store.pool.acquire() as reading, reading.transaction():
        await reading.fetch("select * from orchestrator.history where start_day = 0")
        dropping = asyncio.create_task(store.history_days.drop_empty(1))
        await until("the detach waits", lambda: store.pool.fetchval(PENDING), within_s=10)
        dropping.cancel()
        await asyncio.gather(dropping, return_exceptions=True)

    assert await store.history_days.drop_empty(1) == 1
    assert await store.pool.fetchval(DAY_ZERO) is None


def kept_for(days: int, name: str) -> Plan:
    """A workflow of one step that says how long its executions are kept."""
    of = plan(node("a"))
    of.message.workflow_id = name
    of.message.namespace = "default"
    of.message.retention_ms = days * DAY_US // 1_000
    return factories.digested(compile_plan(of.message))


async def test_workflows_and_namespaces_say_how_long_they_keep(
    new_node: NewNode, store: OrchestratorStore
) -> None:
    """The workflow's word counts, else its namespace's, else the setting's."""
    node = await new_node()
    await node.claim()
    ended = {}
    for name, days in (("brief", 2), ("long", 90), ("silent", 0)):
        batch = CommitBatch()
        ended[name] = started(batch, 1, of=kept_for(days, name)).execution_id
        await node.commit(batch)
    await store.pool.execute("update executions set status = 4, ended_at = 0")

    async def left() -> set[str]:
        rows = await store.pool.fetch("select id from executions")
        return {name for name, each in ended.items() if each in {row["id"] for row in rows}}

    assert (await housekeeping(store, 1).run_once()).executions == 0
    assert (await housekeeping(store, 4).run_once()).executions == 1
    assert await left() == {"long", "silent"}
    await store.retention.set("default", 6 * DAY_US // 1_000)
    assert (await housekeeping(store, 5).run_once()).executions == 0
    assert (await housekeeping(store, 8).run_once()).executions == 1
    assert await left() == {"long"}
    assert (await housekeeping(store, 100).run_once()).executions == 1


async def test_what_cannot_be_archived_is_not_deleted(
    new_node: NewNode, store: OrchestratorStore, tmp_path: Path
) -> None:
    """The next round tries again; a file that was written before the crash does no harm."""
    node = await new_node()
    await node.claim()
    batch = CommitBatch()
    execution_id = started(batch, 1, of=kept_for(2, "filed")).execution_id
    await node.commit(batch)
    await store.pool.execute("update executions set status = 4, ended_at = 0")
    blocked = tmp_path / "archive"
    blocked.write_text("a file where a folder is to be")
    with structlog.testing.capture_logs() as logs:
        assert (
            await housekeeping(store, 4, Archive(FolderFiles(blocked))).run_once()
        ).executions == 0
    assert [(each["event"], each["effect"]) for each in logs] == [
        ("archive_failed", "expired executions stay in the database")
    ]
    assert str(blocked) in logs[0]["problem"]
    archive = Archive(FolderFiles(tmp_path / "other"))
    plans: Any = None
    await archiving_of(store, plans, archive).take([execution_id])
    assert (await housekeeping(store, 4, archive).run_once()).executions == 1
    assert archive.find("default", execution_id) is not None
    assert archive.replace("default", execution_id, lambda _document: None)
    assert archive.find("default", execution_id) is None
    assert archive.find("..", execution_id) is None


async def test_the_archive_has_what_was_before_a_snapshot(
    store: OrchestratorStore, tmp_path: Path
) -> None:
    """All events, though memory is rebuilt from the last of them."""
    async with running(store) as core:
        nap = node("nap", kind=plan_pb2.NODE_KIND_TIMER, delay_ms=3_600_000)
        execution_id = await core.start(factories.digested(plan(nap)))
        signal = Signal("s", payload_pb2.Payload(data=b"1"))
        for _ in range(EVENTS_BETWEEN_SNAPSHOTS + 5):
            await core.ask(lambda reply: PendingCommand(execution_id, 1, signal, reply))
        await core.ask(lambda reply: PendingCommand(execution_id, 1, Cancel(), reply))
        assert await store.pool.fetchval("select count(*) from snapshots") == 1
        archiving = archiving_of(store, core.given.plans, Archive(FolderFiles(tmp_path)))
        await archiving.take([execution_id])
        namespace = await store.pool.fetchval("select namespace from executions")
        shown = await archiving.execution(namespace, execution_id)
        assert shown is not None
        state = await core.calls.reader.state(namespace, execution_id)
        shown.archived = False
        assert shown == execution_message(state)


async def test_the_archive_takes_one_value_at_a_time(
    store: OrchestratorStore, tmp_path: Path
) -> None:
    """However much the executions of a round refer to, memory holds one value of one of them."""
    async with running(store) as core:
        ids = []
        for number in range(12):
            value = bytes([number]) * VALUE_BYTES
            stored = await core.memory.payloads.put("default", "", value)
            execution_id = await core.start(TWO_STEPS)
            await store.pool.execute(
                "insert into payload_refs (namespace, digest, execution_id) values ($1, $2, $3)",
                "default", stored.reference.digest, execution_id,
            )  # fmt: skip
            ids.append(execution_id)
        await store.pool.execute("update executions set namespace = 'default', ended_at = 1")
        archive = Archive(FolderFiles(tmp_path))
        archiving = archiving_of(store, core.given.plans, archive)
        tracemalloc.start()
        try:
            await archiving.take(ids)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 6 * VALUE_BYTES
        pieces = archive.find("default", ids[-1])
        assert pieces is not None
        last = orjson.loads(b"".join(pieces).splitlines()[-1])
        assert base64.b64decode(last["data"]) == bytes([11]) * VALUE_BYTES


async def test_the_day_is_that_of_the_database(
    store: OrchestratorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose clock is far ahead drops no day of now, and makes those that are needed."""
    before_us = time.time_ns() // 1_000
    monkeypatch.setattr(time, "time_ns", lambda: (before_us + 60 * DAY_US) * 1_000)
    assert before_us - 1_000_000 < await store.executions.now_us() < before_us + DAY_US
    await store.history_days.ensure()
    today = f"orchestrator.history_{await store.executions.now_us() // DAY_US}"
    assert await store.pool.fetchval("select to_regclass($1)", today) is not None
