"""What is kept of executions: how it is read, written, measured, and when it goes."""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from flowmesh.sdk import Client, Worker
from flowmesh.sdk import Workflow as Flow
from flowmesh.testing.polling import allowed_s, until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import store
from tests.features.natives import applied, execute, http_task
from tests.features.natives import workflow as workflow_of
from tests.features.steps import http, step, workflow

pytestmark = pytest.mark.long

PATIENCE_S = 15.0
READS = 200
READ_S_MAX = 0.02
"""Generous: a read from memory takes a millisecond or two on a machine that is not shared."""

STARTS = 400
ITEMS = 2_000
BRIEFLY_DAYS = "0.00001"
"""Less than a second."""


@pytest.mark.feature("S3-40")
async def test_plan_paths_and_nodes_of_a_running_execution_are_shown(
    suite: Suite, world: World
) -> None:
    """Its plan is stored whole; each node has its status, and so each path its progress."""
    world.hold("right")
    definition = workflow(
        http(world, "root"),
        http(world, "left", "root"),
        http(world, "right", "root"),
        http(world, "join", "left", "right"),
    )
    workflow_id = await suite.define(definition)
    execution_id = await suite.begin(workflow_id, {"order": 7})
    await world.called("right")
    async with asyncio.timeout(PATIENCE_S):
        while "left" not in (await suite.execution(execution_id))["completedSteps"]:
            assert world.calls("join") == []

    shown = (await suite.get(f"/api/v1/executions/{execution_id}/state")).json
    statuses = shown["nodes"]
    assert statuses == {
        "root": "success",
        "left": "success",
        "right": "running",
        "join": "pending",
    }
    async with store.database(suite) as database:
        plan = await store.one_row(
            database,
            "select e.plan_digest, p.body from executions e"
            " join plans p on p.digest = e.plan_digest where e.id = $1",
            execution_id,
        )
    assert plan["plan_digest"] == shown["planDigest"]
    assert all(name.encode() in plan["body"] for name in statuses)
    assert shown["paths"] == [
        {"nodes": ["root", "left", "join"], "status": "open", "ended": 2, "at": "join"},
        {"nodes": ["root", "right", "join"], "status": "open", "ended": 1, "at": "right"},
    ]
    url = f"/api/v1/workflows/{workflow_id}/analysis?version={shown['version']}"
    assert shown["graph"] == (await suite.get(url)).json
    world.release("right")
    assert (await suite.wait(execution_id))["status"] == "completed"
    after = (await suite.get(f"/api/v1/executions/{execution_id}/state")).json
    assert (after["status"], set(after["nodes"].values())) == ("completed", {"success"})
    assert [(path["ended"], "at" in path) for path in after["paths"]] == [(3, False)] * 2
    assert (await suite.get("/api/v1/executions/no-such/state")).status == 404


@pytest.mark.long
@pytest.mark.feature("S3-41")
async def test_what_has_ended_is_deleted_after_its_time(tmp_path: Path) -> None:
    """Execution, history and input go; what still runs stays, and so does the definition."""
    environment = {"FLOWMESH_RETENTION_DAYS": BRIEFLY_DAYS}
    async with Suite(tmp_path / "data", environment=environment) as suite:
        sleeper = await suite.define(workflow(step("nap", "delay", {"duration": 60_000})))
        asleep = await suite.begin(sleeper)
        done = await suite.run(workflow({"id": "only", "name": "Only"}), {"order": 7})
        execution_id = done["executionId"]
        assert done["status"] == "completed"
        # Housekeeping is done at every start and every ten minutes.
        await suite.stop()
        await suite.start()

        async def gone() -> bool:
            return (await suite.get(f"/executions/{execution_id}")).status == 404

        await until("deleted", gone, within_s=PATIENCE_S)
        async with store.database(suite) as database:
            for table, column in (("history", "execution_id"), ("executions", "id")):
                query = f"select count(*) from {table} where {column} = $1"
                assert await database.fetchval(query, execution_id) == 0
                assert await database.fetchval(query, asleep) > 0

        async def counted_once() -> bool:
            return await store.metric(suite, "flowmesh_executions_deleted_total") >= 1

        await until("counted", counted_once, within_s=PATIENCE_S)
        assert (await suite.execution(asleep))["status"] == "running"
        assert (await suite.get(f"/workflows/{done['workflowId']}")).status == 200
        assert (await suite.wait(await suite.begin(done["workflowId"])))["status"] == "completed"


@pytest.mark.feature("S3-42")
async def test_reads_are_quick(suite: Suite, world: World) -> None:
    """One execution among hundreds of others: half of all reads take a few milliseconds at most."""
    execution = await suite.run(workflow(http(world, "a"), http(world, "b", "a")))
    other = await suite.define(workflow({"id": "only", "name": "Only"}))
    async with Client(suite.grpc_address) as client, client.session() as session:
        await asyncio.gather(*(session.run(other) for _ in range(STARTS)))
        took = []
        for _ in range(READS):
            began = time.perf_counter()
            read = await client.get_execution(execution["executionId"])
            took.append(time.perf_counter() - began)
            assert read.status == "completed"
    assert statistics.median(took) < allowed_s(READ_S_MAX)


@pytest.mark.feature("S3-99", "S3-101", "S4-76")
async def test_much_at_once_is_one_commit_and_one_message(suite: Suite) -> None:
    """Hundreds of starts share commits and messages; events, bytes and messages are counted."""
    workflow_id = await suite.define(workflow({"id": "only", "name": "Only"}))
    before = await counted(suite)
    async with Client(suite.grpc_address) as client, client.session() as session:
        await asyncio.gather(*(session.run(workflow_id, {"n": n}) for n in range(STARTS)))

    async def consumed() -> bool:
        now = await counted(suite)
        return now["consumed"] - before["consumed"] >= now["published"] - before["published"] > 0

    await until("published and consumed", consumed, within_s=PATIENCE_S)
    after = await counted(suite)
    grown = {name: after[name] - value for name, value in before.items()}
    assert grown["commands"] >= STARTS
    assert grown["commits"] <= STARTS / 4
    assert grown["published"] <= grown["commits"] + 1
    # Started, scheduled, ...: at least a start and an end each, in binary form.
    assert grown["events"] >= 2 * STARTS
    assert grown["bytes"] / grown["events"] < 100
    assert await store.metric(suite, "flowmesh_states_bytes") > 0


async def counted(suite: Suite) -> dict[str, float]:
    async def bus(direction: str) -> float:
        return await store.metric(suite, "flowmesh_bus_messages_total", direction=direction)

    found: dict[str, Any] = {
        "commits": await store.metric(suite, "flowmesh_commit_commands_count"),
        "commands": await store.metric(suite, "flowmesh_commit_commands_sum"),
        "events": await store.metric(suite, "flowmesh_history_events_total"),
        "bytes": await store.metric(suite, "flowmesh_history_bytes_total"),
        "consumed": await bus("consumed"),
        "published": await bus("published"),
    }
    return found


@pytest.mark.feature("S3-101")
async def test_the_state_of_a_long_execution_is_stored_compactly(suite: Suite) -> None:
    """Thousands of events in, its snapshot takes a few bytes for each node, and is measured."""

    async def echo(value: Any) -> Any:
        return value

    flow = Flow("long")
    flow.map("each", flow.input, concurrency=500).task("only", echo)
    before = await snapshots(suite)
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        async with Worker(client, flow.handlers, slots=500):
            result = await client.run("long", list(range(ITEMS)))
    assert result == list(range(ITEMS))
    count, size = (now - then for now, then in zip(await snapshots(suite), before, strict=True))
    assert count >= 1
    assert 0 < size / count < ITEMS * 100


async def snapshots(suite: Suite) -> tuple[float, float]:
    """How many were stored, and their bytes in all."""
    name = "flowmesh_snapshot_bytes"
    return await store.metric(suite, f"{name}_count"), await store.metric(suite, f"{name}_sum")


@pytest.mark.feature("S3-115")
async def test_what_is_short_lived_and_shared_is_in_redis_for_a_time(
    tmp_path: Path, world: World
) -> None:
    """Results that stand for later ones, and instances; each key goes by itself, and nothing that
    matters with it: executions are in the database.
    """
    name = "kept-a-while"
    task = http_task(f"{name}-task", world.url(name))
    cached = {"id": "a", "taskRef": f"{name}-task", "input": {}, "cache": {"ttl": "1h"}}
    async with Suite(tmp_path / "data") as own:
        await applied(own, task, workflow_of(name, cached))
        first, second = [(await execute(own, name)).json for _ in range(2)]
        assert len(world.calls(name)) == 1
        address = str(own.about["redis"])
        async with redis.asyncio.from_url(address) as client:
            keys = [key async for key in client.scan_iter()]
            left_ms = {key: await client.pttl(key) for key in keys}
            results = [key for key in keys if b":result:" in key]
            instances = [key for key in keys if b":registry/{default}/" in key]
            assert len(results) == 1
            assert 0 < left_ms[results[0]] <= 3_600_000
            assert instances
            assert all(left_ms[key] > 0 for key in instances), left_ms
            await client.flushall()
        for one in (first, second):
            shown = await own.get(f"/api/v1/executions/{one['executionId']}")
            assert shown.json["status"] == "completed"
        assert (await execute(own, name)).status == 200
        assert len(world.calls(name)) == 2


@pytest.mark.long
@pytest.mark.feature("S3-37", "S3-41", "S3-115")
async def test_the_state_of_what_has_ended_is_a_key_in_redis_for_a_time(tmp_path: Path) -> None:
    """Once it is read from the rows: the next reader needs no history. Nothing depends on it."""
    environment = {"FLOWMESH_FINISHED_SECONDS": "120"}
    async with Suite(tmp_path / "data", environment=environment) as own:
        done = await own.run(workflow({"id": "only", "name": "Only"}), {"order": 7})
        execution_id = done["executionId"]
        await own.stop()
        await own.start()
        url = f"/api/v1/executions/{execution_id}"
        async with redis.asyncio.from_url(str(own.about["redis"])) as client:
            shown = (await own.get(url)).json
            (key,) = [key async for key in client.scan_iter() if execution_id.encode() in key]
            assert 0 < await client.pttl(key) <= 120_000
            await client.set(key, b"of another program")
            assert (await own.get(url)).json == shown
            await client.flushall()
            assert (await own.get(url)).json == shown
            async with store.database(own) as database:
                await database.execute("set default_transaction_read_only = off")
                await database.execute("delete from history where execution_id = $1", execution_id)
            assert (await own.get(url)).json == shown
            assert await client.delete(key) == 1
            assert (await own.get(url)).status == 404
        hits = await store.metric(own, "flowmesh_finished_states_total", outcome="hit")
        assert hits == 2


@pytest.mark.long
async def test_what_is_erased_or_deleted_leaves_redis_at_once(tmp_path: Path) -> None:
    """It held the values as well."""
    async with Suite(tmp_path / "data") as own:
        workflow_id = await own.define(workflow({"id": "only", "name": "Only"}))
        ids = [await own.begin(workflow_id, {"name": "Ada"}) for _ in range(2)]
        for execution_id in ids:
            assert (await own.wait(execution_id))["status"] == "completed"
        await own.stop()
        await own.start()
        async with redis.asyncio.from_url(str(own.about["redis"])) as client:

            async def kept() -> int:
                return len([key async for key in client.scan_iter("*:finished:*")])

            urls = [f"/api/v1/executions/{execution_id}" for execution_id in ids]
            for url in urls:
                assert (await own.get(url)).status == 200
            assert await kept() == 2
            assert (await own.post(f"{urls[0]}:erase", {"reason": "asked"})).status == 204
            assert await kept() == 1
            assert (await own.delete(urls[1])).status == 204
            assert await kept() == 0
            erased = (await own.get(urls[0])).json
            assert erased["erased"]["reason"] == "asked"
            assert (await own.get(urls[1])).status == 404
