"""Webhooks of workflows, as their receivers see them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.event.v1 import event_service_pb2_grpc
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World

PATIENCE_S = 30


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as running:
        yield running


def workflow(world: World) -> dict[str, Any]:
    """Charge, then ship; every hook has its own route."""
    steps = [
        {
            "id": route,
            "name": route,
            "type": "task",
            "action": "http.request",
            "params": {"url": world.url(route), "method": "POST"},
            "dependencies": dependencies,
        }
        for route, dependencies in (("charge", []), ("ship", ["charge"]))
    ]
    hooks = {hook: world.url(hook) for hook in ("onComplete", "onFailure", "onStep")}
    name = f"hooked-{uuid.uuid4().hex[:8]}"
    return {"id": name, "name": name, "steps": steps, "webhooks": hooks}


async def all_delivered(suite: Suite, execution_id: str, count: int) -> list[pb.Delivery]:
    """The deliveries of an execution once there are so many and none is open."""
    stub = event_service_pb2_grpc.EventServiceStub(suite.channel)
    request = pb.ListDeliveriesRequest(execution_id=execution_id)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = list((await stub.ListDeliveries(request)).deliveries)
            ended = [each for each in found if each.status == pb.DELIVERY_STATUS_DELIVERED]
            if len(ended) == count == len(found):
                return found


@pytest.mark.feature("S2-05", "S2-38", "S2-40")
async def test_success_is_reported_once_and_each_step_as_well(suite: Suite, world: World) -> None:
    """onComplete with the execution's data; onStep per step with its result."""
    execution = await suite.run(workflow(world), {"amount": 3})
    await all_delivered(suite, execution["executionId"], 3)

    (complete,) = world.calls("onComplete")
    assert complete.json["event"] == "onComplete"
    assert complete.json["execution"] == execution
    steps = {call.json["stepId"]: call.json for call in world.calls("onStep")}
    assert set(steps) == {"charge", "ship"}
    assert steps["ship"]["status"] == "success"
    assert steps["ship"]["result"] == {"ok": True, "route": "ship"}
    assert world.calls("onFailure") == []


@pytest.mark.feature("S2-05", "S2-39")
async def test_failure_is_reported_once(suite: Suite, world: World) -> None:
    """onFailure with the error; nothing of success, and nothing of the step that never ran."""
    world.answers("charge", status=402)
    execution = await suite.run(workflow(world))
    await all_delivered(suite, execution["executionId"], 2)

    (failure,) = world.calls("onFailure")
    assert failure.json["status"] == "failed"
    assert failure.json["error"]["class"] == "ClientError"
    assert [call.json["stepId"] for call in world.calls("onStep")] == ["charge"]
    assert world.calls("onComplete") == []


@pytest.mark.slow  # the lease of the attempt that died must end first
@pytest.mark.feature("S3-46")
async def test_a_callback_survives_the_crash_of_everything(tmp_path: Path, world: World) -> None:
    """Killed while the receiver had it and nothing was recorded: it comes again, by the same id."""
    world.hold("onComplete")
    async with Suite(tmp_path / "data") as suite:
        execution = await suite.run(workflow(world))
        await world.called("onComplete")
        await suite.kill()
        await suite.start()
        stub = event_service_pb2_grpc.EventServiceStub(suite.channel)
        request = pb.ListDeliveriesRequest(execution_id=execution["executionId"])
        found = list((await stub.ListDeliveries(request)).deliveries)
        (pending,) = [each for each in found if each.kind == "onComplete"]
        assert pending.status == pb.DELIVERY_STATUS_PENDING
        world.release("onComplete")
        calls = await world.called("onComplete", 2, timeout_s=90)

    assert {call.headers["webhook-id"] for call in calls} == {pending.delivery_id}
