"""Lifecycle events as subscribers of the running suite get them."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.event.v1 import event_service_pb2_grpc
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from flowmesh.views import event_type

PATIENCE_S = 30


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as running:
        yield running


def chain(world: World, *routes: str, **more: Any) -> dict[str, Any]:
    """A workflow of HTTP steps, one after the other; ids are the routes."""
    steps = [
        {
            "id": route,
            "name": route,
            "type": "task",
            "action": "http.request",
            "params": {"url": world.url(route), "method": "POST"},
            "dependencies": [before] if before else [],
            **more,
        }
        for before, route in zip([None, *routes], routes, strict=False)
    ]
    name = f"chain-{uuid.uuid4().hex[:8]}"
    return {"id": name, "name": name, "steps": steps}


def of(events: list[Any], kind: str) -> list[str]:
    return [event.get("taskId", "") for event in events if event["type"] == kind]


@pytest.mark.feature("S0-88", "S0-89", "S0-90", "S0-91")
async def test_events_cover_a_run_from_start_to_end(suite: Suite, world: World) -> None:
    """WorkflowStarted first, one start and one end per task with its id, WorkflowCompleted last."""
    execution = await suite.run(chain(world, "a", "b", "c"))
    events = await suite.events(execution["executionId"])

    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "WorkflowStarted"
    assert of(events, "TaskStarted") == of(events, "TaskCompleted") == ["a", "b", "c"]
    assert events[-1]["type"] == "WorkflowCompleted"


@pytest.mark.feature("S0-93")
async def test_failures_retries_skips_and_cancellation_have_events(
    suite: Suite, world: World
) -> None:
    """Each has its type; a failed run ends with WorkflowFailed, a canceled one with its own."""
    world.answers("a", status=500)
    policy = {"maxAttempts": 2, "initialDelay": 10}
    failed = await suite.run(chain(world, "a", "b", retryPolicy=policy))
    events = await suite.events(failed["executionId"])
    assert of(events, "TaskRetrying") == of(events, "TaskFailed") == ["a"]
    assert of(events, "TaskSkipped") == ["b"]
    assert events[-1]["type"] == "WorkflowFailed"

    world.hold("c")
    canceled = await suite.begin(await suite.define(chain(world, "c")))
    await world.called("c")
    await suite.post(f"/executions/{canceled}/cancel")
    events = await suite.events(canceled)
    assert of(events, "TaskCanceled") == ["c"]
    assert events[-1]["type"] == "WorkflowCanceled"


@pytest.mark.feature("S3-43")
async def test_a_namespace_is_watched_by_type_and_workflow(suite: Suite, world: World) -> None:
    """One stream tells of every execution that matches, with a cursor that resumes behind it."""
    workflow_id = await suite.define(chain(world, "a"))
    stub = event_service_pb2_grpc.EventServiceStub(suite.channel)
    request = pb.WatchEventsRequest(workflow_id=workflow_id, types=["WorkflowCompleted"])
    stream = aiter(stub.WatchEvents(request))
    async with asyncio.timeout(PATIENCE_S):
        assert (await anext(stream)).subscribed
        wanted = [await suite.begin(workflow_id) for _ in range(3)]
        got = [await anext(stream) for _ in wanted]
        assert sorted(each.event.execution_id for each in got) == sorted(wanted)
        request.cursor = got[0].cursor
        resumed = aiter(stub.WatchEvents(request))
        assert (await anext(resumed)).subscribed
        again = [await anext(resumed) for _ in got[1:]]

    assert [each.event.execution_id for each in again] == [
        each.event.execution_id for each in got[1:]
    ]
    assert {event_type(each.event.event) for each in got} == {"WorkflowCompleted"}


@pytest.mark.feature("S0-96", "S3-46")
async def test_a_client_that_lost_its_connection_misses_nothing(suite: Suite, world: World) -> None:
    """Dropped in the middle of a run, it goes on behind the last event it got."""
    world.hold("b")
    execution_id = await suite.begin(await suite.define(chain(world, "a", "b", "c")))
    await world.called("b")
    seen: list[int] = []
    path = f"/api/v1/executions/{execution_id}/events/ws"
    async with asyncio.timeout(PATIENCE_S), suite.websocket(path) as socket:
        while len(seen) < 4:
            seen.append(json.loads((await socket.receive()).data)["sequence"])
    world.release("b")
    rest = await suite.events(execution_id, after=seen[-1])
    seen += [event["sequence"] for event in rest]

    assert seen == list(range(1, len(seen) + 1))
    assert rest[-1]["type"] == "WorkflowCompleted"
