"""Canonical workflows and tasks: apply, read, check, analyze."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from msgspec import UNSET

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2 as execution_pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import version_choice
from flowmesh.gateway.bodies.graphs import AnalysisAnswer, analysis_answer
from flowmesh.gateway.bodies.views import (
    applied_resources,
    problem,
    problems,
    references,
    workflow_answer,
)
from flowmesh.gateway.http.ids import invalid_field
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import (
    CHANGE,
    FLAG,
    NUMBER,
    VERSION,
    Query,
    RequestHeader,
    one_of,
    whole,
)
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    CHANGE_ACTOR,
    DEFINITION_BODY,
    IDEMPOTENCY_KEY,
    PAGING,
    actor_of,
    json_response,
    request_id_of,
)
from flowmesh.gateway.routes.definitions.summaries import (
    WorkflowSummaryList,
    workflow_summaries,
)
from flowmesh.gateway.routes.rpc_route import rpc_route

PATHS_MAX = 1_000


async def apply_resources(backends: Backends, request: Request) -> Response:
    source, content_type = await request.definition()
    expected = _expected_digest(request)
    return await _apply_source(backends, request, source, content_type, expected)


async def apply_workflow(backends: Backends, request: Request) -> Response:
    return await _apply_named(backends, request, "Workflow")


async def apply_task(backends: Backends, request: Request) -> Response:
    return await _apply_named(backends, request, "WorkflowTask")


async def _apply_named(backends: Backends, request: Request, kind: str) -> Response:
    """Apply a body that must hold only the resource named by the path."""
    # Imported on first use: other routes of the gateway do not need this library.
    from flowmesh.definitions import read_source

    name = request.param("name")
    source, content_type = await request.definition()
    # Unreadable documents are rejected by the definition service, with all their problems.
    reading = await asyncio.to_thread(read_source, source, content_type)
    others = [
        f"{read.kind} {read.name}"
        for read in reading.resources
        if (read.kind, read.name) != (kind, name)
    ]
    if others:
        what = f"the path names {kind} {name}, but the body holds {', '.join(others[:3])}"
        raise invalid_field("metadata.name", what)
    expected = _expected_digest(request) if kind == "Workflow" else None
    return await _apply_source(backends, request, source, content_type, expected)


def _expected_digest(request: Request) -> str | None:
    """Return the digest of `If-Match`, or an empty one for `If-None-Match: *`."""
    if request.header(b"if-none-match").strip() == "*":
        return ""
    stated = request.header(b"if-match").strip()
    return None if stated in ("", "*") else stated.strip('"')


async def _apply_source(
    backends: Backends,
    request: Request,
    source: bytes,
    content_type: str,
    expected_digest: str | None = None,
) -> Response:
    response = await backends.definitions.Apply(
        pb.ApplyRequest(
            namespace=request.namespace,
            source=source,
            content_type=content_type,
            request_id=request_id_of(request),
            actor=actor_of(request),
            reason=request.text("reason"),
            expected_digest=expected_digest,
            take_over=request.flag("takeOver"),
        )
    )
    applied = applied_resources(response.resources)
    created = any(resource.created for resource in applied)
    only: dict[str, Any] = {}
    if len(applied) == 1:
        resource = applied[0]
        only = {name: getattr(resource, name) for name in ("kind", "name", "version", "digest")}
    answer = answers.Applied(
        resources=applied,
        created=created,
        warnings=problems(response.warnings),
        affected=references(response.affected, request.namespace) or UNSET,
        affected_count=response.affected_count or UNSET,
        **only,
    )
    return json_response(answer, HTTPStatus.CREATED if created else HTTPStatus.OK)


async def validate_workflow(backends: Backends, request: Request) -> Response:
    source, content_type = await request.definition()
    response = await backends.definitions.ValidateWorkflow(
        pb.ValidateWorkflowRequest(
            namespace=request.namespace,
            source=source,
            content_type=content_type,
            lint=request.flag("lint"),
            strict=request.flag("strict"),
        )
    )
    return json_response(
        answers.Validation(
            valid=response.valid,
            problems=[problem(each) for each in response.problems],
            affected=references(response.affected, request.namespace) or UNSET,
            affected_count=response.affected_count or UNSET,
        )
    )


async def list_workflows(backends: Backends, request: Request) -> Response:
    if request.text("view") == "summary":
        return json_response(await workflow_summaries(backends, request))
    response = await backends.definitions.ListWorkflows(
        pb.ListWorkflowsRequest(
            namespace=request.namespace,
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
            filter=request.text("filter"),
        )
    )
    return json_response(
        answers.WorkflowList(
            workflows=[workflow_answer(each, whole=False) for each in response.workflows],
            next_page_token=response.next_page_token,
        )
    )


async def get_workflow(backends: Backends, request: Request) -> Response:
    return await _workflow(backends, request, version_choice(request.text("version")))


async def get_workflow_version(backends: Backends, request: Request) -> Response:
    return await _workflow(backends, request, version_choice(request.param("version")))


async def list_versions(backends: Backends, request: Request) -> Response:
    response = await backends.definitions.ListWorkflowVersions(
        pb.ListWorkflowVersionsRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        answers.VersionList(
            versions=[workflow_answer(each, whole=False) for each in response.versions],
            next_page_token=response.next_page_token,
        )
    )


async def analyze_workflow(backends: Backends, request: Request) -> Response:
    wanted = request.text("durations")
    name = request.param("name")
    response = await backends.definitions.AnalyzeWorkflow(
        pb.AnalyzeWorkflowRequest(
            namespace=request.namespace,
            workflow_id=name,
            version=request.whole("version"),
            path_count_max=request.whole("pathCountMax"),
            durations_ms=await _observed_ms(backends, request.namespace, name)
            if wanted == "observed"
            else {},
        )
    )
    return json_response(analysis_answer(response.workflow_id, response.version, response.analysis))


async def _observed_ms(backends: Backends, namespace: str, name: str) -> dict[str, int]:
    """Return the median of the recent durations of each task of a workflow."""
    stats = await backends.executions.GetStats(
        execution_pb.GetStatsRequest(namespace=namespace, workflow_id=name)
    )
    return {
        task.node: round(task.latency.p50_ms)
        for workflow in stats.workflows
        for task in workflow.tasks
        if task.latency.count
    }


async def _workflow(backends: Backends, request: Request, chosen: dict[str, Any]) -> Response:
    response = await backends.definitions.GetWorkflow(
        pb.GetWorkflowRequest(
            namespace=request.namespace, workflow_id=request.param("name"), **chosen
        )
    )
    return json_response(workflow_answer(response.workflow))


REASON = Query("reason", "The reason, stored with the change.", CHANGE)


_TAKE_OVER = Query(
    "takeOver", "Take the definitions from the system that manages them, such as a cluster.", FLAG
)
_TASK_BODY = replace(
    DEFINITION_BODY,
    example={
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": {"name": "hello"},
        "spec": {"type": "http", "http": {"method": "GET", "url": "https://example.com/"}},
    },
)


_CONDITIONS = (
    RequestHeader(
        "If-Match",
        "The quoted digest of the version that was edited; another newest version is not replaced.",
    ),
    RequestHeader("If-None-Match", "`*` to store a new workflow only."),
)


def _apply(
    summary: str, body: Body = DEFINITION_BODY, conditions: tuple[RequestHeader, ...] = ()
) -> Operation:
    return Operation(
        tag=MANAGE,
        summary=summary,
        description="All resources of a YAML body are applied atomically.",
        body=body,
        query=(REASON, _TAKE_OVER),
        headers=(IDEMPOTENCY_KEY, CHANGE_ACTOR, *conditions),
        answers=(
            Answer(201, "A new version of at least one resource.", answers.Applied),
            Answer(200, "The content was already stored.", answers.Applied),
        ),
        errors=(409, 413, 415) if conditions else (413, 415),
    )


def read(
    summary: str, shape: Any, *query: Query, tag: str = MANAGE, errors: tuple[int, ...] = (404,)
) -> Operation:
    return Operation(
        tag=tag,
        summary=summary,
        query=query,
        answers=(Answer(200, "Found.", shape),),
        errors=errors,
    )


def delete(summary: str, *errors: int) -> Operation:
    return Operation(
        tag=MANAGE,
        summary=summary,
        query=(REASON,),
        headers=(IDEMPOTENCY_KEY, CHANGE_ACTOR),
        answers=(Answer(204, "It is deleted."),),
        errors=(404, *errors),
    )


_VERSION = Query("version", "The version by number or label (default: the newest).", VERSION)
_NUMBER = Query("version", "The version (default: the newest).", NUMBER)
_FILTER = Query("filter", "Terms `id:prefix*` and `label.key=value`, separated by spaces.")
_SUMMARY = Query(
    "view",
    "`summary` adds the description, the last 20 executions, the counts and durations of seven"
    " days, and triggers.",
    one_of("plain", "summary", default="plain"),
)
_PATHS = Query("pathCountMax", "Maximum number of listed paths (default: 100).", whole(PATHS_MAX))
_DURATIONS = Query(
    "durations",
    "Durations for the critical path: declared (default), or recently observed.",
    one_of("declared", "observed", default="declared"),
)
_VALIDATE = Operation(
    tag=TEST,
    summary="Check a definition without storing it",
    query=(
        Query("lint", "Also report likely mistakes as warnings.", FLAG),
        Query("strict", "Treat warnings as errors.", FLAG),
    ),
    body=replace(DEFINITION_BODY, required=False, schemas={}),
    answers=(Answer(200, "All problems.", answers.Validation),),
    errors=(413, 415),
)
_WORKFLOWS = "/api/v1/workflows"
_WORKFLOW = "/api/v1/workflows/{name}"
_TASKS = "/api/v1/tasks"
_TASK = "/api/v1/tasks/{name}"
ROUTES = (
    Route(
        "POST",
        _WORKFLOWS,
        apply_resources,
        _apply("Apply workflows and tasks", conditions=_CONDITIONS),
    ),
    Route("POST", f"{_WORKFLOWS}:validate", validate_workflow, _VALIDATE),
    Route(
        "GET",
        _WORKFLOWS,
        list_workflows,
        Operation(
            tag=MANAGE,
            summary="List workflows",
            query=(_FILTER, _SUMMARY, *PAGING),
            answers=(Answer(200, "Found.", answers.WorkflowList, other=WorkflowSummaryList),),
        ),
    ),
    Route("GET", _WORKFLOW, get_workflow, read("Get a workflow", answers.WorkflowAnswer, _VERSION)),
    Route("PUT", _WORKFLOW, apply_workflow, _apply("Apply a workflow", conditions=_CONDITIONS)),
    rpc_route(
        "DELETE",
        _WORKFLOW,
        pb.DeleteWorkflowRequest,
        delete("Delete a workflow with all versions"),
        names={"name": "workflow_id"},
    ),
    Route(
        "GET",
        f"{_WORKFLOW}/versions",
        list_versions,
        read("List the versions of a workflow, newest first", answers.VersionList, *PAGING),
    ),
    Route(
        "GET",
        f"{_WORKFLOW}/versions/{{version}}",
        get_workflow_version,
        read("Get a version of a workflow", answers.WorkflowAnswer),
    ),
    Route(
        "GET",
        f"{_WORKFLOW}/analysis",
        analyze_workflow,
        read(
            "Analyze the graph of a workflow",
            AnalysisAnswer,
            _NUMBER,
            _PATHS,
            _DURATIONS,
            tag=TEST,
        ),
    ),
    Route(
        "POST",
        _TASKS,
        apply_resources,
        _apply("Apply tasks and workflows", _TASK_BODY),
        "applyTasks",
    ),
    Route("PUT", _TASK, apply_task, _apply("Apply a task", _TASK_BODY)),
)
