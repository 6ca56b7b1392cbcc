"""The MCP server of a suite, driven by the official client over HTTP and standard streams."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client

from flowmesh.contract.json_value import Json
from flowmesh.gateway.routes.mcp.tools import ROWS
from flowmesh.testing.suite import Suite
from tests.features.closed import closed_suite

GREET = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: NAME}
spec:
  inputSchema: {type: object, properties: {text: {type: string}}}
  tasks:
    - id: pass
      taskRef: transform
      input: {source: {word: "{{input.text}}"}, pipeline: []}
    - id: ask
      approval: {title: "ok?"}
      dependsOn: [pass]
  output: {word: "{{tasks.pass.output.word}}"}
"""
GREETER = """
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: mcp-greeter}
spec: {type: greet}
"""
BROKEN = GREET.replace("taskRef: transform", "taskRef: absent")


@pytest.fixture(scope="module")
async def writable(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite whose MCP clients may change something."""
    folder = tmp_path_factory.mktemp("writable") / "data"
    async with Suite(folder, environment={"FLOWMESH_MCP_WRITE": "true"}) as running:
        yield running


def client_of(suite: Suite, **options: Any) -> Client:
    return Client(f"{suite.http_url}/mcp", **options)


async def call(client: Client, tool: str, /, **arguments: Json) -> Json:
    """Return the structured answer of a tool that is expected to succeed."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


@asynccontextmanager
async def over_stdio(suite: Suite, *options: str, **variables: str) -> AsyncIterator[Client]:
    """A client of `flowmesh mcp`, a process of its own."""
    arguments = ["-m", "flowmesh.suite", "mcp", "--address", suite.grpc_address, *options]
    environment = suite.environment | variables
    server = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
    async with Client(stdio_client(server)) as client:
        yield client


@pytest.mark.feature("S0-151")
async def test_reading_tools_answer_and_nothing_else_is_offered(suite: Suite) -> None:
    """By default clients see the tools that read, with annotations that say so."""
    async with client_of(suite) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {row.name for row in ROWS if not row.changes}
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())
        with pytest.raises(MCPError, match="FLOWMESH_MCP_WRITE"):
            await client.call_tool("start_workflow", {"name": "x"})


class Tools:
    """Calls tools, and keeps the names of those that answered."""

    def __init__(self, client: Client) -> None:
        self._client, self.called = client, set[str]()

    async def __call__(self, tool: str, /, **arguments: Json) -> Json:
        answer = await call(self._client, tool, **arguments)
        assert isinstance(answer, dict), tool
        self.called.add(tool)
        return answer


@pytest.mark.feature("S0-151")
async def test_a_model_writes_runs_and_investigates_a_workflow(writable: Suite) -> None:
    """Every tool works on a workflow from its first draft to its last execution."""
    name = "mcp-greet"
    source = GREET.replace("NAME", name)
    async with client_of(writable) as client:
        use = Tools(client)
        assert (await use("generate_workflow", prompt="Wait 5 minutes"))["valid"] is True
        assert (await use("repair_workflow", source=BROKEN))["problems"]
        assert name in (await use("describe_workflow", source=source))["text"]
        assert (await use("validate_definition", definition=BROKEN))["valid"] is False
        assert (await use("validate_definition", definition=source))["valid"] is True
        assert (await use("dry_run", definition=source, input={"text": "hi"}))["nodes"]
        await use("apply_definition", definition=source, reason="drafted by a model")
        await use("apply_definition", definition=GREETER)
        assert (await use("get_task", name="mcp-greeter"))["name"] == "mcp-greeter"
        names = [w["name"] for w in (await use("search_workflows"))["workflows"]]
        assert name in names
        assert (await use("get_workflow", name=name))["name"] == name
        await use("analyze_workflow", name=name)
        await use("explain_workflow", name=name)
        started = await use("start_workflow", name=name, input={"text": "hi"})
        execution = started["executionId"]
        await writable.request("GET", f"/api/v1/executions/{execution}/state")
        for tool in ("get_execution", "get_trace", "explain_execution", "investigate_execution"):
            assert await use(tool, executionId=execution)
        found = await use("search_executions", workflow=name, status=["running"])
        assert [each["executionId"] for each in found["executions"]] == [execution]
        decision = {"executionId": execution, "node": "ask", "approved": True, "by": "ann"}
        await use("decide_approval", **decision)
        ended = await writable.wait(execution)
        assert ended["status"] == "completed"
        other = (await use("start_workflow", name=name))["executionId"]
        await use("signal_execution", executionId=other, name="any", payload={})
        await use("cancel_execution", executionId=other, reason="not needed")
        for tool in ("search_tasks", "list_queues", "list_services", "list_templates"):
            await use(tool)
        offered = {each.name for each in (await client.list_tools()).tools}
        assert use.called == offered == {row.name for row in ROWS}, "a tool was not called"
        refused = await client.call_tool("get_task", {"name": "absent"})
        assert refused.is_error
        assert "TASK_NOT_FOUND" in str(refused.content)


async def test_resources_and_prompts(writable: Suite) -> None:
    """Definitions, schemas and executions are resources; prompts mark their argument as data."""
    source = GREET.replace("NAME", "mcp-resources")
    async with client_of(writable) as client:
        await call(client, "apply_definition", definition=source)
        listed = [str(each.uri) for each in (await client.list_resources()).resources]
        templates = (await client.list_resource_templates()).resource_templates
        assert "flowmesh://workflows/{name}" in [each.uri_template for each in templates]
        for uri in (*listed, "flowmesh://workflows/mcp-resources"):
            (content,) = (await client.read_resource(uri)).contents
            assert json.loads(content.text)  # type: ignore[union-attr]
        with pytest.raises(MCPError, match="no resource"):
            await client.read_resource("flowmesh://nowhere")
        prompts = [each.name for each in (await client.list_prompts()).prompts]
        assert prompts == ["new_workflow", "fix_workflow", "investigate"]
        filled = await client.get_prompt("new_workflow", {"goal": "greet"})
        (message,) = filled.messages
        assert "<data>\ngreet\n</data>" in message.content.text  # type: ignore[union-attr]


async def test_a_long_answer_is_cut_with_a_link_to_the_whole(writable: Suite) -> None:
    """A model never gets more than 64 KiB of an answer; a link leads to up to 4 MiB of it."""
    source = GREET.replace("NAME", "mcp-long")
    async with client_of(writable) as client:
        await call(client, "apply_definition", definition=source)
        for size, whole in ((100_000, True), (4_300_000, False)):
            started = await call(
                client, "start_workflow", name="mcp-long", input={"text": "x" * size}
            )
            result = await client.call_tool(
                "get_execution", {"executionId": started["executionId"]}
            )
            content: Any = result.content
            text, link, note = content
            assert len(text.text) <= 64 * 1024
            assert "cut" in note.text
            contents: Any = (await client.read_resource(str(link.uri))).contents
            assert len(contents[0].text) >= min(size, 4 * 1024 * 1024)
            assert (len(contents) == 1) is whole


async def test_older_clients_are_served(suite: Suite) -> None:
    """A client of the revision with a handshake works at the same address."""
    async with client_of(suite, mode="legacy") as client:
        assert client.protocol_version == "2025-11-25"
        assert (await client.list_tools()).tools


@pytest.mark.long
@pytest.mark.feature("S0-151")
async def test_the_command_serves_standard_streams(suite: Suite) -> None:
    """`flowmesh mcp` has the tools of the gateway, and shows its errors."""
    async with over_stdio(suite) as client:
        assert {each.name for each in (await client.list_tools()).tools} >= {"get_workflow"}
        found = await call(client, "list_services", name="gateway")
        assert found["services"]


async def test_messages_that_are_wrong_are_refused(suite: Suite) -> None:
    """Each has the error of JSON-RPC that the specification names."""

    async def send(message: Json) -> Json:
        response = await suite.request("POST", "/mcp", message)
        return response.json["error"]["code"]

    base = {"jsonrpc": "2.0", "id": 1}
    assert await send({"id": 1}) == -32600
    assert await send({**base, "method": "nothing"}) == -32601
    assert await send({**base, "method": "tools/call", "params": {}}) == -32602
    meta = {"io.modelcontextprotocol/protocolVersion": "1999-01-01"}
    assert await send({**base, "method": "ping", "params": {"_meta": meta}}) == -32022
    accepted = await suite.request(
        "POST", "/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}
    )
    assert accepted.status == 202
    assert (await suite.request("GET", "/mcp")).status == 405


def test_names_of_tools_are_unique() -> None:
    """A client finds a tool by its name."""
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.long
async def test_a_caller_has_its_own_rights_and_no_more(tmp_path: Path) -> None:
    """The credential of the request decides, over HTTP and standard streams alike."""
    async with closed_suite(tmp_path, FLOWMESH_MCP_WRITE="true") as closed:
        project = await closed.project("models")
        viewer = await closed.key(project.id, "viewer")
        assert (await closed.caller("").rest("POST", "/mcp", {}))[0] == 401
        params = {"name": "apply_definition", "arguments": {"definition": GREET}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        _, answer = await viewer.rest("POST", "/mcp", message)
        assert "ROLE_REQUIRED" in answer["result"]["content"][0]["text"]
        options = ("--url", closed.suite.http_url)
        key = viewer.credential
        async with over_stdio(closed.suite, *options, FLOWMESH_API_KEY=key) as client:
            assert (await call(client, "search_workflows"))["workflows"] == []
            result = await client.call_tool("apply_definition", {"definition": GREET})
            assert "ROLE_REQUIRED" in str(result.content)


@pytest.mark.long
async def test_a_caller_above_its_rate_is_refused_with_a_wait(tmp_path: Path) -> None:
    """Each key has its own count, which other namespaces do not renew."""
    async with closed_suite(tmp_path, FLOWMESH_MCP_CALLS_PER_MINUTE="3") as closed:
        project = await closed.project("models")
        greedy, modest = [await closed.key(project.id, "viewer") for _ in range(2)]
        ping = {"jsonrpc": "2.0", "id": 7, "method": "ping"}
        names = (project.namespace, "one", "two", "three")
        answers = [await greedy.rest("POST", "/mcp", ping, Flowmesh_Namespace=n) for n in names * 3]
        status, refused = answers[-1]
        assert status == 429
        assert refused["id"] == 7
        assert "more than 3 requests in a minute; retry after" in refused["error"]["message"]
        assert 0 < refused["error"]["data"]["retryAfterMs"] <= 20_000
        assert [each[0] for each in answers].count(200) <= 3 * 2
        assert (await modest.rest("POST", "/mcp", ping))[0] == 200
        options = ("--url", closed.suite.http_url)
        with pytest.raises(BaseExceptionGroup) as caught:
            async with over_stdio(closed.suite, *options, FLOWMESH_API_KEY=greedy.credential):
                pytest.fail("a caller above its rate has connected")
        assert caught.group_contains(MCPError, match="retry after")
