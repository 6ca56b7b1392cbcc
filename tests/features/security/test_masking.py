"""Members that a schema marks as sensitive are masked at every door of a closed suite."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.api.event.v1 import event_service_pb2, subscription_service_pb2
from flowmesh.api.event.v1.event_service_pb2_grpc import EventServiceStub
from flowmesh.api.event.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from flowmesh.api.execution.v1 import execution_service_pb2
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.api.history.v1.history_service_pb2_grpc import HistoryServiceStub
from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import until
from flowmesh.testing.world import World
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.natives import http_task, workflow

NAMESPACE = "masked"
HEADERS = {"flowmesh_namespace": NAMESPACE}
GIVEN, RETURNED, PIN = "canary-given-7c1e", "canary-returned-52ab", "canary-pin-93d0"
CANARIES = (GIVEN, RETURNED, PIN)
WITHIN_S = 20
SENSITIVE: Json = {"type": "string", "x-sensitive": True}


def schema(**members: Json) -> Json:
    return {"type": "object", "properties": members}


@dataclass(frozen=True)
class Masked:
    """A closed suite with an ended execution that has sensitive values."""

    closed: Closed
    viewer: Caller
    revealer: Caller
    execution: str
    folder: Path
    world: World


@pytest.fixture(scope="module")
async def masked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Masked]:
    folder: Path = tmp_path_factory.mktemp("masked")
    async with World() as world, closed_suite(folder) as closed:
        project = await closed.project(NAMESPACE)
        viewer = await closed.key(project.id, "viewer")
        revealer = await closed.key(project.id, "viewer", permissions=["values.reveal"])
        admin = await closed.key(project.id, "admin")
        world.answers("pay", json={"token": RETURNED, "paid": True})
        world.answers("told")
        await _subscribe(admin, world)
        task = http_task("pay", world.url("pay"), outputSchema=schema(token=SENSITIVE))
        flow = workflow(
            "pays",
            {"id": "pay", "taskRef": "pay", "input": {"card": "{{input.card}}"}},
            inputSchema=schema(
                card=schema(number=SENSITIVE, pin={"type": "string", "writeOnly": True}),
                user={"type": "string"},
            ),
            output={"token": "{{tasks.pay.output.token}}", "user": "{{input.user}}"},
            outputSchema=schema(token=SENSITIVE),
            searchAttributes={
                "user": {"type": "TEXT", "from": "{{input.user}}"},
                "number": {"type": "TEXT", "from": "{{input.card.number}}"},
            },
        )
        for each in (task, flow):
            status, body = await admin.rest("POST", "/api/v1/workflows", each, **HEADERS)
            assert status == 201, body
        given = {"card": {"number": GIVEN, "pin": PIN}, "user": "ada"}
        status, body = await closed.owner.rest(
            "POST", "/api/v1/workflows/pays/execute", {"input": given}, **HEADERS
        )
        assert status == 200, body
        assert json.loads(world.calls("pay")[0].body)["card"] == given["card"]
        yield Masked(closed, viewer, revealer, body["executionId"], folder, world)


async def _subscribe(admin: Caller, world: World) -> None:
    subscription = subscription_service_pb2.Subscription(
        subscription="all", types=["flowmesh.task.completed"]
    )
    subscription.webhook.url = world.url("told")
    await SubscriptionServiceStub(admin.channel).PutSubscription(
        subscription_service_pb2.PutSubscriptionRequest(
            namespace=NAMESPACE, subscription=subscription
        )
    )


def canaries_in(text: str) -> list[str]:
    return [each for each in CANARIES if each in text]


async def rest_texts(caller: Caller, execution: str) -> dict[str, str]:
    """Return the answers of all routes that read an execution or list them, by their path."""
    _, document = await caller.rest("GET", "/openapi.json")
    known = {"executionId": execution, "id": execution, "name": "pays", "workflowId": "pays"}
    known |= {"node": "pay", "nodeId": "pay", "stepId": "pay", "otherId": execution}
    known |= {"otherExecutionId": execution, "stream": f"execution%2F{execution}"}
    texts = {}
    headers = {"authorization": f"Bearer {caller.credential}", "flowmesh-namespace": NAMESPACE}
    async with aiohttp.ClientSession(headers=headers) as session:
        for path, methods in document["paths"].items():
            names = re.findall(r"{(\w+)}", path)
            if "get" not in methods or not set(names) <= known.keys():
                continue
            place = re.sub(r"{(\w+)}", lambda found: known[found[1]], path)
            texts[path] = await _text(session, f"{caller.suite.http_url}{place}")
    return texts


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    """Return what a route answers, of an endless one what it sends at once."""
    found = b""
    try:
        async with asyncio.timeout(3), session.get(url) as answer:
            async for part in answer.content.iter_any():
                found += part
    except TimeoutError:
        pass
    return found.decode("utf-8", "replace")


async def grpc_texts(caller: Caller, execution: str) -> dict[str, str]:
    named: dict[str, Any] = {"namespace": NAMESPACE, "execution_id": execution}
    executions = ExecutionServiceStub(caller.channel)
    events = EventServiceStub(caller.channel).WatchExecution(
        event_service_pb2.WatchExecutionRequest(**named)
    )
    listed = execution_service_pb2.ListExecutionsRequest(namespace=NAMESPACE)
    return {
        "get": str(
            await executions.GetExecution(execution_service_pb2.GetExecutionRequest(**named))
        ),
        "wait": str(
            await executions.WaitExecution(execution_service_pb2.WaitExecutionRequest(**named))
        ),
        "history": str(
            await HistoryServiceStub(caller.channel).ListHistoryEvents(
                history_service_pb2.ListHistoryEventsRequest(**named)
            )
        ),
        "list": str(await executions.ListExecutions(listed)),
        "events": "".join([str(each) async for each in events]),
    }


@pytest.mark.long
@pytest.mark.feature("S5-01")
async def test_no_door_shows_a_sensitive_member_to_a_viewer(masked: Masked) -> None:
    """REST routes that read executions, by the OpenAPI document, and gRPC methods."""
    texts = await rest_texts(masked.viewer, masked.execution)
    texts |= await grpc_texts(masked.viewer, masked.execution)
    assert {path: found for path, text in texts.items() if (found := canaries_in(text))} == {}
    assert "***" in texts["/api/v1/executions/{executionId}"]
    assert len([path for path in texts if masked.execution in texts[path]]) > 10


@pytest.mark.feature("S5-01")
async def test_sockets_and_hubs_mask_as_well(masked: Masked) -> None:
    """WebSocket of an execution, and SignalR's hub."""
    execution, base = masked.execution, masked.closed.suite.http_url
    headers = {"authorization": f"Bearer {masked.viewer.credential}"}
    headers["flowmesh-namespace"] = NAMESPACE
    async with aiohttp.ClientSession(headers=headers) as session:
        socket = await session.ws_connect(f"{base}/api/v1/executions/{execution}/events/ws")
        text = await _received(socket)
        hub = await session.ws_connect(f"{base}/hubs/executions")
        for record in (
            {"protocol": "json", "version": 1},
            {"type": 1, "target": "Subscribe", "arguments": [execution], "invocationId": "1"},
        ):
            await hub.send_str(json.dumps(record) + "\x1e")
        text += await _received(hub)
    assert text.count('"type":"TaskCompleted"') == 2
    assert canaries_in(text) == []


async def _received(socket: aiohttp.ClientWebSocketResponse) -> str:
    found = ""
    try:
        async with asyncio.timeout(WITHIN_S):
            while "WorkflowCompleted" not in found:
                found += str((await socket.receive()).data)
    finally:
        await socket.close()
    return found


@pytest.mark.feature("S5-02")
async def test_a_caller_with_the_permission_sees_values_and_is_recorded(masked: Masked) -> None:
    """One entry for each method and execution."""
    texts = await grpc_texts(masked.revealer, masked.execution)
    assert canaries_in(texts["get"]) == list(CANARIES)
    assert canaries_in(texts["events"]) == list(CANARIES)
    assert canaries_in(texts["list"]) == []

    async def entries() -> list[Json]:
        _, found = await masked.closed.owner.rest("GET", "/api/v1/audit?companyId=co_default")
        return [
            (each["method"], each["target"])
            for each in found["entries"]
            if each["outcome"] == "revealed" and each["actor"] == "viewer key"
        ]

    wanted = ("ExecutionService.GetExecution", masked.execution)

    async def recorded() -> bool:
        return wanted in await entries()

    await until("the reveal is recorded", recorded, within_s=WITHIN_S)
    assert (await entries()).count(wanted) == 1


@pytest.mark.feature("S5-01")
async def test_deliveries_search_and_logs_hold_no_sensitive_member(masked: Masked) -> None:
    """Callbacks and subscriptions go to receivers without a permission; logs are for operators."""
    calls = await masked.world.called("told", 1)
    assert "***" in calls[0].text
    assert canaries_in("".join(each.text for each in calls)) == []
    log = "".join(
        each.read_text("utf-8", "replace")
        for each in masked.folder.rglob("*.log")
        if each.is_file()
    )
    assert canaries_in(log) == []
    status, found = await masked.closed.owner.rest(
        "GET", f"/api/v1/executions?filter=attr.number%20%3D%20%22{GIVEN}%22", **HEADERS
    )
    assert status != 200 or found["executions"] == []


@pytest.mark.feature("S5-01")
async def test_a_dry_run_masks(masked: Masked) -> None:
    """Wherever the value stands in the report."""
    given = {"card": {"number": GIVEN, "pin": PIN}, "user": "ada"}
    body = {"input": given, "mocks": {"pay": {"output": {"token": RETURNED}}}}
    status, report = await masked.viewer.rest(
        "POST", "/api/v1/workflows/pays:dryRun", body, **HEADERS
    )
    assert status == 200, report
    assert canaries_in(json.dumps(report)) == []


@pytest.mark.feature("S5-01")
async def test_failures_do_not_repeat_sensitive_values(masked: Masked) -> None:
    """Neither the message nor the details, for nobody: the value is not stored with them."""
    masked.world.answers("refuses", status=422, text=f"no account of {GIVEN}")
    owner = masked.closed.owner
    flow = workflow(
        "refused",
        {"id": "pay", "taskRef": "refuses", "input": {"card": "{{input.card}}"}},
        {"id": "host", "taskRef": "host", "input": {"card": "{{input.card}}"}},
        inputSchema=schema(card=SENSITIVE),
    )
    for each in (
        http_task("refuses", masked.world.url("refuses")),
        http_task("host", "http://{{input.card}}.invalid/"),
        flow,
    ):
        status, body = await owner.rest("POST", "/api/v1/workflows", each, **HEADERS)
        assert status == 201, body
    path = "/api/v1/workflows/refused/execute"
    _, ended = await owner.rest("POST", path, {"input": {"card": GIVEN}}, **HEADERS)
    path = f"/api/v1/executions/{ended['executionId']}/history"
    _, history = await owner.rest("GET", path, **HEADERS)
    failures = [each for each in history["events"] if "error" in json.dumps(each)]
    assert failures, history
    assert "***" in json.dumps(failures)
    assert canaries_in(json.dumps(failures)) == []
