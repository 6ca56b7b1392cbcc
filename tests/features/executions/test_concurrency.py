"""How much runs at once, changed while it runs; work on the CPU in processes that can be killed."""

import asyncio
import os
from collections import deque
from typing import Any

import psutil
import pytest

from flowmesh.errors import Invalid
from flowmesh.sdk import Client, ExecutionFailed, Worker, task, workflow
from flowmesh.sdk import Workflow as Flow
from flowmesh.testing.polling import done
from flowmesh.testing.suite import Suite
from tests.features import crunching
from tests.features.steps import step
from tests.features.steps import workflow as steps

PATIENCE_S = 20.0


class Room:
    """A handler whose calls stay until they are let go, one by one."""

    def __init__(self) -> None:
        self.inside: deque[asyncio.Event] = deque()
        self.entered = 0

    async def __call__(self, value: Any) -> None:
        self.entered += 1
        gate = asyncio.Event()
        self.inside.append(gate)
        await gate.wait()

    async def holds(self, count: int) -> None:
        await done(f"{count} inside", lambda: len(self.inside) == count, within_s=PATIENCE_S)

    def let_go(self, count: int = 1) -> None:
        for _ in range(count):
            self.inside.popleft().set()


@pytest.mark.feature("S4-59")
async def test_the_slots_of_a_worker_change_while_it_runs(suite: Suite) -> None:
    """One at a time, then four, then two: no reconnect, and nothing that runs is disturbed."""
    room = Room()
    ids = [f"t{number}" for number in range(12)]
    workflow_id = await suite.define(steps(*(step(each, "room", {}) for each in ids)))
    async with Worker(suite.grpc_address, {"room": room}, slots=1) as worker:
        execution_id = await suite.begin(workflow_id)
        await room.holds(1)
        worker.set_slots(4)
        await room.holds(4)
        worker.set_slots(2)
        # Nobody takes the place of the first two; from then on one comes for one that goes.
        room.let_go(2)
        await ended(suite, execution_id, 2)
        assert (room.entered, len(room.inside)) == (4, 2)
        for number in range(3, 11):
            room.let_go()
            await ended(suite, execution_id, number)
            await room.holds(2)
        room.let_go(2)
        execution = await suite.wait(execution_id)
        trace = (await suite.get(f"/api/v1/executions/{execution_id}/trace")).json
    assert execution["status"] == "completed"
    assert trace["groups"]["actualWidth"] == 4
    assert {each["attempts"][0]["deliveries"] for each in trace["tasks"]} == {1}


async def ended(suite: Suite, execution_id: str, count: int) -> None:
    """Returns when so many steps have ended."""
    async with asyncio.timeout(PATIENCE_S):
        while len((await suite.execution(execution_id))["completedSteps"]) < count:
            pass


@pytest.mark.feature("S4-59")
async def test_the_limit_of_a_workflow_changes_for_the_next_start(suite: Suite) -> None:
    """What runs keeps the limit it was started with; who starts now has the new one."""
    room = Room()

    def limited(parallelism: int) -> Flow:
        flow = Flow("limited", parallelism=parallelism)
        for number in range(6):
            flow.task(f"t{number}", "limited-room")
        return flow

    async with (
        Client(suite.grpc_address) as client,
        Worker(client, {"limited-room": room}, slots=20),
    ):
        await client.register(limited(1))
        first = await client.start("limited")
        await room.holds(1)
        await client.register(limited(4))
        second = await client.start("limited")
        await room.holds(1 + 4)
        while not ((await first.status()).ended and (await second.status()).ended):
            room.let_go(len(room.inside))
        widths = [
            (await suite.get(f"/api/v1/executions/{each.id}/trace")).json["groups"]["actualWidth"]
            for each in (first, second)
        ]
    assert widths == [1, 4]


@pytest.mark.long
@pytest.mark.feature("S4-88")
async def test_cpu_work_runs_in_a_process_pool(suite: Suite) -> None:
    """In processes other than the worker's, no more than allowed; its loop goes on meanwhile."""

    @task("breathe")
    async def breathe(value: Any) -> int:
        await asyncio.sleep(0)
        return os.getpid()

    @workflow("crunch")
    def crunch(flow: Flow) -> None:
        each = flow.map("each", flow.input["numbers"])
        each.task("count", crunching.count_primes)
        flow.task("beside", breathe)

    async with Client(suite.grpc_address) as client:
        await client.register(crunch)
        async with Worker(client, crunch.handlers, processes=2):
            handle = await client.start("crunch", {"numbers": [20_000] * 6})
            await handle.result(PATIENCE_S)
            outputs = await handle.outputs()
            pids = {each["pid"] for each in outputs["each"]}
        assert [each["primes"] for each in outputs["each"]] == [2_262] * 6
        assert outputs["beside"] == os.getpid()
        assert os.getpid() not in pids
        assert len(pids) <= 2
    assert not any(map(psutil.pid_exists, pids))


@pytest.mark.long
@pytest.mark.feature("S3-36", "S4-88")
async def test_a_task_beyond_its_limits_is_killed_alone(suite: Suite) -> None:
    """A loop without end, a process that is killed from outside: both fail, the others complete."""

    @workflow("unequal")
    def unequal(flow: Flow) -> None:
        flow.task("count", crunching.count_primes, input=5_000)
        flow.task("loop", crunching.never_ends, timeout="400ms", critical=False)
        flow.task("leave", crunching.is_killed, critical=False)

    async with Client(suite.grpc_address) as client:
        await client.register(unequal)
        async with Worker(client, unequal.handlers, processes=2):
            handle = await client.start("unequal")
            await handle.wait(PATIENCE_S)
            nodes = {node.id: node for node in (await handle.describe()).nodes}
            again = await client.start("unequal")
            await again.wait(PATIENCE_S)
            assert (await again.outputs())["count"]["primes"] == 669
    assert nodes["count"].output["primes"] == 669  # type: ignore[index]
    classes = {name: each.failure.error_class for name, each in nodes.items() if each.failure}
    assert classes == {"loop": "Timeout", "leave": "ProcessDied"}


@pytest.mark.feature("S4-88")
async def test_canceling_kills_cpu_work(suite: Suite) -> None:
    """A loop without end ends with its execution, and its process is free for the next task."""

    @workflow("hopeless")
    def hopeless(flow: Flow) -> None:
        flow.task("loop", crunching.never_ends)

    @workflow("hopeful")
    def hopeful(flow: Flow) -> None:
        flow.task("count", crunching.count_primes, input=1_000)

    async with Client(suite.grpc_address) as client:
        await client.register(hopeless)
        await client.register(hopeful)
        handlers = hopeless.handlers | hopeful.handlers
        async with Worker(client, handlers, processes=1):
            handle = await client.start("hopeless")
            async for event in handle.events(types=["TaskStarted"]):
                assert event.node == "loop"
                break
            await handle.cancel("enough")
            with pytest.raises(ExecutionFailed):
                await handle.result(PATIENCE_S)
            result = await (await client.start("hopeful")).result(PATIENCE_S)
    assert result["primes"] == 168


@pytest.mark.feature("S4-88")
def test_a_handler_that_cannot_travel_is_refused_with_the_reason() -> None:
    """Before anything runs, and it says where to put the function."""

    @task("nested", pool="process")
    def nested(value: Any) -> Any:
        return value

    with pytest.raises(Invalid, match=r"'nested' cannot run in another process .*top level"):
        Worker("", {"nested": nested})
