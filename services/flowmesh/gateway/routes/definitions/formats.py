"""Exports of workflows to other formats, and drawings."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2 as execution_pb
from flowmesh.definitions.formats.table import FORMATS
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer, Json
from flowmesh.gateway.http import operation_docs as operations
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Operation, Route
from flowmesh.gateway.http.parameters import NUMBER, Query, one_of
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.gateway.routes.common import PAGING
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import Source
from flowmesh.views import node_status

if TYPE_CHECKING:
    from flowmesh.definitions import Workflow

YAML = "application/yaml"
PYTHON = "text/x-python; charset=utf-8"
_WORKFLOW = "/api/v1/workflows/{name}"


async def export_workflow(backends: Backends, request: Request) -> Response:
    target = request.text("format")
    stored = await _stored(backends, request)
    if not target:
        return Response(200, stored.definition)
    types: dict[str, str] = {}
    if FORMATS[target].resolves_tasks:
        planned = await backends.definitions.GetPlan(
            pb.GetPlanRequest(
                namespace=request.namespace,
                workflow_id=request.param("name"),
                version=stored.version,
            )
        )
        types = {spec.task_name: spec.task_type for spec in planned.plan.specs}
    text, media_type = await asyncio.to_thread(_exported, stored.definition, target, types)
    return Response(200, text, media_type)


def _exported(definition: bytes, target: str, types: Mapping[str, str]) -> tuple[bytes, str]:
    """Export a definition. Native resources are YAML documents, other formats one of JSON."""
    # Imported on first use: other routes of the gateway do not need this library.
    import orjson

    from flowmesh.definitions.exports import export, write_python, write_yaml
    from flowmesh.definitions.model import Dialect, Task
    from flowmesh.definitions.sources import Read

    def task(name: str) -> Task | None:
        kind = types.get(name)
        return Task(kind, kind, {}, Dialect.NATIVE, name=name) if kind else None

    document = orjson.loads(definition)
    documents = export(Read(_workflow(definition), document, 0), target, task)
    match FORMATS[target].syntax:
        case "python":
            return write_python(documents).encode(), PYTHON
        case "yaml":
            return write_yaml(documents).encode(), YAML
        case _:
            return orjson.dumps(documents[0]), JSON


async def draw_workflow(backends: Backends, request: Request) -> Response:
    return await _drawing(request, await _stored(backends, request))


async def draw_execution(backends: Backends, request: Request) -> Response:
    """Draw the pinned version of an execution with each node colored by its status."""
    found = await backends.executions.GetExecution(
        execution_pb.GetExecutionRequest(
            namespace=request.namespace, execution_id=request.param("executionId")
        )
    )
    execution = found.execution
    stored = await backends.definitions.GetWorkflow(
        pb.GetWorkflowRequest(
            namespace=request.namespace,
            workflow_id=execution.workflow_id,
            version=execution.workflow_version,
        )
    )
    statuses = {node.id: node_status(node.status) for node in execution.nodes}
    return await _drawing(request, stored.workflow, statuses)


async def _drawing(
    request: Request,
    stored: definition_pb2.Workflow,
    statuses: Mapping[str, str] | None = None,
) -> Response:
    from flowmesh.definitions.drawing import MEDIA_TYPES, draw

    kind = request.text("format") or DRAWINGS[0]
    drawn = await asyncio.to_thread(lambda: draw(_workflow(stored.definition), kind, statuses))
    # The drawing holds names chosen by users: it must not load or run anything.
    headers = ((b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),)
    return Response(200, drawn.encode(), MEDIA_TYPES[kind], headers)


def _workflow(definition: bytes) -> "Workflow":
    import orjson

    from flowmesh.definitions import load_workflow

    return load_workflow(orjson.loads(definition))


async def _stored(backends: Backends, request: Request) -> definition_pb2.Workflow:
    response = await backends.definitions.GetWorkflow(
        pb.GetWorkflowRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            version=request.whole("version"),
        )
    )
    return response.workflow


class PublicNode(Answer, kw_only=True):
    """A node as written in the newest version of a workflow."""

    workflow: Annotated[str, Source("workflow_id")]
    version: int
    node: Json


class PublicNodes(Answer, kw_only=True):
    """Public nodes, by workflow."""

    nodes: list[PublicNode]
    next_page_token: str


# Equal to DRAWINGS of the drawing library, which is imported on first use.
DRAWINGS = ("svg", "mermaid", "dot", "json")
_PICTURES = ("image/svg+xml", "text/vnd.mermaid", "text/vnd.graphviz", JSON)
_DRAWING = Query(
    "format", "The format of the drawing (default: svg).", one_of(*DRAWINGS, default=DRAWINGS[0])
)
_VERSION = Query("version", "The version (default: the newest).", NUMBER)
ROUTES = (
    rpc_route(
        "GET",
        "/api/v1/nodes",
        pb.ListPublicNodesRequest,
        tag=MANAGE,
        summary="List nodes that other workflows may copy",
        description="Nodes of graph JSON whose `metadata.isPublic` is true.",
        query=PAGING,
        answers=(operations.Answer(200, "Found.", PublicNodes),),
    ),
    Route(
        "GET",
        f"{_WORKFLOW}:export",
        export_workflow,
        Operation(
            tag=MANAGE,
            summary="Export a workflow to another format",
            description=(
                "Without a format, the document as it was posted. Native resources are YAML. "
                "A feature that the format lacks is rejected with `FEATURE_UNSUPPORTED`."
            ),
            query=(
                Query("format", "The target format (default: as posted).", one_of(*FORMATS)),
                _VERSION,
            ),
            answers=(
                operations.Answer(
                    200, "The exported document.", media_types=(JSON, YAML, "text/x-python")
                ),
            ),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        f"{_WORKFLOW}/graph",
        draw_workflow,
        Operation(
            tag=TEST,
            summary="Draw a workflow",
            query=(_DRAWING, _VERSION),
            answers=(operations.Answer(200, "The drawing.", media_types=_PICTURES),),
            errors=(404, 413),
        ),
    ),
    Route(
        "GET",
        "/api/v1/executions/{executionId}/graph",
        draw_execution,
        Operation(
            tag=TEST,
            summary="Draw an execution: its workflow with each node colored by its status",
            query=(_DRAWING,),
            answers=(operations.Answer(200, "The drawing.", media_types=_PICTURES),),
            errors=(404, 413),
        ),
    ),
)
