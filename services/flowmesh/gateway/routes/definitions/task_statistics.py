"""The use of a reusable task: workflows that refer to it, and how its runs ended."""

import asyncio

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as execution_pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response

# Each is one call for its plan.
WORKFLOWS_MAX = 50


class TaskStatistics(answers.Answer, kw_only=True):
    """Use of a task by the first 50 workflows of the namespace that refer to it.

    Counts are those of the newest versions; `successRate` and `medianMs` are absent before the
    first run. `medianMs` is the median of the medians of the nodes, weighted by their runs.
    """

    workflows: int
    completed: int
    failed: int
    retried: int
    success_rate: float | UnsetType = UNSET
    median_ms: float | UnsetType = UNSET


async def task_statistics(backends: Backends, request: Request) -> Response:
    namespace, name = request.namespace, request.param("name")
    usages = await backends.definitions.ListTaskUsages(
        pb.ListTaskUsagesRequest(namespace=namespace, name=name, page_size=WORKFLOWS_MAX)
    )
    own = namespace or "default"
    workflows = sorted({each.name for each in usages.workflows if each.namespace in ("", own)})
    stats = await backends.executions.GetStats(execution_pb.GetStatsRequest(namespace=namespace))
    nodes = await asyncio.gather(*(_nodes(backends, namespace, each, name) for each in workflows))
    of = dict(zip(workflows, nodes, strict=True))
    found = [
        node
        for workflow in stats.workflows
        for node in workflow.tasks
        if node.node in of.get(workflow.workflow_id, ())
    ]
    return json_response(_statistics(len(workflows), found))


async def _nodes(backends: Backends, namespace: str, workflow: str, task: str) -> set[str]:
    """Return the ids of the nodes of a workflow that refer to a task."""
    request = pb.GetPlanRequest(namespace=namespace, workflow_id=workflow)
    plan = (await backends.definitions.GetPlan(request)).plan
    specs = {index for index, each in enumerate(plan.specs) if each.task_name == task}
    return {each.id for each in plan.nodes if each.spec in specs}


def _statistics(workflows: int, nodes: list[execution_pb2.TaskStats]) -> TaskStatistics:
    completed = sum(each.completed for each in nodes)
    failed = sum(each.failed for each in nodes)
    return TaskStatistics(
        workflows=workflows,
        completed=completed,
        failed=failed,
        retried=sum(each.retried for each in nodes),
        success_rate=completed / (completed + failed) if completed + failed else UNSET,
        median_ms=_median(nodes),
    )


def _median(nodes: list[execution_pb2.TaskStats]) -> float | UnsetType:
    left = sum(each.latency.count for each in nodes) / 2
    for each in sorted(nodes, key=lambda each: each.latency.p50_ms):
        left -= each.latency.count
        if each.latency.count and left <= 0:
            return each.latency.p50_ms
    return UNSET
