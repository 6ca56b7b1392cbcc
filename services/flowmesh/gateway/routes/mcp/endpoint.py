"""The route of the protocol: streamable HTTP without streams, one message per request."""

import math
from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from flowmesh.access.principal import LOCAL, current
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, UnsupportedMediaType
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.gateway.routes.mcp.prompts import PROMPTS
from flowmesh.gateway.routes.mcp.resources import Resources
from flowmesh.gateway.routes.mcp.server import McpServer, limited
from flowmesh.gateway.routes.mcp.tools import tools_of

PATH = "/mcp"
_PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def routes(rest: Iterable[Route]) -> tuple[Route, ...]:
    """Return the route that offers routes of the REST API as tools."""
    rest = tuple(rest)
    tools = tools_of(rest)
    return (route_of(McpServer(tools, Resources(rest, tools), PROMPTS)),)


def route_of(server: McpServer) -> Route:
    """Return the route that serves messages by a server."""

    async def mcp(backends: Backends, request: Request) -> Response:
        if request.media_type != JSON:
            # A page of a foreign origin cannot send this type without a preflight request.
            raise UnsupportedMediaType("CONTENT_TYPE_UNSUPPORTED", f"send {JSON}")
        try:
            message: Json = msgspec.json.decode(await request.body())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid("REQUEST_INVALID", f"the message is not JSON: {error}") from None
        if not isinstance(message, dict):
            raise Invalid("REQUEST_INVALID", "a message is an object of JSON-RPC 2.0")
        if wait_ms := backends.mcp_rate.take_ms(_caller(request)):
            wait_s = math.ceil(wait_ms / 1000)
            refused = msgspec.json.encode(limited(message, backends.mcp_rate.per_minute, wait_s))
            after = ((b"retry-after", str(wait_s).encode()),)
            return Response(HTTPStatus.TOO_MANY_REQUESTS, refused, headers=after)
        answer = await server.answer(backends, request, message)
        if answer is None:
            return Response(HTTPStatus.ACCEPTED)
        return Response(HTTPStatus.OK, msgspec.json.encode(answer))

    operation = Operation(
        tag=TEST,
        summary="Serve a message of the Model Context Protocol",
        description="JSON-RPC 2.0; see docs/assistant.md. Tools that change anything are off"
        " unless FLOWMESH_MCP_WRITE is set.",
        body=Body(None, schemas={JSON: {"type": "object"}}, example=_PING),
        answers=(
            Answer(200, "The response to a request, or an error of the protocol.", dict),
            Answer(202, "A notification was accepted."),
        ),
        errors=(413, 415),
    )
    return Route("POST", PATH, mcp, operation)


def _caller(request: Request) -> tuple[str, str]:
    """Return the caller whose calls are counted, and the namespace.

    A namespace in which the caller has no role of its own, or none, has no count of its own: else a
    new name would be a new count.
    """
    principal = current() or LOCAL
    if principal.id == LOCAL.id:
        return request.address, ""
    namespace = request.namespace
    return principal.id, namespace if namespace in principal.namespaces else ""
