"""Tasks of a running suite go first to the worker that was faster, where that is switched on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.sdk import Client, Worker, Workflow
from flowmesh.testing.polling import pause
from flowmesh.testing.suite import Suite
from tests.features.commands import command

QUEUE, TASK_TYPE = "packing", "pack-box"
SECONDS = {"fast": 0.01, "slow": 0.1}
BEFORE, TASKS, AT_ONCE, SLOTS = 64, 60, 3, 4


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Suite]:
    """A suite with learned routing in the namespace `learned`, and for one queue elsewhere."""
    environment = {"FLOWMESH_LEARNED_ROUTING": "learned,other/learned-queue"}
    async with Suite(tmp_path / "data", environment=environment) as running:
        yield running


@pytest.mark.long
@pytest.mark.feature("S4-99")
async def test_a_slow_worker_is_sent_fewer_tasks(own: Suite) -> None:
    """After enough results the faster worker gets most; the worker list says why."""
    shares, routes = await run(own, "learned")
    assert shares["slow"] <= 0.2 * TASKS, shares
    assert {each["used"] for each in routes.values()} == {True}, routes
    assert routes["fast"]["expectedMs"] < routes["slow"]["expectedMs"]
    assert "in turn" in routes["fast"]["reason"]


@pytest.mark.long
@pytest.mark.feature("S4-99")
async def test_without_the_setting_workers_take_turns(own: Suite) -> None:
    """Another namespace is as before, and nothing is kept of it."""
    shares, routes = await run(own, "other")
    assert shares["slow"] >= 0.25 * TASKS, shares
    assert routes == {}


async def run(suite: Suite, namespace: str) -> tuple[Counter[str], dict[str, Any]]:
    """Return the number of tasks of each worker after the first ones, and its learned route."""
    took: list[str] = []

    def worker(name: str) -> Worker:
        made = Worker(
            suite.grpc_address,
            namespace=namespace,
            queues=[QUEUE],
            slots=SLOTS,
            worker_id=f"{namespace}-{name}",
        )

        @made.task(TASK_TYPE)
        async def pack(value: Any) -> Any:
            took.append(name)
            await pause(SECONDS[name])
            return {}

        return made

    flow = Workflow("packed")
    flow.task("pack", TASK_TYPE, queue=QUEUE)
    gate = asyncio.Semaphore(AT_ONCE)
    async with (
        Client(suite.grpc_address, namespace) as client,
        worker("fast"),
        worker("slow"),
    ):
        await client.register(flow)

        async def one() -> None:
            async with gate:
                await (await client.start("packed")).result()

        await asyncio.gather(*(one() for _ in range(BEFORE)))
        before = len(took)
        await asyncio.gather(*(one() for _ in range(TASKS)))
        listed = await command(suite, "workers", "--namespace", namespace)
        assert listed.out.count("ms expected of") == (2 if namespace == "learned" else 0)
        headers = {"Flowmesh-Namespace": namespace}
        found: Any = (await suite.request("GET", "/api/v1/workers", headers=headers)).json
    routes = {
        each["workerId"].removeprefix(f"{namespace}-"): route
        for each in found["workers"]
        for route in each["routing"]
    }
    return Counter(took[before:]), routes
