"""Texts of workflows for editors: sources, conversions and analyses of drafts, and schemas."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from http import HTTPStatus

import orjson

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.definitions.formats.table import FORMATS, SCHEMA_FUNCTIONS
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.answers import Json
from flowmesh.gateway.bodies.envelopes import version_choice
from flowmesh.gateway.bodies.graphs import AnalysisAnswer, analysis_answer
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Operation, Route
from flowmesh.gateway.http.parameters import VERSION, Query, one_of, whole
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.gateway.routes.common import DEFINITION_BODY, json_response
from flowmesh.gateway.routes.definitions.formats import PYTHON, YAML
from flowmesh.gateway.routes.definitions.resources import PATHS_MAX
from flowmesh.tasktypes import TASK_TYPES, TaskType

KINDS = (*SCHEMA_FUNCTIONS, "test")
# The same for every caller until the installation is replaced by another release.
_CACHED = (b"cache-control", b"private, max-age=300")


class TaskTypeValue(answers.Answer, kw_only=True):
    """A built-in task type: `native` is the `type` of a WorkflowTask, `block` its parameters."""

    name: str
    summary: str
    category: str
    effect: str
    native: str
    block: str
    calls: str
    timeout_ms: int
    takes_secrets: bool
    parameters: Json
    output: Json


class TaskTypes(answers.Answer, kw_only=True):
    """The built-in task types, by name."""

    task_types: list[TaskTypeValue]


async def get_source(backends: Backends, request: Request) -> Response:
    found = await backends.definitions.GetWorkflowSource(
        pb.GetWorkflowSourceRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            **version_choice(request.text("version")),
        )
    )
    headers = (
        (b"etag", f'"{found.digest}"'.encode()),
        (b"flowmesh-version", str(found.version).encode()),
    )
    return Response(HTTPStatus.OK, found.source, found.content_type, headers)


async def convert(_backends: Backends, request: Request) -> Response:
    source, content_type = await request.definition()
    target = request.text("to") or _NATIVE
    text, media_type = await asyncio.to_thread(_converted, source, content_type, target)
    return Response(HTTPStatus.OK, text, media_type)


def _converted(source: bytes, content_type: str, target: str) -> tuple[bytes, str]:
    # Imported on first use: other routes of the gateway do not need this library.
    from flowmesh.definitions.exports import write_python, write_yaml
    from flowmesh.definitions.exports.export import export_source

    documents = export_source(source, content_type, target)
    match FORMATS[target].syntax:
        case "python":
            return write_python(documents).encode(), PYTHON
        case "yaml":
            return write_yaml(documents).encode(), YAML
        case _:
            return orjson.dumps(documents[0] if len(documents) == 1 else documents), JSON


async def analyze(backends: Backends, request: Request) -> Response:
    source, content_type = await request.definition()
    response = await backends.definitions.AnalyzeWorkflow(
        pb.AnalyzeWorkflowRequest(
            namespace=request.namespace,
            source=source,
            content_type=content_type,
            path_count_max=request.whole("pathCountMax"),
        )
    )
    return json_response(analysis_answer(response.workflow_id, response.version, response.analysis))


async def get_schema(_backends: Backends, request: Request) -> Response:
    text = await asyncio.to_thread(_schema, request.param("kind"))
    return Response(HTTPStatus.OK, text, "application/schema+json", (_CACHED,))


@cache
def _schema(kind: str) -> bytes:
    from flowmesh.dryrun.editor import SCHEMAS

    return orjson.dumps(SCHEMAS[kind]())


async def list_task_types(_backends: Backends, _request: Request) -> Response:
    plain = json_response(await asyncio.to_thread(_task_types))
    return replace(plain, headers=(_CACHED,))


@cache
def _task_types() -> TaskTypes:
    from flowmesh.definitions.editor.parameters import parameters_schema

    def values(found: Iterable[TaskType]) -> list[TaskTypeValue]:
        return [
            TaskTypeValue(
                name=each.name,
                summary=each.summary,
                category=_category(each),
                effect=each.effect.value,
                native=each.native,
                block=each.block,
                calls=each.upstream.kind if each.upstream else "",
                timeout_ms=each.timeout_ms,
                takes_secrets=each.takes_secrets,
                parameters=parameters_schema(each) if each.parameters else {},
                output=each.output or {},
            )
            for each in found
        ]

    return TaskTypes(task_types=values(TASK_TYPES[name] for name in sorted(TASK_TYPES)))


def _category(task_type: TaskType) -> str:
    """Return the group of a palette: what an attempt does to other systems."""
    if task_type.upstream is not None:
        return "call"
    return {"COMPUTES": "compute", "CONTROLS": "control", "LOGS": "log"}.get(
        task_type.effect.name, "other"
    )


_KIND = one_of(*KINDS)
_NATIVE = next(iter(FORMATS))
_TO = Query("to", f"The target format (default: {_NATIVE}).", one_of(*FORMATS, default=_NATIVE))
_VERSION = Query("version", "The version by number or label (default: the newest).", VERSION)
_PATHS = Query("pathCountMax", "Maximum number of listed paths (default: 100).", whole(PATHS_MAX))
ROUTES = (
    Route(
        "GET",
        "/api/v1/workflows/{name}/source",
        get_source,
        Operation(
            tag=MANAGE,
            summary="Get the text that a workflow was applied from",
            description=(
                "With its comments, and with the other resources of the same text. The definition "
                "as JSON if the version was stored without a text. The header `ETag` is for "
                "`If-Match` of `PUT /api/v1/workflows/{name}` and, with several resources, of "
                "`POST /api/v1/workflows`; `Flowmesh-Version` is the version."
            ),
            query=(_VERSION,),
            answers=(Answer(200, "The text.", media_types=(YAML, JSON)),),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        "/api/v1/workflows:convert",
        convert,
        Operation(
            tag=TEST,
            summary="Convert a definition to another format without storing it",
            description=(
                "Native resources are YAML, other formats JSON. A feature that the format lacks is "
                "rejected with `FEATURE_UNSUPPORTED`."
            ),
            query=(_TO,),
            body=DEFINITION_BODY,
            answers=(
                Answer(200, "The converted text.", media_types=(JSON, YAML, "text/x-python")),
            ),
            errors=(413, 415),
        ),
    ),
    Route(
        "POST",
        "/api/v1/workflows:analyze",
        analyze,
        Operation(
            tag=TEST,
            summary="Analyze the graph of a workflow without storing it",
            query=(_PATHS,),
            body=DEFINITION_BODY,
            answers=(Answer(200, "The analysis; its version is 0.", AnalysisAnswer),),
            errors=(413, 415),
        ),
    ),
    Route(
        "GET",
        "/api/v1/schemas/{kind}",
        get_schema,
        Operation(
            tag=MANAGE,
            summary="Get the JSON Schema of a kind of document",
            description="For completion and checks in editors; the same as `flowmesh schema`.",
            path={"kind": _KIND},
            answers=(Answer(200, "The schema.", media_type="application/schema+json"),),
        ),
    ),
    Route(
        "GET",
        "/api/v1/task-types",
        list_task_types,
        Operation(
            tag=MANAGE,
            summary="List the built-in task types with the schemas of their parameters",
            answers=(Answer(200, "The types.", TaskTypes),),
        ),
    ),
)
