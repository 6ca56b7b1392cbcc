"""Queues and who is served from them: by category of task, by free slots, by settings."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from flowmesh.insight.causes import Cause
from flowmesh.sdk import Client, Worker
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.natives import applied, http_task, resource, workflow
from tests.features.operations.test_insight import explained
from tests.features.tenants.test_limits import Floor, eventually, own, run_by


@pytest.mark.feature("S3-27")
async def test_each_category_of_tasks_has_a_queue_of_its_own(suite: Suite, world: World) -> None:
    """Calls, functions and tasks of one's own are counted apart while they wait."""
    name, namespace = own("apart"), own("categories")
    code = {"code": "return 1"}
    kinds = ("http", "function", "own")
    await applied(
        suite,
        http_task(f"{name}-http", world.url("apart")),
        resource("WorkflowTask", f"{name}-function", type="function", function=code),
        resource("WorkflowTask", f"{name}-own", type=name),
        workflow(name, *({"id": kind, "taskRef": f"{name}-{kind}"} for kind in kinds)),
        **{"flowmesh-namespace": namespace},
    )
    floor = Floor()
    async with Client(suite.grpc_address, namespace) as client, Worker(client, {name: floor}):
        await client.stop_dispatch(reason="to count them")
        handle = await client.start(name, {})

        async def queues() -> dict[str, tuple[int, int]]:
            return {each.task_type: (each.ready, each.running) for each in await client.queues()}

        await eventually(queues, {"http.request": (1, 0), "function": (1, 0), name: (1, 0)})
        await client.start_dispatch()
        await eventually(queues, {"http.request": (0, 0), "function": (0, 0), name: (0, 1)})
        await floor.let_all_go([handle])


@pytest.mark.feature("S3-98", "S3-35", "S2-51")
async def test_shards_of_a_queue_go_to_different_workers(suite: Suite) -> None:
    """Of tasks of one type each worker takes those of its queue, and leaves others in theirs."""
    kind = own("sharded")
    task = resource("WorkflowTask", f"{kind}-task", type=kind)
    shards = [f"{kind}-{number}" for number in range(3)]
    flows = [
        workflow(each, {"id": "a", "taskRef": f"{kind}-task", "queue": each, "input": each})
        for each in shards
    ]
    await applied(suite, task, *flows)
    floors = {shard: Floor() for shard in shards}
    async with Client(suite.grpc_address) as client, AsyncExitStack() as stack:
        for shard in shards[:2]:
            worker = Worker(client, {kind: floors[shard]}, slots=20, queues=[shard])
            await stack.enter_async_context(worker)
        handles = [await client.start(shard) for shard in shards * 3]
        await asyncio.gather(*(floors[shard].until(3) for shard in shards[:2]))

        async def queues() -> list[tuple[str, int, int]]:
            found = [each for each in await client.queues() if each.task_type == kind]
            return [(each.queue, each.ready, each.running) for each in found]

        waits, *runs = shards[2], *shards[:2]
        await eventually(queues, [*((each, 0, 3) for each in runs), (waits, 3, 0)])
        worker = Worker(client, {kind: floors[waits]}, slots=20, queues=[waits])
        await stack.enter_async_context(worker)
        await asyncio.gather(*(floor.let_all_go(handles) for floor in floors.values()))
    assert {shard: floor.order for shard, floor in floors.items()} == {
        shard: [shard] * 3 for shard in shards
    }


@pytest.mark.feature("S3-23", "S3-35")
async def test_free_workers_share_what_waits(suite: Suite) -> None:
    """Each takes as many as it has slots, and no more while they are taken."""
    kind = await run_by(suite, own("shared"))
    floors = {slots: Floor() for slots in (1, 2, 3)}
    async with Client(suite.grpc_address) as client, AsyncExitStack() as stack:
        for slots, floor in floors.items():
            await stack.enter_async_context(Worker(client, {kind: floor}, slots=slots))
        handles = [await client.start(kind, {"n": n}) for n in range(9)]
        await asyncio.gather(*(floor.until(slots) for slots, floor in floors.items()))

        async def queue() -> list[tuple[int, int]]:
            found = [each for each in await client.queues() if each.task_type == kind]
            return [(each.ready, each.running) for each in found]

        await eventually(queue, [(3, 6)])
        await asyncio.gather(*(floor.let_all_go(handles) for floor in floors.values()))
    assert {slots: floor.most for slots, floor in floors.items()} == {1: 1, 2: 2, 3: 3}


@pytest.mark.long
@pytest.mark.feature("S3-35")
async def test_a_worker_service_runs_as_much_as_its_settings_say(
    tmp_path: Path, world: World
) -> None:
    """Of calls that could all leave at once the third waits until one of two has ended."""
    world.hold("slow")
    task = http_task("slow", world.url("slow"))
    calls = [{"id": f"c{n}", "taskRef": "slow"} for n in range(3)]
    environment = {"FLOWMESH_WORKER_SLOTS": "2"}
    async with Suite(tmp_path / "data", environment=environment) as few:
        await applied(few, task, workflow("calls", *calls))
        execution = await few.begin("calls")
        await world.called("slow", 2)
        listed = (await few.get("/api/v1/queues")).json["queues"]
        assert [(each["ready"], each["running"]) for each in listed] == [(1, 2)]
        world.release("slow")
        assert (await few.wait(execution))["status"] == "completed"
    assert len(world.calls("slow")) == 3


@pytest.mark.long
@pytest.mark.feature("S3-35")
@pytest.mark.parametrize(
    ("less", "more", "taken", "left", "told"),
    [
        pytest.param(
            {"FLOWMESH_WORKER_TASK_TYPES": "function, transform"},
            {"FLOWMESH_WORKER_TASK_TYPES": "function,http.request"},
            ("function", "default"),
            ("http", "default"),
            "no worker takes http.request from queue default",
            id="types",
        ),
        pytest.param(
            {"FLOWMESH_WORKER_QUEUES": "default, gpu"},
            {},
            ("http", "gpu"),
            ("http", "reports"),
            "no worker takes http.request from queue reports",
            id="queues",
        ),
    ],
)
async def test_a_worker_service_takes_what_its_settings_say(
    tmp_path: Path,
    world: World,
    less: dict[str, str],
    more: dict[str, str],
    taken: tuple[str, str],
    left: tuple[str, str],
    told: str,
) -> None:
    """Other tasks wait, and it is told for what; a restart with more settings lets them go on."""
    tasks = (
        http_task("takes-http", world.url("taken")),
        resource("WorkflowTask", "takes-function", type="function", function={"code": "return 1"}),
    )
    kind, queue = taken
    first = {"id": "taken", "taskRef": f"takes-{kind}", "queue": queue}
    kind, queue = left
    then = {"id": "left", "taskRef": f"takes-{kind}", "queue": queue, "dependsOn": ["taken"]}
    async with Suite(tmp_path / "data", environment=less) as few:
        await applied(few, *tasks, workflow("settled", first, then))
        execution = await few.begin("settled")
        async with Client(few.grpc_address) as client:
            found = await explained(client, execution, Cause.NO_WORKER)
        assert [(each.task_id, each.text) for each in found.findings] == [("left", told)]
        assert "FLOWMESH_WORKER_TASK_TYPES" in found.findings[0].remedy
        calls = len(world.calls("taken"))
    async with Suite(tmp_path / "data", environment=more) as enough:
        assert (await enough.wait(execution))["status"] == "completed"
    assert len(world.calls("taken")) == calls + 1
