"""A client of MCP servers over streamable HTTP, within the egress rules.

Each call is a conversation of its own: handshake, the check of the tool's schemas, the call. A
server without sessions (2026-07-28) skips the handshake. Requests of servers, such as for input
of a user or for a model, are not served: no capability is offered to them.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.egress import (
    EVENT_STREAM,
    EgressBlocked,
    EgressFailure,
    Response,
    TimedOut,
    data_of_events,
)
from flowmesh.errors import FlowmeshError
from flowmesh.executors import failures
from flowmesh.executors.base import Sender
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.tools.calls import CHANGED, ToolCall, digest_of

REVISION = "2025-11-25"
STATELESS_REVISION = "2026-07-28"
ANSWER_BYTES_MAX = 4 * 1024 * 1024
PAGES_MAX = 20
DEFAULT_PATH = "/mcp"
_META = "io.modelcontextprotocol"
_CLIENT: dict[str, Json] = {"name": "flowmesh", "version": "1"}
_SESSION = "mcp-session-id"

# Returns the endpoint of a registered server with a capability; empty without one.
Find = Callable[[str, str], Awaitable[str]]


class McpClient:
    """Calls tools of servers by URL, or by a capability in the registry."""

    def __init__(self, egress: Sender, find: Find) -> None:
        self._egress = egress
        self._find = find

    async def call_tool(self, call: ToolCall) -> Json:
        """Return the structured result of a tool, or its content. Raises TaskFailure."""
        conversation = await self._open(call)
        if call.digest:
            await _check_digest(conversation, call)
        params = {"name": call.tool, "arguments": dict(call.arguments)}
        return _result_of(call.tool, await conversation.request("tools/call", params))

    async def tools(self, call: ToolCall) -> list[dict[str, Json]]:
        """Return the descriptions of the tools of a server. Raises TaskFailure."""
        return await _tools(await self._open(call))

    async def _open(self, call: ToolCall) -> "_Conversation":
        endpoint = call.server or await self._find(call.namespace, call.capability)
        if not endpoint:
            message = f"no MCP server with the capability {call.capability} is registered"
            raise TaskFailure(failures.NETWORK, message)
        conversation = _Conversation(self._egress, url_of(endpoint), call)
        await conversation.greet()
        return conversation


class _Conversation:
    """The requests of one call to one server."""

    def __init__(self, egress: Sender, url: str, call: ToolCall) -> None:
        self._egress = egress
        self._url = url
        self._timeout_ms = call.timeout_ms
        self._headers = {
            **call.headers,
            "content-type": "application/json",
            "accept": f"application/json, {EVENT_STREAM}",
        }
        self._stateless = False
        self._next_id = 0

    async def greet(self) -> None:
        """Make the handshake; a server that refuses it has no sessions."""
        params = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": _CLIENT}
        answer, headers = await self._exchange("initialize", params)
        if "error" in answer:
            self._stateless = True
            self._headers["mcp-protocol-version"] = STATELESS_REVISION
            return
        revision = answer.get("result", {}).get("protocolVersion")
        self._headers["mcp-protocol-version"] = str(revision or REVISION)
        if session := headers.get(_SESSION):
            self._headers[_SESSION] = session
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def request(self, method: str, params: dict[str, Json]) -> dict[str, Json]:
        """Return the result of a request. Raises TaskFailure."""
        if self._stateless:
            meta = {
                f"{_META}/protocolVersion": STATELESS_REVISION,
                f"{_META}/clientInfo": _CLIENT,
                f"{_META}/clientCapabilities": {},
            }
            params = params | {"_meta": meta}
        answer, _ = await self._exchange(method, params)
        if "error" in answer:
            error: Any = answer["error"]
            message = f"{method}: {error.get('message')}"
            raise TaskFailure(failures.CLIENT, message, details={"code": error.get("code")})
        return dict(answer.get("result") or {})

    async def _exchange(
        self, method: str, params: dict[str, Json]
    ) -> tuple[dict[str, Json], dict[str, str]]:
        self._next_id += 1
        message = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        response = await self._send(message)
        for found in _messages(response):
            if found.get("id") == self._next_id and ("result" in found or "error" in found):
                return found, response.headers
        raise _status_failure(response)

    async def _send(self, message: Json) -> Response:
        try:
            return await self._egress.send(
                "POST",
                self._url,
                headers=self._headers,
                body=orjson.dumps(message),
                timeout_ms=self._timeout_ms,
                response_bytes_max=ANSWER_BYTES_MAX,
            )
        except TimedOut as error:
            raise TaskFailure(failures.TIMEOUT, str(error)) from error
        except EgressFailure as error:
            raise TaskFailure(failures.NETWORK, str(error)) from error
        except EgressBlocked as error:
            details = {"reason": error.reason}
            raise TaskFailure(failures.EGRESS_BLOCKED, error.message, details=details) from error
        except FlowmeshError as error:
            raise invalid(error.message, reason=error.reason) from error


def url_of(endpoint: str) -> str:
    """Return the URL of a server: of its registered endpoint, which may lack scheme and path."""
    url = endpoint if "://" in endpoint else f"http://{endpoint}"
    return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}{DEFAULT_PATH}"


async def _tools(conversation: _Conversation) -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = []
    cursor: dict[str, Json] = {}
    for _ in range(PAGES_MAX):
        page: Any = await conversation.request("tools/list", cursor)
        found += page.get("tools") or []
        if not page.get("nextCursor"):
            break
        cursor = {"cursor": page["nextCursor"]}
    return found


async def _check_digest(conversation: _Conversation, call: ToolCall) -> None:
    for tool in await _tools(conversation):
        if tool.get("name") == call.tool:
            if (now := digest_of(tool)) == call.digest:
                return
            message = f"the schemas of {call.tool} have changed; import it again"
            raise TaskFailure(CHANGED, message, details={"expected": call.digest, "found": now})
    raise TaskFailure(CHANGED, f"the server has no tool {call.tool}")


def _result_of(tool: str, result: dict[str, Json]) -> Json:
    content: Any = result.get("content") or []
    if result.get("isError"):
        texts = [str(each.get("text")) for each in content if isinstance(each, dict)]
        details = {"reason": "MCP_TOOL_ERROR", "tool": tool}
        raise TaskFailure(failures.CLIENT, "\n".join(texts) or "the tool failed", details=details)
    structured = result.get("structuredContent")
    return {"content": content} if structured is None else structured


def _messages(response: Response) -> list[dict[str, Any]]:
    """Return the messages of a response: one of JSON, or the events of a stream."""
    try:
        if EVENT_STREAM in response.headers.get("content-type", ""):
            found = [orjson.loads(data) for data in data_of_events(response.body)]
        else:
            found = [orjson.loads(response.body)] if response.body else []
    except (ValueError, UnicodeDecodeError):
        return []
    return [each for each in found if isinstance(each, dict)]


def _status_failure(response: Response) -> TaskFailure:
    status = response.status
    message = f"the MCP server answered {status} without a response to the request"
    if status in (401, 403):
        return TaskFailure(failures.AUTHENTICATION, message)
    if status == 429:
        return TaskFailure(failures.RATE_LIMIT, message)
    return TaskFailure(failures.SERVER if status >= 500 else failures.CLIENT, message)
