"""Numbers that nothing has room for, and a reader that is ahead of what there is."""

import asyncio
from typing import Any

import grpc.aio
import pytest

from flowmesh.api.event.v1 import event_service_pb2, event_service_pb2_grpc
from flowmesh.api.execution.v1 import control_service_pb2, control_service_pb2_grpc
from flowmesh.api.history.v1 import history_service_pb2, history_service_pb2_grpc
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from tests.features.steps import step, workflow
from tests.features.test_bad_input import JSON, refused

BEYOND = 2**64
ENDS_S = 20.0


async def _ended(victim: Suite) -> Any:
    """An execution that has ended, of a workflow of its own."""
    return await victim.run(workflow(step("a", "delay", {"duration": 1})))


@pytest.mark.parametrize("after", [2**31 - 1, 2**31, 2**53, 2**63 - 1])
async def test_nothing_is_behind_a_sequence_that_nobody_reaches(victim: Suite, after: int) -> None:
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
        ("/api/v1/workflows/{name}:dryRun", b'{"input": %d}' % BEYOND, ""),
        ("/api/v1/workflows/{name}:dryRun", b'{"mocks": {"a": %d}}' % BEYOND, ""),
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
    # A rehearsal may take one: it keeps it exactly.
    assert answer.status < 500, answer.text
    if reason:
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


async def test_no_task_rounds_an_integer(victim: Suite) -> None:
    """One that cannot keep it says so; what only passes it on keeps it."""
    code = {"code": "return input"}
    told = await victim.run(workflow(step("a", "transform", code)), {"n": [1, 10**30 + 7]})
    failure = told["error"]["message"]
    assert "input.n[1] is a number that cannot be kept exactly" in failure, told
