"""Checks of a colour before it gets traffic: requests, and workflows of the suite."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import orjson
import pytest
from aiohttp import web

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.embedded.ports import free_port
from flowmesh.errors import NotFound
from flowmesh.operator.objects import Objects
from flowmesh.operator.provisioning import checks
from flowmesh.operator.provisioning.checks import Checks
from tests.stubs import Stub
from tests.unit.operator.made import made

HOST = "127.0.0.1"
SMOKE = {"workflow": "smoke"}


def ended(status: str) -> pb.StartExecutionResponse:
    value = execution_pb2.ExecutionStatus.Value(f"EXECUTION_STATUS_{status}")
    execution = execution_pb2.Execution(status=value)
    return pb.StartExecutionResponse(execution_id="e1", execution=execution)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a colour that answers at /ok, answers 500 at /bad, and hangs at /slow."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/slow":
            await asyncio.Event().wait()
        return web.Response(status=200 if request.path == "/ok" else 500)

    app = web.Application()
    app.router.add_get("/{path}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    number = free_port()
    await web.TCPSite(runner, HOST, number).start()
    yield number
    await runner.cleanup()


async def problem(executions: Stub, port: int, *listed: dict[str, Any], host: str = HOST) -> str:
    app = made("App", "shop", {"port": port})
    calls = Checks(executions=cast("Any", executions), objects=Objects())
    service = {"spec": {"clusterIP": host}} if host else None
    return await calls.problem(app, "green", "r1", listed, service)


async def test_without_checks_a_colour_passes() -> None:
    """No address is needed."""
    assert await problem(Stub(), 1, host="") == ""


async def test_every_check_must_pass(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that fails is told, with what it answered."""
    monkeypatch.setattr(checks, "CHECK_TIMEOUT_S", 0.05)
    good, bad, slow = ({"http": {"path": f"/{name}"}} for name in ("ok", "bad", "slow"))
    url = f"http://{HOST}:{port}"
    stub = Stub(StartExecution=ended("COMPLETED"))
    assert await problem(stub, port, good, SMOKE, good) == ""
    assert await problem(stub, port, good, bad, slow) == f"check {url}/bad: status 500"
    assert await problem(stub, port, slow) == f"check {url}/slow: ReadTimeout"


async def test_a_colour_without_an_address_fails_its_check() -> None:
    """An address of IPv6 is one, too."""
    refused = await problem(Stub(), 1, {"http": {"path": "/ok"}}, host="::1")
    assert refused == "check http://[::1]:1/ok: ConnectError"
    assert "check http://:1/ok" in await problem(Stub(), 1, {"http": {"path": "/ok"}}, host="")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ended("COMPLETED"), ""),
        (ended("FAILED"), "check smoke: execution e1 has not completed"),
        (
            pb.StartExecutionResponse(execution_id="e1"),
            "check smoke: execution e1 is running",
        ),
        (NotFound("WORKFLOW_NOT_FOUND", "no smoke"), "check smoke: no smoke"),
    ],
    ids=["completed", "failed", "running", "missing"],
)
async def test_a_workflow_checks_a_colour(answer: Any, said: str) -> None:
    """Started once for each release, with the address of the colour."""
    stub = Stub(StartExecution=answer)
    assert await problem(stub, 8080, SMOKE, host="10.0.0.1") == said
    request = stub.last("StartExecution")
    assert (request.workflow_id, request.namespace) == ("smoke", "shop")
    assert request.request_id == "uid-shop-r1-smoke"
    assert orjson.loads(request.input.data) == {
        "app": "shop",
        "colour": "green",
        "release": "r1",
        "address": "http://10.0.0.1:8080",
    }
