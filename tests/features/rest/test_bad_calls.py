"""Calls that are wrong whatever they ask for, on every method of every service."""

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc.aio
import psutil
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor

from flowmesh.api.event.v1 import subscription_service_pb2
from flowmesh.api.event.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from flowmesh.api.eventstore.v1 import projection_service_pb2
from flowmesh.api.eventstore.v1.projection_service_pb2_grpc import ProjectionServiceStub
from flowmesh.testing.polling import done
from flowmesh.testing.suite import Suite, raw_channel
from tests.features.hostile import ANSWERED_S, METHODS, Outcome, documented, kind_of, send
from tests.features.natives import resource
from tests.features.steps import step, workflow

pytestmark = pytest.mark.long

MIB = 2**20
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
# What refusing so many messages of about 8 MiB one after the other may add to the process.
GROWTH_MIB_MAX = 150
LARGE_CALLS = 25
# Of some 4 MiB, on one connection: all at once would take longer than one may wait.
LARGE_AT_ONCE = 16
# After floods of smaller ones: so much later at the latest.
GIVEN_BACK_S = 60.0
STREAMS_LEFT = 100
FAR_S = 10.0**9


async def send_all(
    channel: grpc.aio.Channel, data: bytes, at_once: int = len(METHODS), **options: Any
) -> dict[str, Outcome]:
    """Send the same bytes to every method, `at_once` calls at a time; return the outcomes."""
    places = asyncio.Semaphore(at_once)

    async def send_to(path: str) -> Outcome:
        async with places:
            return await send(channel, path, data, **options)

    outcomes = await asyncio.gather(*map(send_to, METHODS))
    return dict(zip(METHODS, outcomes, strict=True))


def undocumented(outcomes: dict[str, Outcome]) -> dict[str, Outcome]:
    return {path: outcome for path, outcome in outcomes.items() if not documented(outcome)}


def large(size: int) -> bytes:
    """A message of so many bytes: one field that no request has."""
    length = size - 6
    low = bytes(length >> shift & 127 | 128 for shift in (0, 7, 14))
    return b"\xfa\x7f" + low + bytes([length >> 21]) + bytes(length)


async def test_empty_requests_are_answered(wire: grpc.aio.Channel) -> None:
    """Served or refused with a documented reason, also with all the time in the world."""
    assert undocumented(await send_all(wire, b"")) == {}
    assert undocumented(await send_all(wire, b"", timeout=FAR_S)) == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_calls_of_the_wrong_kind_are_answered(wire: grpc.aio.Channel, kind: str) -> None:
    """A stream where there is one message, one message where there is a stream."""
    assert undocumented(await send_all(wire, b"", kind=kind)) == {}


@pytest.mark.parametrize(
    "path",
    [
        "/flowmesh.api.execution.v1.ExecutionService/Nothing",
        "/flowmesh.api.execution.v1.ExecutionService/",
        "/no.such.Service/Get",
        "/../../etc/passwd",
        "/",
        f"/{'x' * 1_000}/y",
    ],
)
async def test_unknown_methods_are_refused(wire: grpc.aio.Channel, path: str) -> None:
    """UNIMPLEMENTED with its reason, however it is called."""
    # Not both ways: this client says INTERNAL of itself when it still writes as the answer comes.
    for kind in KINDS[:3]:
        outcome = await send(wire, path, b"", kind=kind)
        assert (outcome.code, outcome.reason) == ("UNIMPLEMENTED", "UNIMPLEMENTED")


def choices(message: Descriptor, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of all enum fields of a request; no request of ours holds itself."""
    for field in message.fields:
        if field.enum_type is not None:
            yield (*at, field.name)
        elif field.message_type is not None:
            yield from choices(field.message_type, (*at, field.name))


# What a stream brings is judged one by one, and does not end it.
CHOICES = [
    (path, at)
    for path, method in METHODS.items()
    if not method.client_streaming
    for at in choices(method.input_type)
]


@pytest.mark.parametrize("value", [99, -1, 2**31 - 1])
@pytest.mark.parametrize(("path", "at"), CHOICES)
async def test_unknown_choices_are_refused(
    wire: grpc.aio.Channel, path: str, at: tuple[str, ...], value: int
) -> None:
    """Each enum field of each request: ENUM_UNKNOWN, nothing is guessed."""
    request: Any = message_factory.GetMessageClass(METHODS[path].input_type)()
    holder = request
    for name in at[:-1]:
        repeated = holder.DESCRIPTOR.fields_by_name[name].is_repeated
        holder = getattr(holder, name).add() if repeated else getattr(holder, name)
    if holder.DESCRIPTOR.fields_by_name[at[-1]].is_repeated:
        getattr(holder, at[-1]).append(value)
    else:
        setattr(holder, at[-1], value)
    outcome = await send(wire, path, request.SerializeToString())
    assert (outcome.code, outcome.reason) == ("INVALID_ARGUMENT", "ENUM_UNKNOWN")


# All but those of a trigger, which must be there first.
PAGED = [
    path
    for path, each in METHODS.items()
    if {"page_token", "page_size"} <= set(each.input_type.fields_by_name.keys())
    and "trigger_id" not in each.input_type.fields_by_name
]


# The tenant that every installation has.
TENANT = {
    "company_id": "co_default",
    "organization_id": "org_default",
    "project_id": "prj_default",
}


async def known(victim: Suite, path: str) -> str:
    """The name of a task or, where changes are listed, of a workflow."""
    if path.endswith("/ListChanges"):
        return await victim.define(workflow({"id": "a"}))
    if not path.startswith("/flowmesh.api.definition."):
        return ""
    task = resource("WorkflowTask", "paged", type="noop")
    assert (await victim.post("/api/v1/tasks", task)).status in (200, 201)
    return "paged"


async def named(wire: grpc.aio.Channel, path: str) -> dict[str, str]:
    """The name of a projection or a subscription, of which pages are read."""
    if path.endswith("/ReadProjection"):
        projection = projection_service_pb2.Projection(projection="paged")
        await ProjectionServiceStub(wire).PutProjection(
            projection_service_pb2.PutProjectionRequest(projection=projection)
        )
        return {"projection": "paged"}
    if path.endswith("/ListNotifications"):
        subscription = subscription_service_pb2.Subscription(subscription="paged", types=["paged"])
        subscription.queue.routing_key = "paged"
        await SubscriptionServiceStub(wire).PutSubscription(
            subscription_service_pb2.PutSubscriptionRequest(subscription=subscription)
        )
        return {"subscription": "paged"}
    return {}


@pytest.mark.parametrize("path", PAGED)
async def test_page_tokens_that_were_not_issued_are_refused(
    victim: Suite, wire: grpc.aio.Channel, path: str
) -> None:
    """PAGE_TOKEN_INVALID for any other token; the largest page is a page."""
    make = message_factory.GetMessageClass(METHODS[path].input_type)
    about: dict[str, Any] = {
        name: value for name, value in TENANT.items() if name in make.DESCRIPTOR.fields_by_name
    }
    if "workflow_id" in make.DESCRIPTOR.fields_by_name:
        about["workflow_id"] = await victim.define(workflow({"id": "a"}))
    elif "name" in make.DESCRIPTOR.fields_by_name:
        about["name"] = await known(victim, path)
    about |= await named(wire, path)
    for token in ("x", "\0", "../", "AAAA", "AA==", "é" * 50, "x" * 100_000):
        request = make(page_token=token, **about)
        outcome = await send(wire, path, request.SerializeToString())
        assert (outcome.code, outcome.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"), token
    largest = make(page_size=2**32 - 1, **about)
    assert (await send(wire, path, largest.SerializeToString())).code == "OK"


@pytest.mark.parametrize(
    "metadata", [(("k", "v" * 20_480),), tuple((f"k{number}", "v") for number in range(1_000))]
)
async def test_large_metadata_is_refused(victim: Suite, metadata: Any) -> None:
    """By gRPC itself; calls after it are served."""
    async with raw_channel(victim) as channel:
        outcomes = await send_all(channel, b"", metadata=metadata, open_s=ANSWERED_S)
    for path, outcome in outcomes.items():
        # A client whose stream is reset while it still writes says INTERNAL of its own accord.
        allowed = {"RESOURCE_EXHAUSTED"} | (
            {"INTERNAL"} if METHODS[path].client_streaming else set()
        )
        assert outcome.code in allowed, path
    async with raw_channel(victim) as channel:
        assert undocumented(await send_all(channel, b"")) == {}


async def test_large_messages_are_answered_and_released(
    victim: Suite, wire: grpc.aio.Channel
) -> None:
    """Up to 9 MiB as any other; above, gRPC refuses them. The memory comes back."""
    process = psutil.Process(victim.pid)
    before = process.memory_info().rss
    for size in (int(3.9 * MIB), int(4.1 * MIB)):
        assert undocumented(await send_all(wire, large(size), LARGE_AT_ONCE)) == {}
    over = await send_all(wire, large(int(9.5 * MIB)), LARGE_AT_ONCE, open_s=ANSWERED_S)
    assert {outcome.code for outcome in over.values()} == {"RESOURCE_EXHAUSTED"}
    path = "/flowmesh.api.execution.v1.ExecutionService/GetExecution"
    for _ in range(LARGE_CALLS):
        outcome = await send(wire, path, large(int(8.9 * MIB)))
        assert outcome.reason == "EXECUTION_NOT_FOUND"

    def is_given_back() -> bool:
        return process.memory_info().rss - before < GROWTH_MIB_MAX * MIB

    await done("given back", is_given_back, within_s=GIVEN_BACK_S)


async def test_large_inputs_refused_over_rest_are_released(victim: Suite) -> None:
    """The error of a start that many may wait for does not keep the body of one."""
    process = psutil.Process(victim.pid)
    before = process.memory_info().rss
    body = {"workflowId": "no-such-workflow", "context": {"text": "x" * int(7.9 * MIB)}}
    for _ in range(LARGE_CALLS):
        assert (await victim.post("/executions/start", body)).status == 404
    assert process.memory_info().rss - before < GROWTH_MIB_MAX * MIB


async def test_streams_left_half_way_leave_nothing(victim: Suite, wire: grpc.aio.Channel) -> None:
    """A hundred of each, dropped at once or after a message; work goes on and no fault is told."""
    process = psutil.Process(victim.pid)
    before = process.num_fds()
    for path, method in METHODS.items():
        if kind_of(method) == "unary_unary":
            continue
        for number in range(STREAMS_LEFT):
            start = getattr(wire, kind_of(method))(path)
            call = start() if method.client_streaming else start(b"")
            if method.client_streaming and number % 2:
                await call.write(b"")
            call.cancel()
    wait = step("wait", "delay", {"duration": 1})
    assert (await victim.run(workflow(wait)))["status"] == "completed"
    assert process.num_fds() <= before + 10
    log = victim.log.read_text()
    assert "Traceback" not in log
    assert "never retrieved" not in log
