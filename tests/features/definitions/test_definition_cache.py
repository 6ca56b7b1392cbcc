"""A definition that is replaced while executions start."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.operations.test_frozen_servers import family

CACHE_S = 1


def charge(world: World, provider: str) -> dict[str, Any]:
    """Return a task that calls a provider."""
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": {"name": "charge"},
        "spec": {"type": "http", "http": {"method": "POST", "url": f"{world.address}/{provider}"}},
    }


def workflow(name: str) -> dict[str, Any]:
    """Return a workflow of this task."""
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"tasks": [{"id": "a", "taskRef": "charge"}]},
    }


async def put(suite: Suite, path: str, document: dict[str, Any]) -> None:
    answer = await suite.request("POST", f"/api/v1/{path}", document)
    assert answer.status < 300, answer.text


async def pay(suite: Suite) -> None:
    answer = await suite.request("POST", "/api/v1/workflows/pay/execute", {"input": {}})
    assert answer.status == 200, answer.text


@pytest.mark.long
@pytest.mark.feature("S0-119")
async def test_a_changed_task_is_used_within_the_time_of_the_cache(
    tmp_path: Path, world: World
) -> None:
    """At once while the bus tells of it; without the bus when the cached plan has expired."""
    environment = {"FLOWMESH_DEFINITION_CACHE_SECONDS": str(CACHE_S)}
    async with Suite(tmp_path / "data", environment=environment) as suite:
        await put(suite, "tasks", charge(world, "first"))
        await put(suite, "workflows", workflow("pay"))
        for _ in range(3):
            await pay(suite)
        assert len(world.calls("first")) == 3
        metrics = (await suite.get("/metrics")).text
        assert 'flowmesh_plan_lookups_total{result="hit"} 2.0' in metrics
        assert 'flowmesh_plan_lookups_total{result="miss"} 1.0' in metrics
        await put(suite, "tasks", charge(world, "second"))
        await pay(suite)
        assert len(world.calls("second")) == 1

        frozen = family(suite.pids["nats"])
        try:
            for process in frozen:
                process.send_signal(signal.SIGSTOP)
            await put(suite, "tasks", charge(world, "third"))
            changed = time.monotonic()

            async def swapped() -> bool:
                await pay(suite)
                return bool(world.calls("third"))

            await until("swapped", swapped, within_s=CACHE_S + 2)
            assert time.monotonic() - changed < CACHE_S + 2
            # The gateway keeps nothing: its list does not wait for the bus.
            await put(suite, "workflows", workflow("refund"))
            listed = (await suite.get("/api/v1/workflows")).json["workflows"]
            assert [each["name"] for each in listed] == ["pay", "refund"]
        finally:
            for process in frozen:
                process.send_signal(signal.SIGCONT)
