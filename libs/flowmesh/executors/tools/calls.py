"""The call of a tool, and the digest of its schemas."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from flowmesh.contract.json_value import Json

CHANGED = "MCP_TOOL_CHANGED"
"""The failure class of a tool whose schemas are not those that the task was written for."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool at a server: its URL, or a capability of a registered one."""

    tool: str
    arguments: Mapping[str, Json]
    timeout_ms: int
    server: str = ""
    capability: str = ""
    namespace: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    # The schemas that the task was written for; empty accepts any.
    digest: str = ""


class ToolCaller(Protocol):
    """The MCP client: `McpClient`, or a recorder of calls in a dry run."""

    async def call_tool(self, call: ToolCall) -> Json:
        """Return the result of the tool. Raises TaskFailure."""


def digest_of(tool: Mapping[str, Json]) -> str:
    """Return the digest of the schemas of a tool, as its server describes it."""
    schemas = [tool.get("inputSchema"), tool.get("outputSchema")]
    return hashlib.sha256(orjson.dumps(schemas, option=orjson.OPT_SORT_KEYS)).hexdigest()
