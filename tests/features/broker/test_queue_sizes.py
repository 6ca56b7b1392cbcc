"""A queue holds as many waiting tasks as it is said to, and says what it needs."""

import asyncio
import math
from typing import Any

import pytest

from flowmesh.errors import Invalid
from flowmesh.orchestrator.dispatch.statistics.loads import SAMPLE_MS, SAMPLES
from flowmesh.sdk import Client, Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import applied, execute, http_task, refusal, resource, workflow

SIZE = 3
TOOK_MS = 200
AT_ONCE = 4


async def queued(suite: Suite, name: str, queue: str) -> None:
    """A workflow of one task of a type of its own, in this queue."""
    task = resource("WorkflowTask", f"{name}-task", type=name)
    await applied(
        suite, task, workflow(name, {"id": "a", "taskRef": f"{name}-task", "queue": queue})
    )


async def start(suite: Suite, name: str) -> Any:
    return await suite.post(f"/api/v1/workflows/{name}/start", {})


@pytest.mark.long
@pytest.mark.feature("S4-58")
async def test_a_full_queue_refuses_starts_until_there_is_room(suite: Suite) -> None:
    """What would come beyond its size; other queues go on, and what is held by a limit counts."""
    name, other = "sized", "sized-other"
    await queued(suite, name, "sized-queue")
    await queued(suite, other, "sized-free")
    call = {"id": "call", "subworkflow": {"workflow": name}}
    await applied(suite, workflow("sized-parent", call))
    numbers = ("--max-size", str(SIZE), "--concurrency", "1")
    told = await command(suite, "limits", "set", "queue", "sized-queue", *numbers)
    assert told.code == 0, told.err
    begun = [await start(suite, name) for _ in range(SIZE)]
    assert [one.status for one in begun] == [202] * SIZE
    refused = await start(suite, name)
    assert refusal(refused) == (429, "QUEUE_FULL")
    said = refused.json["error"]["message"]
    assert said == f"queue sized-queue is full: {SIZE} tasks wait in it, of at most {SIZE}"
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await start(suite, other)).status == 202
    parent = await start(suite, "sized-parent")
    assert parent.status == 202
    async with Client(suite.grpc_address) as client:
        (found,) = (one for one in await client.queues() if one.queue == "sized-queue")
        assert (found.ready, found.max_size) == (SIZE, SIZE)

        async def at_once(value: Any) -> Any:
            return value

        async with Worker(client, {name: at_once}, queues=["sized-queue"]):
            for one in (*begun, parent):
                await client.handle(one.json["executionId"]).wait(20)
            done = await execute(suite, name)
            assert done.status == 200, done.text
        with pytest.raises(Invalid, match="only a queue has a size"):
            await client.set_limit("workflow", name, max_size=5)
        shown = await command(suite, "limits", "list")
        line = next(line for line in shown.out.splitlines() if "sized-queue" in line)
        assert line.split()[-1] == str(SIZE)
        await client.delete_limit("queue", "sized-queue")
        for _ in range(2 * SIZE):
            assert (await start(suite, name)).status == 202


@pytest.mark.long
@pytest.mark.feature("S4-58")
async def test_the_load_of_a_queue_says_how_many_slots_it_needs(suite: Suite, world: World) -> None:
    """What comes a second, times how long it takes: over REST, the SDK and the command line."""
    name, queue = "loaded", "loaded-queue"
    world.answers(name, delay_ms=TOOK_MS)
    step = {"id": "a", "taskRef": f"{name}-task", "queue": queue, "input": {}}
    await applied(suite, http_task(f"{name}-task", world.url(name)), workflow(name, step))
    async with Client(suite.grpc_address) as client:
        found: Any = None

        async def known() -> bool:
            nonlocal found
            await asyncio.gather(*((client.run(name)) for _ in range(AT_ONCE)))
            (found,) = (one for one in await client.queues() if one.queue == queue)
            return bool(found.recommended_slots)

        await until("the load is known", known, within_s=30)
        assert TOOK_MS <= found.service_ms < TOOK_MS * 5
        # The samples may begin with a time in which nothing came, as long as they go back.
        window_s = SAMPLES * SAMPLE_MS / 1_000
        assert AT_ONCE / window_s <= found.arrivals_per_second <= AT_ONCE * 1_000 / TOOK_MS
        busy = found.arrivals_per_second * found.service_ms / 1_000
        assert found.recommended_slots == math.ceil(busy / 0.8)
        assert found.recommended_size == math.ceil(found.arrivals_per_second * 30)
        answer = await suite.get("/api/v1/queues")
        (shown,) = (one for one in answer.json["queues"] if one["queue"] == queue)
        assert shown["recommendedSlots"] >= 1
        text = await command(suite, "queues")
        (line,) = (one for one in text.out.splitlines() if one.startswith(f"{queue}/"))
        assert "recommended: " in line
