"""`mcp`: the Model Context Protocol on standard input and output, passed on to the gateway."""

import asyncio
import http.client
import ssl
import sys
from urllib.parse import urlsplit

import orjson

from flowmesh.cli.common import Reach, command, connected
from flowmesh.cli.operations.console import gateway_url
from flowmesh.cli.refusals import Refused
from flowmesh.cli.targets import Target

PATH = "/mcp"
REQUEST_TIMEOUT_S = 60.0
INTERNAL_ERROR = -32603
_HINT = "name it: `flowmesh mcp --url https://host:port`; keys of a project do not see the registry"
_REACH = Reach()


@command
async def mcp(*, url: str = "", common: Reach = _REACH) -> None:
    """Serve the Model Context Protocol on standard input and output.

    Programs such as editors start this command to let a model look at workflows and executions,
    with the credential of the command. Tools that change something need FLOWMESH_MCP_WRITE at the
    gateway.

    Args:
        url: URL of the gateway; by default the one in the registry.
    """
    async with connected(common) as client:
        endpoint = Endpoint(url or await gateway_url(client, _HINT), common.target)
        running: set[asyncio.Task[None]] = set()
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            if line.strip():
                task = asyncio.create_task(_serve(endpoint, line))
                running.add(task)
                task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running)


class Endpoint:
    """The gateway's route of the protocol."""

    def __init__(self, url: str, target: Target) -> None:
        from flowmesh.sdk.transport.endpoint import Endpoint as Server
        from flowmesh.sdk.transport.endpoint import Tls

        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"{url!r} is no URL of a gateway", "write it as https://host:port")
        self._address = (parts.hostname, parts.port)
        self._path = f"{parts.path.rstrip('/')}{PATH}"
        self._caller, self._namespace = (found := target.connection()).caller, found.namespace
        server = Server.of(f"{parts.scheme}://{parts.netloc}", target.tls)
        if self._caller.has_credential:
            server.check_credential("the credential")
        self._tls = (server.tls or Tls()).context() if parts.scheme == "https" else None

    async def send(self, message: bytes) -> bytes:
        """Return the answer to a message; empty if it has none. Raises OSError, HTTPException."""
        headers = {"content-type": "application/json", **await self._caller.headers()}
        if self._namespace:
            headers["flowmesh-namespace"] = self._namespace
        return await asyncio.to_thread(self._post, message, headers)

    def _post(self, message: bytes, headers: dict[str, str]) -> bytes:
        connection = _connection(self._address, self._tls)
        try:
            connection.request("POST", self._path, message, headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST and not _is_response(body):
            raise OSError(_refusal(body) or f"the gateway answered {response.status}")
        return body


def _connection(
    address: tuple[str, int | None], tls: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(*address, timeout=REQUEST_TIMEOUT_S)
    return http.client.HTTPSConnection(*address, timeout=REQUEST_TIMEOUT_S, context=tls)


async def _serve(endpoint: Endpoint, line: bytes) -> None:
    try:
        answer = await endpoint.send(line)
    except (OSError, http.client.HTTPException) as error:
        answer = _failure(line, str(error))
    if answer:
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()


def _is_response(body: bytes) -> bool:
    """Return whether a body is a message of JSON-RPC, such as one of a rate limit."""
    try:
        return bool(orjson.loads(body).get("jsonrpc"))
    except (ValueError, AttributeError):
        return False


def _refusal(body: bytes) -> str:
    """Return the text of an error of the REST API; empty if it is none."""
    try:
        error = orjson.loads(body)["error"]
        return f"{error['message']} [{error['reason']}]"
    except (ValueError, KeyError, TypeError):
        return ""


def _failure(line: bytes, text: str) -> bytes:
    """Return the error response to a request that failed; empty for a notification."""
    try:
        message_id = orjson.loads(line).get("id")
    except (ValueError, AttributeError):
        message_id = None
    else:
        if message_id is None:
            return b""
    error = {"code": INTERNAL_ERROR, "message": text}
    return orjson.dumps({"jsonrpc": "2.0", "id": message_id, "error": error})
