"""Counts and latencies of workflows and their tasks."""

from typing import Annotated

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import template_service_pb2 as template_pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, Route
from flowmesh.gateway.http.parameters import OPTIONAL_ID, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.records import Source, reader


class LatencyValue(answers.Answer, kw_only=True):
    """Latencies of the last 1,000 samples; `count` and `totalMs` are of all."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    total_ms: float


class TaskStatsValue(answers.Answer, kw_only=True):
    """Statistics of a task."""

    id: Annotated[str, Source("node")]
    completed: int
    failed: int
    retried: int
    latency: LatencyValue


class WorkflowStatsValue(answers.Answer, kw_only=True):
    """Statistics of a workflow; latencies are from start to end."""

    workflow: Annotated[str, Source("workflow_id")]
    started: int
    completed: int
    failed: int
    canceled: int
    latency: LatencyValue
    tasks: list[TaskStatsValue]


class TemplateStatsValue(answers.Answer, kw_only=True):
    """Numbers of all workflows, of those made from templates with their share, and per template."""

    workflows: int
    from_templates: int
    share: float
    templates: dict[str, int]


class StatsAnswer(answers.Answer, kw_only=True):
    """Statistics since the start of each orchestrator; `unreachable` ones are not included.

    `templates` is present unless a single workflow is requested.
    """

    workflows: list[WorkflowStatsValue]
    unreachable: list[str]
    templates: TemplateStatsValue | UnsetType = UNSET


async def get_stats(backends: Backends, request: Request) -> Response:
    workflow = request.text("workflow")
    response = await backends.executions.GetStats(
        pb.GetStatsRequest(
            namespace=request.namespace,
            workflow_id=workflow,
        )
    )
    answer = StatsAnswer(
        workflows=[_workflow(each) for each in response.workflows],
        unreachable=list(response.unreachable),
    )
    if not workflow:
        counted = await backends.templates.GetTemplateStats(
            template_pb.GetTemplateStatsRequest(namespace=request.namespace)
        )
        answer.templates = _templates(counted)
    return json_response(answer)


_workflow = reader(WorkflowStatsValue, execution_pb2.WorkflowStats)


def _templates(counted: template_pb.GetTemplateStatsResponse) -> TemplateStatsValue:
    made, workflows = counted.from_template_count, counted.workflow_count
    return TemplateStatsValue(
        workflows=workflows,
        from_templates=made,
        share=made / workflows if workflows else 0.0,
        templates={each.name: each.workflow_count for each in counted.templates},
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/stats",
        get_stats,
        Operation(
            tag=TEST,
            summary="Get counts and latency percentiles by workflow and task",
            description="Counted since the start of each orchestrator.",
            query=(Query("workflow", "Only this workflow.", OPTIONAL_ID),),
            answers=(Answer(200, "Workflows with executions in this time.", StatsAnswer),),
        ),
    ),
)
