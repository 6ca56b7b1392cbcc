"""`task import`: tasks for the tools of an MCP server, with its schemas."""

import re
from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.contract.json_value import Json

if TYPE_CHECKING:
    from flowmesh.executors.tools.calls import ToolCall

MCP_SERVER = "MCP_SERVER"
TIMEOUT_MS = 30_000
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")


@command
async def import_tools(
    server: str = "", /, *, capability: str = "", tool: str = "", common: Common = COMMON
) -> None:
    """Write a task for each tool of an MCP server, with its schemas, to standard output.

    Args:
        server: URL of the server.
        capability: Capability of a registered server, in place of its URL.
        tool: Only this tool.
    """
    import yaml

    from flowmesh.executors.failures import TaskFailure
    from flowmesh.executors.tools.calls import ToolCall

    if bool(server) == bool(capability):
        raise Refused("give the URL of a server or --capability", "", exit_codes.USAGE)
    endpoint = server or await _registered(capability, common)
    call = ToolCall(tool=tool, arguments={}, timeout_ms=TIMEOUT_MS, server=endpoint)
    try:
        found = await _tools(call)
    except TaskFailure as failure:
        raise Refused(f"{endpoint}: {failure.message}", "", exit_codes.FAILED) from None
    place = {"server": server} if server else {"capability": capability}
    documents = [document_of(each, place) for each in found if tool in ("", each.get("name"))]
    if not documents:
        raise Refused(f"{endpoint} has no such tool", "", exit_codes.FAILED)
    if common.structured:
        output.document(documents)
    else:
        output.block(yaml.safe_dump_all(documents, sort_keys=False).rstrip())


def document_of(tool: dict[str, Json], place: dict[str, Json]) -> dict[str, Json]:
    """Return the task of a tool, as its server describes it."""
    from flowmesh.executors.tools.calls import digest_of
    from flowmesh.tasktypes.builtin.mcp import MCP_CALL

    name = str(tool.get("name"))
    spec: dict[str, Json] = {
        "type": MCP_CALL.native,
        "mcp": {**place, "tool": name, "digest": digest_of(tool)},
        "inputSchema": tool.get("inputSchema") or {"type": "object"},
    }
    if tool.get("outputSchema"):
        spec["outputSchema"] = tool["outputSchema"]
    if description := tool.get("description"):
        spec["description"] = str(description).partition("\n")[0]
    metadata = {"name": _OTHER.sub("-", name).strip("-")}
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": metadata,
        "spec": spec,
    }


async def _registered(capability: str, common: Common) -> str:
    async with connected(common) as client:
        async for service in client.services(type=MCP_SERVER, capability=capability):
            return service.endpoint
    raise Refused(
        f"no MCP server with the capability {capability} is registered",
        "`flowmesh service list` shows the registry",
        exit_codes.FAILED,
    )


async def _tools(call: "ToolCall") -> list[dict[str, Json]]:
    from flowmesh.egress import OPEN, Egress
    from flowmesh.executors.tools.client import McpClient

    async def nowhere(_namespace: str, _capability: str) -> str:
        return ""

    async with Egress(OPEN) as egress:
        return await McpClient(egress, nowhere).tools(call)
