"""Numbers that nothing has room for, and a reader that is ahead of what there is."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.event.v1 import (
    event_service_pb2,
    event_service_pb2_grpc,
    trigger_service_pb2,
    trigger_service_pb2_grpc,
)
from flowmesh.api.execution.v1 import (
    control_service_pb2,
    control_service_pb2_grpc,
    execution_service_pb2,
    execution_service_pb2_grpc,
)
from flowmesh.api.history.v1 import history_service_pb2, history_service_pb2_grpc
from flowmesh.rpc import error_of
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import steps
from tests.features.natives import applied, execute, http_task, resource, workflow
from tests.features.rest.test_bad_input import JSON, refused

BEYOND = 2**64
ENDS_S = 20.0


async def _ended(victim: Suite) -> Any:
    """An execution that has ended, of a workflow of its own."""
    return await victim.run(steps.workflow(steps.step("a", "delay", {"duration": 1})))


@pytest.mark.parametrize("after", [2**31 - 1, 2**31, 2**53, 2**63 - 1])
async def test_nothing_follows_a_sequence_that_is_never_reached(victim: Suite, after: int) -> None:
    """An empty page of the history, and a stream that ends."""
    execution = await _ended(victim)
    path = f"/api/v1/executions/{execution['executionId']}"
    page = await victim.get(f"{path}/history?after={after}")
    assert (page.status, page.json["events"]) == (200, [])
    events = await victim.get(f"{path}/events?after={after}")
    assert events.status == 200


@pytest.mark.parametrize("after", [-(2**63), 2**31, 2**63 - 1])
async def test_the_same_by_grpc(victim: Suite, wire: grpc.aio.Channel, after: int) -> None:
    """What is below the first sequence is before it."""
    execution = await _ended(victim)
    asked = history_service_pb2.ListHistoryEventsRequest(
        execution_id=execution["executionId"], after=after
    )
    page = await history_service_pb2_grpc.HistoryServiceStub(wire).ListHistoryEvents(asked)
    follow = event_service_pb2.WatchExecutionRequest(
        execution_id=execution["executionId"], after=after
    )
    stream = event_service_pb2_grpc.EventServiceStub(wire).WatchExecution(follow)
    seen = [each async for each in stream]
    assert bool(page.events) == bool(seen) == (after < 0)


async def test_a_stream_behind_the_last_event_ends(victim: Suite) -> None:
    """Whoever goes on from the last event that was seen has seen them all."""
    execution = await _ended(victim)
    async with await Client.connect(victim.grpc_address) as client:
        handle = client.handle(execution["executionId"])
        seen = [event.sequence async for event in handle.events()]
        async with asyncio.timeout(ENDS_S):
            assert [event async for event in handle.events(after=seen[-1])] == []


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/api/v1/workflows/{name}:dryRun", b'{"input": %d}' % BEYOND, "JSON_INVALID"),
        ("/api/v1/workflows/{name}:dryRun", b'{"mocks": {"a": %d}}' % BEYOND, "JSON_INVALID"),
        (
            "/api/v1/executions/{id}/nodes/a:link",
            b'{"by": "x", "validMs": %d}' % 2**63,
            "REQUEST_INVALID",
        ),
    ],
)
async def test_numbers_beyond_64_bits_are_refused(
    victim: Suite, path: str, body: bytes, reason: str
) -> None:
    """None is rounded, and none is a fault of ours."""
    execution = await _ended(victim)
    at = path.format(name=execution["workflowId"], id=execution["executionId"])
    answer = await victim.post(at, data=body, headers=JSON)
    assert refused(answer) == reason


async def test_the_id_of_a_rerun_is_checked(victim: Suite, wire: grpc.aio.Channel) -> None:
    """Not by the database, which would be said not to answer."""
    execution = await _ended(victim)
    control = control_service_pb2_grpc.ControlServiceStub(wire)
    for request_id, reason in (("a\0b", "STRING_HAS_NUL"), ("x" * 257, "REQUEST_INVALID")):
        asked = control_service_pb2.RerunExecutionRequest(
            execution_id=execution["executionId"], request_id=request_id
        )
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await control.RerunExecution(asked)
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT, reason


async def test_no_door_takes_an_integer_that_cannot_be_kept(
    victim: Suite, wire: grpc.aio.Channel
) -> None:
    """REST and gRPC refuse it with its place: starts, signals, payloads and events."""
    execution = await _ended(victim)
    name, execution_id = execution["workflowId"], execution["executionId"]
    paths = {
        f"/workflows/{name}/execute": "input",
        f"/api/v1/executions/{execution_id}:signal": "payload",
    }
    for path, field in paths.items():
        body = b'{"name": "s", "%s": {"n": [1, %d]}}' % (field.encode(), BEYOND)
        answer = await victim.post(path, data=body, headers=JSON)
        assert (answer.status, refused(answer)) == (400, "JSON_INVALID")
        assert f"{field}.n[1]" in answer.json["error"]["message"]
    payload = payload_pb2.Payload(data=b'{"n": [1, %d]}' % BEYOND)

    async def chunks() -> AsyncIterator[execution_service_pb2.PutPayloadRequest]:
        yield execution_service_pb2.PutPayloadRequest(chunk=payload.data)

    executions: Any = execution_service_pb2_grpc.ExecutionServiceStub(wire)
    payloads: Any = execution_service_pb2_grpc.PayloadServiceStub(wire)
    triggers: Any = trigger_service_pb2_grpc.TriggerServiceStub(wire)
    start = execution_service_pb2.StartExecutionRequest(workflow_id=name, input=payload)
    signal = execution_service_pb2.SignalExecutionRequest(
        execution_id=execution_id, name="s", payload=payload
    )
    event = trigger_service_pb2.Event(type="order.paid", data=payload)
    for call in (
        executions.StartExecution(start),
        executions.SignalExecution(signal),
        payloads.PutPayload(chunks()),
        triggers.PublishEvent(trigger_service_pb2.PublishEventRequest(event=event)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call
        error = error_of(refusal.value)
        assert error.reason == "JSON_INVALID"
        assert "n[1] is an integer that cannot be kept" in error.message


@pytest.mark.parametrize("number", [-(2**63), 9007199254740993, 12345678901234567890, 2**64 - 1])
async def test_an_integer_of_64_bits_is_exact_everywhere(victim: Suite, number: int) -> None:
    """In data, in texts and in what a task computes of what is beside it."""
    noted = resource(
        "WorkflowTask",
        f"note-{uuid.uuid4().hex[:8]}",
        type="log",
        log={"message": "order {{input.id}}"},
    )
    flow = workflow(
        f"exact-{uuid.uuid4().hex[:8]}",
        {
            "id": "a",
            "taskRef": noted["metadata"]["name"],
            "input": {"id": 7, "x": "{{input.x}}"},
        },
        output={"whole": "{{input}}", "text": "amount {{input.x}}"},
    )
    async with Client(victim.grpc_address) as client:
        await applied(victim, noted, flow)
        ended = await client.run(flow["metadata"]["name"], {"id": 7, "x": number})
    assert ended == {"whole": {"id": 7, "x": number}, "text": f"amount {number}"}


async def test_an_http_answer_that_cannot_be_kept_fails_its_task(
    victim: Suite, world: World
) -> None:
    """It is no output that the next task fails on."""
    world.answers("large", body=b'{"n": [%d]}' % BEYOND)
    task = http_task(f"large-{uuid.uuid4().hex[:8]}", world.url("large"))
    flow = workflow(
        f"flow-{uuid.uuid4().hex[:8]}", {"id": "a", "taskRef": task["metadata"]["name"]}
    )
    await applied(victim, task, flow)
    answer = await execute(victim, flow["metadata"]["name"])
    failure = answer.json["error"]
    assert failure["class"] == "ValidationError"
    assert "answer.n[0] is an integer that cannot be kept" in failure["message"]
