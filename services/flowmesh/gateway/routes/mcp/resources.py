"""Resources: documents of the suite by URI, read as the caller."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

from flowmesh.contract.json_value import Json
from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import Route
from flowmesh.gateway.http.requests import Request
from flowmesh.gateway.routes.mcp.tools import REST, SCHEME, Row, Tool, cut
from flowmesh.runtime.http.router import Router

RESOURCE_BYTES_MAX = 4 * 1024 * 1024
_CUT = "Cut after 4 MiB; pages of the list, or the REST API, have the rest."
# URI templates, the operations that they read, and what they hold.
_TEMPLATES = (
    ("workflows/{name}", "getWorkflow", "workflow", "A workflow with its definition"),
    (
        "workflows/{name}/versions/{version}",
        "getWorkflowVersion",
        "workflow_version",
        "A version of a workflow",
    ),
    ("tasks/{name}", "getTask", "task", "A reusable task with its schemas"),
    ("executions/{executionId}", "getExecution", "execution", "An execution with its results"),
    ("executions/{executionId}/history", "getHistory", "history", "The events of an execution"),
    ("schemas/{kind}", "getSchema", "schema", "The JSON Schema of a kind of document"),
)
_SCHEMA_KINDS = ("workflow", "task", "template", "test")


class Resources:
    """The resources of the suite: those of the templates, and answers of tools that were cut."""

    def __init__(self, routes: Iterable[Route], tools: Mapping[str, Tool]) -> None:
        by_id = {route.operation_id: route for route in routes}
        offered = [
            (f"/{uri}", Tool(Row(name, operation), by_id[operation]))
            for uri, operation, name, _ in _TEMPLATES
        ]
        reading = [
            (f"/{REST.removeprefix(SCHEME)}{tool.route.path}", tool)
            for tool in tools.values()
            if tool.route.method == "GET"
        ]
        self._router = Router(("GET", path, tool) for path, tool in (*offered, *reading))

    @staticmethod
    def listed() -> list[Json]:
        """Return the resources that are the same for everyone."""
        return [
            {
                "uri": f"{SCHEME}schemas/{kind}",
                "name": f"schema_{kind}",
                "description": f"The JSON Schema of a {kind} document",
                "mimeType": "application/json",
            }
            for kind in _SCHEMA_KINDS
        ]

    @staticmethod
    def templates() -> list[Json]:
        """Return the templates of the others."""
        return [
            {
                "uriTemplate": f"{SCHEME}{uri}",
                "name": name,
                "description": description,
                "mimeType": "application/json",
            }
            for uri, _, name, description in _TEMPLATES
        ]

    async def read(self, backends: Backends, request: Request, uri: str) -> list[Json]:
        """Return the contents of a URI. Raises RESOURCE_NOT_FOUND, and errors of the route."""
        parts = urlsplit(f"/{uri.removeprefix(SCHEME)}")
        found = self._router.match(parts.path) if uri.startswith(SCHEME) else None
        if found is None:
            raise NotFound("ROUTE_NOT_FOUND", f"there is no resource {uri!r}")
        leaf, params = found
        arguments: dict[str, Json] = {**params, **dict(parse_qsl(parts.query))}
        answer = await leaf.methods["GET"].call(backends, request, arguments)
        text = cut(answer.body, RESOURCE_BYTES_MAX)
        content = {"uri": uri, "mimeType": answer.media_type.partition(";")[0], "text": text}
        if len(answer.body) <= RESOURCE_BYTES_MAX:
            return [content]
        return [content, {"uri": f"{uri}#cut", "mimeType": "text/plain", "text": _CUT}]
