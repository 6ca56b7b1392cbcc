"""JSON in requests of gRPC: bytes that are not JSON within the bounds are INVALID_ARGUMENT."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor

import flowmesh.api
from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.common.v1.access_pb2 import internal
from flowmesh.errors import Invalid
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite

BAD = {
    "not UTF-8": b"\xff",
    "half a surrogate": b'"\\ud800"',
    "NaN": b"NaN",
    "infinite": b'{"a": [-Infinity]}',
    "out of range": b"1e999",
    "trailing text": b"1 x",
    "65 levels": b"[" * 65 + b"]" * 65,
    "3,000 levels": b"[" * 3000 + b"]" * 3000,
    "65 bits": b"[18446744073709551616]",
    "a blank": b" ",
}

WORKFLOW = {
    "apiVersion": "workflow.io/v1",
    "kind": "Workflow",
    "metadata": {"name": "json-doors"},
    "spec": {
        "variables": {"limit": {"schema": {}, "initial": 1}},
        "triggers": [{"id": "nightly", "cron": {"expression": "0 0 1 1 *"}}],
        "tasks": [
            {"id": "wait", "wait": {"event": "go"}},
            {"id": "sign", "approval": {"form": {}}},
        ],
    },
}
_EXECUTION = {"execution_id": "EXECUTION"}
_SIGNAL = {"name": "signal", "signal": "go"}
# A valid request by method; its payloads are replaced one by one.
REQUESTS: dict[str, dict[str, Any]] = {
    "StartExecution": {"workflow_id": "json-doors"},
    "SignalExecution": {**_EXECUTION, "name": "go"},
    "SignalByKey": {"name": "go", "key": "k"},
    "SteerNode": {**_EXECUTION, "node": "wait", "action": "NODE_ACTION_COMPLETE"},
    "SetVariable": {**_EXECUTION, "name": "limit"},
    "DecideApproval": {**_EXECUTION, "node": "sign", "by": "ann", "approved": True},
    "RerunExecution": {"execution_id": "ENDED", "from_nodes": ["wait"]},
    "FireTrigger": {"workflow_id": "json-doors", "trigger_id": "nightly"},
    "PublishEvent": {"event": {"type": "a.b", "source": "c"}},
    "StartBulk": {"action": _SIGNAL},
}
# Methods without a row above, and the reason.
EXEMPT = {
    "Session": "a stream of StartExecution",
    "DecideByLink": "calls DecideApproval",
    "DeliverMessage": "between orchestrators",
    "Attach": "a stream of worker services",
    "Work": "a stream of workers, whose results fail their attempts",
}


def _payloads(message: Descriptor, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for field in message.fields:
        inner = field.message_type
        if inner is None or inner.name in path or field.GetOptions().Extensions[internal]:
            continue
        if inner is payload_pb2.Payload.DESCRIPTOR:
            yield (*path, field.name)
        else:
            yield from _payloads(inner, (*path, field.name))


def _methods() -> Iterator[Any]:
    for module in pkgutil.walk_packages(flowmesh.api.__path__, "flowmesh.api."):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(module.name).DESCRIPTOR
            for service in file.services_by_name.values():
                yield from service.methods


DOORS = {
    (method.name, ".".join(path)): method
    for method in _methods()
    for path in _payloads(method.input_type)
}


def test_every_request_with_a_payload_is_tried() -> None:
    """A new method needs a row of `REQUESTS`, or a reason in `EXEMPT`."""
    assert {name for name, _ in DOORS} == REQUESTS.keys() | EXEMPT.keys()


@pytest.fixture(scope="module")
async def executions(suite: Suite) -> dict[str, str]:
    """The ids of a waiting execution and of one that has ended."""
    async with Client(suite.grpc_address) as client:
        await client.apply(WORKFLOW)
        waiting, ended = [await client.start("json-doors", {}) for _ in range(2)]
        await ended.cancel()
        await ended.wait(30)
    return {"EXECUTION": waiting.id, "ENDED": ended.id}


def _request(method: Any, path: str, ids: dict[str, str], data: bytes) -> Any:
    """Return the valid request of a method with these bytes as the payload at a path."""
    text = orjson.dumps(REQUESTS[method.name]).decode()
    for word, execution_id in ids.items():
        text = text.replace(f'"{word}"', f'"{execution_id}"')
    request = json_format.Parse(text, message_factory.GetMessageClass(method.input_type)())
    place: Any = request
    *names, last = path.split(".")
    for name in names:
        value = getattr(place, name)
        place = value.add() if hasattr(value, "add") else value
        if hasattr(place, "name") and not place.name:
            place.name = "go"
    field = getattr(place, last)
    if hasattr(field, "data"):
        field.data = data
    else:
        field["wait"].data = data
    return request


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    ("name", "path"), [each for each in DOORS if each[0] in REQUESTS], ids=lambda each: each
)
async def test_what_is_not_json_is_refused_at_the_door(
    suite: Suite, executions: dict[str, str], name: str, path: str, bad: str
) -> None:
    """INVALID_ARGUMENT, and nothing is stored."""
    method = DOORS[name, path]
    request = _request(method, path.removesuffix(".value"), executions, BAD[bad])
    call = suite.channel.unary_unary(
        f"/{method.containing_service.full_name}/{name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    with pytest.raises(Invalid) as refused:
        await call(request)
    assert refused.value.reason in ("JSON_INVALID", "INVALID_UTF8", "NESTING_TOO_DEEP")
