"""Hostile gRPC on every method of every service: documented errors, and work goes on."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import definition_service_pb2
from flowmesh.api.execution.v1 import execution_service_pb2
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import store
from tests.features.hostile import METHODS, documented, send
from tests.features.steps import http, step, workflow

DEPTH_MAX = 4
NOBODY = "no-such-thing"
KNOWN = "known"
COUNTS = """
select (select count(*) from orchestrator.executions), (select count(*) from definition.workflows),
       (select count(*) from definition.tasks)"""


async def test_every_service_is_attacked(wire: grpc.aio.Channel) -> None:
    """What reflection lists of ours is what the tests below go through."""
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(cast("Any", wire))
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [answer async for answer in stub.ServerReflectionInfo(iter([asked]))]
    listed = {each.name for each in answers[0].list_services_response.service}
    assert {name for name in listed if name.startswith("flowmesh.")} == {
        path.split("/")[1] for path in METHODS
    }


def garbage(method: MethodDescriptor) -> Iterator[bytes]:
    """Bytes that no parser takes for the method's request."""
    request = message_factory.GetMessageClass(method.input_type)
    chance = random.Random(method.full_name)
    candidates = [
        b"\xff" * 12,
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a\x05ab",
        b"\x07",
        b"\x0c",
        b"\x0b",
    ]
    candidates += [chance.randbytes(size) for size in (1, 2, 7, 40, 1_000, 100_000)]
    for data in candidates:
        try:
            request.FromString(data)
        except DecodeError:
            yield data


@pytest.mark.long
@pytest.mark.parametrize("path", sorted(METHODS))
async def test_malformed_bytes_are_refused(wire: grpc.aio.Channel, path: str) -> None:
    """INVALID_ARGUMENT and MESSAGE_MALFORMED, whatever the bytes."""
    sent = list(garbage(METHODS[path]))
    assert len(sent) >= 6
    outcomes = await asyncio.gather(*(send(wire, path, data) for data in sent))
    assert {repr(each) for each in outcomes} == {"INVALID_ARGUMENT/MESSAGE_MALFORMED"}


HOSTILE = {
    "nul": ("a\0b", -(2**31), b"\0\xff", 99),
    "long": ("x" * 100_000, 2**31 - 1, b"[" * 100_000, -1),
    "spaces": ("a b/../c", 1, b"{", 1),
    "unknown": (NOBODY, 0, b"{}", 0),
}


def filled(message: Message, values: tuple[str, int, bytes, int], depth: int = 0) -> Message:
    """A message with such a value in every field, nested ones too."""
    text, number, data, choice = values
    by_type: dict[int, Any] = {
        FieldDescriptor.CPPTYPE_STRING: text,
        FieldDescriptor.CPPTYPE_ENUM: choice,
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_DOUBLE: float("nan"),
    }
    for field in message.DESCRIPTOR.fields:
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            assert field.message_type is not None
            if depth < DEPTH_MAX and not field.message_type.GetOptions().map_entry:
                inner = getattr(message, field.name)
                filled(inner.add() if field.is_repeated else inner, values, depth + 1)
            continue
        value = by_type.get(field.cpp_type, number)
        if field.cpp_type == FieldDescriptor.CPPTYPE_INT64:
            value = number << 32
        if field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64):
            value = abs(number)
        if field.type == FieldDescriptor.TYPE_BYTES:
            value = data
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    return message


@pytest.mark.long
@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_values_get_documented_errors(
    victim: Suite, wire: grpc.aio.Channel, kind: str
) -> None:
    """Every field of every request at once; never INTERNAL or UNKNOWN, and nothing is stored."""
    async with store.database(victim) as database:
        before = await store.one_row(database, COUNTS)
        requests = {
            path: filled(message_factory.GetMessageClass(method.input_type)(), HOSTILE[kind])
            for path, method in METHODS.items()
        }
        outcomes = dict(
            zip(
                requests,
                await asyncio.gather(
                    *(send(wire, p, each.SerializeToString()) for p, each in requests.items())
                ),
                strict=True,
            )
        )
        after = await store.one_row(database, COUNTS)
    assert {p: each for p, each in outcomes.items() if not documented(each)} == {}
    assert tuple(before) == tuple(after)


def leaves(message: Message, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of all fields of a filled message that are no messages themselves."""
    for field, value in message.ListFields():
        if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            yield (*at, field.name)
        elif len(at) < DEPTH_MAX:
            yield from leaves(value[0] if field.is_repeated else value, (*at, field.name))


def with_field(base: Message, other: Message, path: tuple[str, ...]) -> bytes:
    """The base with one field as it is in the other."""
    message = type(base)()
    message.CopyFrom(base)
    mine: Any = message
    for name in path[:-1]:
        inner, outer = getattr(mine, name), getattr(other, name)
        mine, other = (inner[0], outer[0]) if hasattr(inner, "add") else (inner, outer)
    name = path[-1]
    if mine.DESCRIPTOR.fields_by_name[name].is_repeated:
        mine.ClearField(name)
        getattr(mine, name).extend(getattr(other, name))
    else:
        setattr(mine, name, getattr(other, name))
    return message.SerializeToString()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["nul", "long", "spaces"])
async def test_a_hostile_field_gets_a_documented_error(
    victim: Suite, wire: grpc.aio.Channel, kind: str
) -> None:
    """Each field by itself in a request that is otherwise fine and about things that are there."""
    wait = step("wait", "delay", {"duration": 600_000})
    await victim.define({"id": KNOWN, "name": KNOWN, "steps": [wait]})
    requests = {}
    for path, method in METHODS.items():
        make = message_factory.GetMessageClass(method.input_type)
        hostile = filled(make(), HOSTILE[kind])
        base: Any = filled(make(), (KNOWN, 1, b"{}", 1))
        if "execution_id" in method.input_type.fields_by_name:
            base.execution_id = await victim.begin(KNOWN)
        for at in leaves(base):
            requests[path, ".".join(at)] = with_field(base, hostile, at)
    assert len(requests) > 200
    outcomes = await asyncio.gather(*(send(wire, p, data) for (p, _), data in requests.items()))
    wrong = {
        f"{path} {field}": outcome
        for (path, field), outcome in zip(requests, outcomes, strict=True)
        if not documented(outcome)
    }
    assert wrong == {}


NOT_FOUND = {
    "GetExecution": "EXECUTION_NOT_FOUND",
    "WaitExecution": "EXECUTION_NOT_FOUND",
    "CancelExecution": "EXECUTION_NOT_FOUND",
    "TerminateExecution": "EXECUTION_NOT_FOUND",
    "SignalExecution": "EXECUTION_NOT_FOUND",
    "ListHistoryEvents": "EXECUTION_NOT_FOUND",
    "WatchExecution": "EXECUTION_NOT_FOUND",
    "GetStateAt": "EXECUTION_NOT_FOUND",
    "CompareExecutions": "EXECUTION_NOT_FOUND",
    "WatchVariable": "EXECUTION_NOT_FOUND",
    "AnalyzeTrace": "EXECUTION_NOT_FOUND",
    "ExplainExecution": "EXECUTION_NOT_FOUND",
    "ExplainWorkflow": "WORKFLOW_NOT_FOUND",
    "RankBottlenecks": "WORKFLOW_NOT_FOUND",
    "StartExecution": "WORKFLOW_NOT_FOUND",
    "GetWorkflow": "WORKFLOW_NOT_FOUND",
    "ListWorkflowVersions": "WORKFLOW_NOT_FOUND",
    "DeleteWorkflow": "WORKFLOW_NOT_FOUND",
    "AnalyzeWorkflow": "WORKFLOW_NOT_FOUND",
    "DefinitionService/GetPlan": "WORKFLOW_NOT_FOUND",
    "GetTask": "TASK_NOT_FOUND",
    "DeleteTask": "TASK_NOT_FOUND",
    "ListTaskUsages": "TASK_NOT_FOUND",
    "ListTaskVersions": "TASK_NOT_FOUND",
    "SetLabel": "WORKFLOW_NOT_FOUND",
    "RollbackLabel": "WORKFLOW_NOT_FOUND",
    "DeleteLabel": "WORKFLOW_NOT_FOUND",
    "ListLabels": "WORKFLOW_NOT_FOUND",
    "ListChanges": "WORKFLOW_NOT_FOUND",
    "DiffWorkflow": "WORKFLOW_NOT_FOUND",
    "CheckCompatibility": "WORKFLOW_NOT_FOUND",
    "GetTemplate": "TEMPLATE_NOT_FOUND",
    "DeleteTemplate": "TEMPLATE_NOT_FOUND",
    "InstantiateTemplate": "TEMPLATE_NOT_FOUND",
    "GetInstance": "INSTANCE_NOT_FOUND",
    "Heartbeat": "INSTANCE_NOT_FOUND",
    "GetPayload": "PAYLOAD_NOT_FOUND",
}


@pytest.mark.parametrize("name", NOT_FOUND)
async def test_unknown_ids_are_not_found(wire: grpc.aio.Channel, name: str) -> None:
    """Every call about one thing says that it is not there."""
    (path,) = [each for each in METHODS if each.endswith((f"/{name}", f".{name}"))]
    request: Any = message_factory.GetMessageClass(METHODS[path].input_type)()
    for field in ("workflow_id", "execution_id", "name", "id", "label", "target"):
        if field in METHODS[path].input_type.fields_by_name:
            setattr(request, field, NOBODY)
    if name == "GetPayload":
        request.digest = "0" * 64
    if name == "SetLabel":
        request.version = "1"
    outcome = await send(wire, path, request.SerializeToString())
    assert (outcome.code, outcome.reason) == ("NOT_FOUND", NOT_FOUND[name])


async def test_messages_over_the_limit_are_refused(victim: Suite, wire: grpc.aio.Channel) -> None:
    """Definitions above 8 MiB and values above 256 KiB with a reason; what is larger, by gRPC."""
    register = "/flowmesh.api.definition.v1.DefinitionService/RegisterWorkflow"
    start = "/flowmesh.api.execution.v1.ExecutionService/StartExecution"

    def source(size: int) -> bytes:
        return definition_service_pb2.RegisterWorkflowRequest(
            source=b" " * size, content_type="application/json"
        ).SerializeToString()

    workflow_id = await victim.define(workflow({"id": "a"}))
    inline = execution_service_pb2.StartExecutionRequest(
        workflow_id=workflow_id, input=payload_pb2.Payload(data=b'"' + b"x" * 300_000 + b'"')
    )
    assert (await send(wire, register, source(8 * 2**20 + 1))).reason == "DEFINITION_TOO_LARGE"
    assert (await send(wire, start, inline.SerializeToString())).reason == "PAYLOAD_TOO_LARGE"
    assert (await send(wire, register, source(16 * 2**20))).code == "RESOURCE_EXHAUSTED"


async def test_nested_bytes_are_refused(victim: Suite, wire: grpc.aio.Channel) -> None:
    """100,000 levels as a definition, as an input and as a signal."""
    deep = b"[" * 100_000 + b"]" * 100_000
    register = definition_service_pb2.RegisterWorkflowRequest(
        source=deep, content_type="application/json"
    )
    path = "/flowmesh.api.definition.v1.DefinitionService/RegisterWorkflow"
    assert (await send(wire, path, register.SerializeToString())).reason == "NESTING_TOO_DEEP"
    start = execution_service_pb2.StartExecutionRequest(
        workflow_id=await victim.define(workflow({"id": "a"})),
        input=payload_pb2.Payload(data=deep),
    )
    path = "/flowmesh.api.execution.v1.ExecutionService/StartExecution"
    outcome = await send(wire, path, start.SerializeToString())
    assert outcome.code == "INVALID_ARGUMENT"
    assert outcome.reason in ("INPUT_INVALID", "NESTING_TOO_DEEP")


async def test_work_continues_after_all_attacks(victim: Suite) -> None:
    """The same process answers, runs workflows and has logged no fault of its own."""
    async with World() as world:
        execution = await victim.run(workflow(http(world, "a"), http(world, "b", "a")))
    assert execution["status"] == "completed"
    assert (await victim.get("/ready")).status == 200
    log = victim.log.read_text()
    assert "Traceback" not in log
    assert "call_failed" not in log
