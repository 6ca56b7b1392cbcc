"""Definitions up to their limit pass between processes; beyond it the right reason comes back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as pb_grpc
from flowmesh.embedded import EmbeddedServers
from flowmesh.errors import TooLarge
from flowmesh.rpc import RemoteTarget, channel_to
from flowmesh.runtime import Process, Settings
from flowmesh.suite.services import load

BYTES_MAX = 8 * 1024 * 1024
LARGE_BYTES = int(7.9 * 1024 * 1024)
STEPS = 2_000
CALL_TIMEOUT_S = 30.0


def definition(name: str, size: int) -> bytes:
    """A step workflow of so many bytes; the last ones are spaces."""
    body = "x" * (LARGE_BYTES // STEPS - 200)
    steps = [
        {
            "id": f"s{number}",
            "name": "call",
            "action": "http.request",
            "params": {"url": "http://127.0.0.1/", "method": "POST", "body": {"text": body}},
        }
        for number in range(STEPS)
    ]
    text = json.dumps({"id": name, "name": name, "steps": steps}).encode()
    assert size - 64 * 1024 * 8 < len(text) <= size
    return text.ljust(size)


@asynccontextmanager
async def running(settings: Settings, *names: str) -> AsyncIterator[Process]:
    """A process with these services, ready; drained at the end."""
    process = Process(settings, load(names))
    ready = asyncio.get_running_loop().create_future()

    async def note(_process: Process) -> None:
        ready.set_result(None)

    task = asyncio.ensure_future(process.run(note))
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield process
    finally:
        process.stop()
        await task


@pytest.fixture
async def processes(
    servers: EmbeddedServers, database: str, tmp_path: Path
) -> AsyncIterator[tuple[Process, Process]]:
    """The gateway and the definition service, each a process that knows the other by registry."""
    settings = Settings(
        postgres=database,
        nats=servers.nats,
        redis=servers.redis,
        grpc_port=0,
        http_port=0,
        data_dir=str(tmp_path),
        bus_prefix="large",
    )
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(running(settings, "registry", "definition"))
        settings = settings.model_copy(update={"registry": behind.address})
        gateway = await stack.enter_async_context(running(settings, "gateway"))
        yield gateway, behind


async def register(process: Process, source: bytes) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{process.http_port}/workflows"
    headers = {"content-type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=source, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_large_definition_passes_between_processes(
    processes: tuple[Process, Process],
) -> None:
    """7.9 MiB over REST, through the gateway to the definition service and back."""
    gateway, _ = processes
    status, answer = await register(gateway, definition("by-rest", LARGE_BYTES))
    assert status in (200, 201), answer
    url = f"http://127.0.0.1:{gateway.http_port}/workflows/by-rest"
    async with aiohttp.ClientSession() as session, session.get(url) as found:
        assert len((await found.json())["steps"]) == STEPS


async def test_a_large_definition_comes_over_grpc(processes: tuple[Process, Process]) -> None:
    """A gRPC client registers the same, and gets it back whole."""
    _, behind = processes
    target = RemoteTarget(behind.address)
    stub: Any = pb_grpc.DefinitionServiceStub(channel_to(target))
    source = definition("by-grpc", BYTES_MAX)
    request = pb.RegisterWorkflowRequest(source=source, content_type="application/json")
    answer = await stub.RegisterWorkflow(request, timeout=CALL_TIMEOUT_S)
    assert (answer.workflow_id, answer.created) == ("by-grpc", True)
    found = await stub.GetWorkflow(
        pb.GetWorkflowRequest(workflow_id="by-grpc"), timeout=CALL_TIMEOUT_S
    )
    assert len(json.loads(found.workflow.definition)["steps"]) == STEPS
    assert len(found.workflow.definition) > 7 * 1024 * 1024
    await target.close()


async def test_what_is_over_the_limit_is_refused_by_name(
    processes: tuple[Process, Process],
) -> None:
    """One byte more is told as what it is, over REST and over gRPC."""
    gateway, behind = processes
    source = definition("over", BYTES_MAX + 1)
    status, answer = await register(gateway, source)
    assert (status, answer["error"]["reason"]) == (413, "BODY_TOO_LARGE")
    target = RemoteTarget(behind.address)
    stub: Any = pb_grpc.DefinitionServiceStub(channel_to(target))
    request = pb.RegisterWorkflowRequest(source=source, content_type="application/json")
    with pytest.raises(TooLarge) as refused:
        await stub.RegisterWorkflow(request, timeout=CALL_TIMEOUT_S)
    assert refused.value.reason == "DEFINITION_TOO_LARGE"
    request.source = source * 2
    with pytest.raises(TooLarge) as refused:
        await stub.RegisterWorkflow(request, timeout=CALL_TIMEOUT_S)
    assert refused.value.reason == "PAYLOAD_TOO_LARGE"
    await target.close()
