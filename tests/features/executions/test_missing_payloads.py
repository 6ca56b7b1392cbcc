"""Every call that takes a value takes a reference to a stored one, and refuses one to nothing."""

from typing import Any

import grpc.aio
import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import control_service_pb2 as control
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as execution
from flowmesh.testing.suite import Suite
from tests.features.hostile import send
from tests.features.natives import resource
from tests.features.steps import step, workflow

CONTROL = "/flowmesh.api.execution.v1.ControlService"
EXECUTIONS = "/flowmesh.api.execution.v1.ExecutionService"
PAYLOADS = "/flowmesh.api.execution.v1.PayloadService"
NOTHING = payload_pb2.Payload(reference=payload_pb2.PayloadReference(digest="0" * 64, size_bytes=1))
LARGE = payload_pb2.Payload(data=b'"' + b"x" * 300_000 + b'"')
COMPLETE = execution_pb2.NODE_ACTION_COMPLETE


def calls(asking: str, ended: str, value: payload_pb2.Payload) -> list[tuple[str, Any]]:
    """Each call with this value: about an execution that waits, and about one that has ended."""
    steered: dict[str, Any] = {"execution_id": asking, "node": "ask", "action": COMPLETE}
    form: dict[str, Any] = {"execution_id": asking, "node": "ask", "by": "ida", "approved": True}
    signal = execution.SignalExecutionRequest(execution_id=asking, name="go", payload=value)
    keyed = execution.SignalByKeyRequest(name="go", key="k", payload=value)
    edited = control.RerunExecutionRequest(execution_id=ended, node_inputs={"a": value})
    return [
        (f"{EXECUTIONS}/SignalExecution", signal),
        (f"{EXECUTIONS}/SignalByKey", keyed),
        (f"{CONTROL}/SteerNode", control.SteerNodeRequest(output=value, **steered)),
        (f"{CONTROL}/SteerNode", control.SteerNodeRequest(input=value, **steered)),
        (f"{CONTROL}/DecideApproval", control.DecideApprovalRequest(form=value, **form)),
        (
            f"{CONTROL}/RerunExecution",
            control.RerunExecutionRequest(execution_id=ended, input=value),
        ),
        (f"{CONTROL}/RerunExecution", edited),
    ]


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        (NOTHING, "FAILED_PRECONDITION", "PAYLOAD_MISSING"),
        (LARGE, "RESOURCE_EXHAUSTED", "PAYLOAD_TOO_LARGE"),
    ],
    ids=["nothing", "large"],
)
async def test_no_call_takes_a_value_that_is_not_there_or_too_large(
    victim: Suite, wire: grpc.aio.Channel, value: payload_pb2.Payload, code: str, reason: str
) -> None:
    """Told to who calls, at once; nothing is decided, signalled or begun."""
    asks = resource(
        "Workflow", "asks-ida", tasks=[{"id": "ask", "approval": {"assignees": ["ida"]}}]
    )
    assert (await victim.post("/api/v1/workflows", asks)).status in (200, 201)
    started = (await victim.post("/api/v1/workflows/asks-ida/start", {})).json["executionId"]
    ended = (await victim.run(workflow(step("a", "delay", {"duration": 1}))))["executionId"]
    before = (await victim.get(f"/api/v1/executions/{started}")).json
    for path, request in calls(started, ended, value):
        outcome = await send(wire, path, request.SerializeToString())
        assert (outcome.code, outcome.reason) == (code, reason), (path, request)
    assert (await victim.get(f"/api/v1/executions/{started}")).json == before


async def test_a_form_may_be_stored(victim: Suite, wire: grpc.aio.Channel) -> None:
    """One that is sent as a reference is held against what is asked for like any other."""
    form = {"type": "object", "required": ["limit"], "properties": {"limit": {"type": "number"}}}
    asked = [{"id": "ask", "approval": {"assignees": ["ida"], "form": form}}]
    asks = resource("Workflow", "asks-limit", tasks=asked)
    assert (await victim.post("/api/v1/workflows", asks)).status in (200, 201)
    started = (await victim.post("/api/v1/workflows/asks-limit/start", {})).json["executionId"]

    async def decided(value: bytes) -> Any:
        put: grpc.aio.StreamUnaryMultiCallable[
            execution.PutPayloadRequest, execution.PutPayloadResponse
        ] = wire.stream_unary(
            f"{PAYLOADS}/PutPayload",
            request_serializer=lambda each: each.SerializeToString(),
            response_deserializer=execution.PutPayloadResponse.FromString,
        )
        stored = (await put(iter([execution.PutPayloadRequest(chunk=value)]))).payload
        decision = control.DecideApprovalRequest(
            execution_id=started, node="ask", by="ida", approved=True, form=stored
        )
        return await send(wire, f"{CONTROL}/DecideApproval", decision.SerializeToString())

    refused = await decided(b'{"limit": "much"}')
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "FORM_INVALID")
    assert (await decided(b'{"limit": 5}')).code == "OK"
