"""Tools of MCP servers as tasks: found by capability, type-checked, and refused once changed.

The server is the official one, in this process.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import yaml
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Service, ServiceDiscovery, ServiceEndpoint, ServiceType
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, apply, execute, refusal, workflow


class Risk(BaseModel):
    score: float
    grade: str


def financial(*, changed: bool = False) -> MCPServer:
    """A server that assesses risks; the changed one wants more."""
    server = MCPServer("financial")

    def assess_risk(amount: float) -> Risk:
        """Assess the risk of an amount."""
        if amount < 0:
            raise ValueError("an amount is not negative")
        return Risk(score=amount / 1000, grade="high" if amount > 500 else "low")

    def assess_more(amount: float, currency: str) -> Risk:
        """Assess the risk of an amount in a currency."""
        return Risk(score=amount, grade=currency)

    server.tool(name="assess_risk")(assess_more if changed else assess_risk)
    return server


@asynccontextmanager
async def served(server: MCPServer, port: int = 0, **options: Any) -> AsyncIterator[int]:
    """Serve streamable HTTP; yield the port."""
    listening = socket.create_server(("127.0.0.1", port))
    app = server.streamable_http_app(**options)
    running = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    task = asyncio.create_task(running.serve([listening]))

    async def started() -> bool:
        return running.started

    await until("the server has started", started, within_s=20)
    try:
        yield listening.getsockname()[1]
    finally:
        running.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task
        listening.close()


def assessing(name: str, **arguments: Json) -> Json:
    """A workflow that uses the imported task."""
    node = {"id": "assess", "taskRef": "assess_risk", "input": arguments}
    schema = {"type": "object", "properties": {"amount": {"type": "number"}}}
    output = {"grade": "{{tasks.assess.output.grade}}"}
    return workflow(name, node, inputSchema=schema, output=output)


@pytest.mark.long
@pytest.mark.feature("S4-95")
async def test_a_registered_server_is_found_and_its_tools_are_steps(suite: Suite) -> None:
    """The snippet registers the server; its tool runs in a workflow with checked types."""
    async with served(financial()) as port:
        with ServiceDiscovery(suite.grpc_address) as discovery:
            service = Service(
                id="mcp-server-1",
                name="MCP Financial Server",
                type=ServiceType.MCP_SERVER,
                endpoint=ServiceEndpoint(port=port),
                capabilities=["financial-analysis", "risk-calculation"],
            )
            await asyncio.to_thread(discovery.register_service, service)
            written = await command(suite, "task", "import", "--capability", "risk-calculation")
            assert written.code == 0, written.err
            (task,) = yaml.safe_load_all(written.out)
            assert task["spec"]["mcp"]["capability"] == "risk-calculation"
            await applied(suite, task, assessing("assessed", amount="{{input.amount}}"))

            ran = await execute(suite, "assessed", {"amount": 900})
            assert ran.json["output"] == {"grade": "high"}, ran.text
            wrong = await apply(suite, assessing("mistyped", amount="much"))
            assert refusal(wrong)[0] == 400
            failed = await execute(suite, "assessed", {"amount": -1})
            assert "MCP_TOOL_ERROR" in failed.text
            await asyncio.to_thread(discovery.deregister_service, service.id)
        missing = await execute(suite, "assessed", {"amount": 1}, timeoutMs=1000)
        assert "completed" not in missing.json.get("status", "")


@pytest.mark.long
@pytest.mark.feature("S4-95")
@pytest.mark.parametrize("options", [{"stateless_http": True}, {"json_response": True}, {}])
async def test_a_tool_that_changes_fails_the_attempt(suite: Suite, options: Any) -> None:
    """Its schemas are those of the import, or the attempt ends in MCP_TOOL_CHANGED."""
    async with served(financial(), **options) as port:
        url = f"http://127.0.0.1:{port}/mcp"
        written = await command(suite, "task", "import", url)
        (task,) = yaml.safe_load_all(written.out)
        await applied(suite, task, assessing("frozen", amount="{{input.amount}}"))
        ran = await execute(suite, "frozen", {"amount": 1})
        assert ran.json["output"] == {"grade": "low"}, ran.text
    async with served(financial(changed=True), port, **options):
        changed = await execute(suite, "frozen", {"amount": 1})
        assert "MCP_TOOL_CHANGED" in changed.text
