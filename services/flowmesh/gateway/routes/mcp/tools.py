"""Tools: operations of the REST API, called within the process as their caller.

The schema of a tool is that of the route: the parameters of its path and query, and the fields of
its body. Permissions, limits and errors are those of the route too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Invalid
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import PATH_PARAMETER, Route
from flowmesh.gateway.http.requests import JSON, Request, Response

# The argument that holds a definition, which a route takes as its whole body.
DEFINITION = "definition"
_DEFINITION_SCHEMA: Mapping[str, Json] = {
    "type": ["string", "object"],
    "description": "YAML or JSON text, or the document itself.",
}
_YAML = "application/yaml"
ANSWER_BYTES_MAX = 64 * 1024
# The resource of a call of a tool that only reads: its path and query in the REST API.
SCHEME = "flowmesh://"
REST = f"{SCHEME}rest"


@dataclass(frozen=True, slots=True)
class Row:
    """The name of a tool, its operation, and what it does beyond the summary of the operation."""

    name: str
    operation_id: str
    more: str = ""
    changes: bool = False
    destructive: bool = False


ROWS = (
    Row("search_workflows", "listWorkflows", 'Filter example: name = "order*".'),
    Row("get_workflow", "getWorkflow", "The definition, its schemas and labels."),
    Row("search_tasks", "listTasks", "Reusable tasks with their schemas."),
    Row("get_task", "getTask"),
    Row("validate_definition", "validateWorkflow", "Problems have a path, a reason and a remedy."),
    Row("dry_run", "dryRunSource", "A simulation: calls nobody, stores nothing."),
    Row("analyze_workflow", "analyzeWorkflow", "Paths, parallelism and the critical path."),
    Row("explain_workflow", "explainWorkflow"),
    Row(
        "generate_workflow", "generateDefinition", "A draft that was rehearsed; nothing is stored."
    ),
    Row("repair_workflow", "repairDefinition", "Nothing is stored."),
    Row("describe_workflow", "explainDefinition"),
    Row("list_templates", "listTemplates"),
    Row("search_executions", "listExecutions"),
    Row("get_execution", "getExecution"),
    Row("get_trace", "getTrace"),
    Row("explain_execution", "explainExecution", "The cause in words, and what can be done."),
    Row("investigate_execution", "investigateExecution"),
    Row("list_queues", "listQueues"),
    Row("list_services", "listServices"),
    Row("apply_definition", "applyResources", "Stores a new version.", changes=True),
    Row("start_workflow", "start", "get_execution shows its result.", changes=True),
    Row("signal_execution", "signal", changes=True),
    Row("cancel_execution", "cancelExecution", changes=True, destructive=True),
    Row("decide_approval", "decideApproval", changes=True, destructive=True),
)


class Tool:
    """An operation as a tool."""

    def __init__(self, row: Row, route: Route) -> None:
        self.row = row
        self.route = route
        self.changes = row.changes
        self._paths = PATH_PARAMETER.findall(route.path)
        self._queries = {query.name: query for query in route.operation.query}
        self._body = route.operation.body

    @cached_property
    def described(self) -> dict[str, Json]:
        """The description that clients read."""
        summary = self.route.operation.summary
        return {
            "name": self.row.name,
            "title": summary,
            "description": f"{summary}. {self.row.more}".strip(),
            "inputSchema": self._schema(),
            "annotations": {
                "readOnlyHint": not self.row.changes,
                "destructiveHint": self.row.destructive,
                "idempotentHint": not self.row.changes,
                "openWorldHint": False,
            },
        }

    def _schema(self) -> dict[str, Json]:
        rules = self.route.rules()
        properties: dict[str, Json] = {
            name: dict(kind.schema) for name, kind in rules.paths.items()
        }
        required = [*rules.paths, *sorted(rules.required)]
        for query in self._queries.values():
            schema: dict[str, Json] = dict(query.kind.schema)
            if query.repeated:
                schema = {"type": "array", "items": schema}
            properties[query.name] = {**schema, "description": query.description}
        definitions: dict[str, Json] = {}
        if self._body is not None and self._body.shape is None:
            properties[DEFINITION] = dict(_DEFINITION_SCHEMA)
            required.append(DEFINITION)
        elif self._body is not None:
            shape = self._body.shape
            (_, *_), definitions = msgspec.json.schema_components(
                [shape], ref_template="#/$defs/{name}"
            )
            body: Any = definitions.pop(shape.__name__)
            properties |= body.get("properties", {})
            required += body.get("required", [])
        schema = {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        return schema | {"$defs": definitions} if definitions else schema

    def address(self, arguments: Mapping[str, Json]) -> str:
        """Return path and query of a call."""
        path = self.route.path
        for name in self._paths:
            path = path.replace(f"{{{name}}}", quote(_text(name, arguments.get(name)), safe=""))
        given = [
            (name, _text(name, arguments[name]))
            for name in self._queries
            if arguments.get(name) is not None
        ]
        return f"{path}?{urlencode(given)}" if given else path

    async def result(
        self, backends: Backends, request: Request, arguments: Mapping[str, Json]
    ) -> dict[str, Json]:
        """Return the result of a call; a long one is cut, with a link. Raises FlowmeshError."""
        answer = await self.call(backends, request, arguments)
        link = f"{REST}{self.address(arguments)}" if self.route.method == "GET" else ""
        return _result(answer, link)

    async def call(
        self, backends: Backends, request: Request, arguments: Mapping[str, Json]
    ) -> Response:
        """Serve the route as the caller of `request`. Raises FlowmeshError."""
        self._check_names(arguments)
        body, media_type = self._content(arguments)
        address = self.address(arguments)
        params = {name: _text(name, arguments[name]) for name in self._paths}
        inner = request.inner(
            self.route.method, params, address.partition("?")[2], body, media_type
        )
        inner.check(self.route.rules())
        answer = await self.route.endpoint(backends, inner)
        assert isinstance(answer, Response)
        return answer

    def _check_names(self, arguments: Mapping[str, Json]) -> None:
        schema: Any = self.described["inputSchema"]
        if unknown := sorted(set(arguments) - set(schema["properties"])):
            known = ", ".join(schema["properties"]) or "none"
            raise Invalid("REQUEST_INVALID", f"unknown argument {unknown[0]}; there are {known}")
        if missing := [name for name in schema["required"] if name not in arguments]:
            raise Invalid("REQUEST_INVALID", f"the argument {missing[0]} is missing")

    def _content(self, arguments: Mapping[str, Json]) -> tuple[bytes, str]:
        if self._body is None:
            return b"", ""
        if self._body.shape is None:
            given = arguments.get(DEFINITION)
            if isinstance(given, str):
                return given.encode(), _YAML
            return msgspec.json.encode(given), JSON
        rest = set(self._paths) | set(self._queries)
        return msgspec.json.encode({k: v for k, v in arguments.items() if k not in rest}), JSON


def tools_of(routes: Iterable[Route]) -> dict[str, Tool]:
    """Return the tools by name."""
    by_id = {route.operation_id: route for route in routes}
    return {row.name: Tool(row, by_id[row.operation_id]) for row in ROWS}


def error_text(error: FlowmeshError) -> str:
    """Return an error as a model reads it: the text, the reason, and the fields that are wrong."""
    fields = (f"- {each.field}: {each.description}" for each in error.violations)
    return "\n".join((f"{error.message} [{error.reason}]", *fields))


def text_content(text: str) -> Json:
    """Return a text as content."""
    return {"type": "text", "text": text}


def cut(body: bytes, bytes_max: int) -> str:
    """Return the begin of a body as text."""
    return body[:bytes_max].decode(errors="ignore")


def _result(answer: Response, link: str) -> dict[str, Json]:
    if len(answer.body) <= ANSWER_BYTES_MAX:
        content = [text_content(answer.body.decode())]
        result: dict[str, Json] = {"content": content, "isError": False}
        if answer.media_type == JSON and answer.body:
            value: Any = msgspec.json.decode(answer.body)
            if isinstance(value, dict):
                result["structuredContent"] = value
        return result
    size = f"{len(answer.body)} bytes, cut after {ANSWER_BYTES_MAX}"
    content = [text_content(cut(answer.body, ANSWER_BYTES_MAX))]
    if link:
        content.append({"type": "resource_link", "uri": link, "name": "whole answer"})
    return {"content": [*content, text_content(f"The answer has {size}.")], "isError": False}


def _text(name: str, value: Json) -> str:
    """Return an argument as the text of a path or query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(map(str, value))
    raise Invalid("REQUEST_INVALID", f"{name}: must be text, a number or true or false")
