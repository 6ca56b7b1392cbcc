"""Workflows with what their executions of a week tell, in a bounded number of calls a page."""

import asyncio
from collections import Counter

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.event.v1 import trigger_service_pb2
from flowmesh.api.execution.v1 import execution_service_pb2, search_service_pb2
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.views import timestamp
from flowmesh.gateway.http.limits import PAGE_SIZE_MAX
from flowmesh.gateway.http.requests import Request
from flowmesh.views import execution_status

RECENT = 20
SUMMARIES_MAX = 100
"""Workflows of a page; each needs a call for its recent executions."""
DESCRIPTION_MAX = 300
"""Characters of a description in a list."""
_CALLS_AT_ONCE = 8
_WEEK = 'started > "-168h"'
_COMPLETED = "completed"


class RecentExecution(answers.Answer, kw_only=True):
    """One of the last executions of a workflow."""

    execution_id: str
    status: answers.ExecutionWord


class WorkflowSummary(answers.Answer, kw_only=True):
    """A workflow with its last executions, newest first, and its week.

    `executions` counts by status those that started in the last seven days, `p95Ms` is of the
    completed ones. `description` has the first 300 characters of that of the definition.
    """

    name: str
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    version: int
    format: str
    created_at: answers.Instant
    labels: dict[str, str]
    recent: list[RecentExecution]
    executions: dict[str, int]
    p95_ms: float | UnsetType = UNSET
    triggers: int


class WorkflowSummaryList(answers.Answer, kw_only=True):
    """Workflows, sorted by name."""

    workflows: list[WorkflowSummary]
    next_page_token: str


class _Spec(msgspec.Struct):
    description: str = ""


class _Definition(msgspec.Struct):
    """The part of a definition of any format that describes it to people."""

    spec: _Spec = msgspec.field(default_factory=_Spec)
    description: str = ""


async def workflow_summaries(backends: Backends, request: Request) -> WorkflowSummaryList:
    namespace = request.namespace
    listed, week, triggers = await asyncio.gather(
        backends.definitions.ListWorkflows(
            pb.ListWorkflowsRequest(
                namespace=namespace,
                page_size=min(request.whole("pageSize") or SUMMARIES_MAX, SUMMARIES_MAX),
                page_token=request.text("pageToken"),
                filter=request.text("filter"),
            )
        ),
        backends.searches.CountExecutions(
            search_service_pb2.CountExecutionsRequest(
                namespace=namespace,
                filter=_WEEK,
                group_by=["workflow", "status"],
                durations=True,
            )
        ),
        backends.triggers.ListTriggers(
            trigger_service_pb2.ListTriggersRequest(namespace=namespace, page_size=PAGE_SIZE_MAX)
        ),
    )
    counted = Counter(each.workflow_id for each in triggers.triggers)
    groups: dict[str, dict[str, search_service_pb2.ExecutionGroup]] = {}
    for group in week.groups:
        workflow_id, status = group.values
        groups.setdefault(workflow_id, {})[status] = group
    recent = await _recent(backends, namespace, [each.workflow_id for each in listed.workflows])
    return WorkflowSummaryList(
        workflows=[
            _summary(each, groups.get(each.workflow_id, {}), shown, counted[each.workflow_id])
            for each, shown in zip(listed.workflows, recent, strict=True)
        ],
        next_page_token=listed.next_page_token,
    )


async def _recent(
    backends: Backends, namespace: str, names: list[str]
) -> list[list[RecentExecution]]:
    """Return the last executions of each workflow; some calls at once."""
    slots = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def last(name: str) -> list[RecentExecution]:
        async with slots:
            page = await backends.executions.ListExecutions(
                execution_service_pb2.ListExecutionsRequest(
                    namespace=namespace, workflow_id=name, page_size=RECENT
                )
            )
        return [
            RecentExecution(
                execution_id=each.execution_id,
                status=execution_status(each.status),  # type: ignore[arg-type]
            )
            for each in page.executions
        ]

    return await asyncio.gather(*map(last, names))


def _summary(
    workflow: definition_pb2.Workflow,
    groups: dict[str, search_service_pb2.ExecutionGroup],
    recent: list[RecentExecution],
    triggers: int,
) -> WorkflowSummary:
    completed = groups.get(_COMPLETED)
    return WorkflowSummary(
        name=workflow.workflow_id,
        title=workflow.name or UNSET,
        description=_description(workflow.definition)[:DESCRIPTION_MAX] or UNSET,
        version=workflow.version,
        format=workflow.format,
        created_at=timestamp(workflow.created_at),
        labels=dict(workflow.labels),
        recent=recent,
        executions={status: group.count for status, group in groups.items()},
        p95_ms=completed.p95_ms if completed is not None else UNSET,
        triggers=triggers,
    )


def _description(definition: bytes) -> str:
    """Return the description in a definition; empty in a format that has other values there."""
    try:
        found = msgspec.json.decode(definition, type=_Definition)
    except msgspec.ValidationError:
        return ""
    return found.spec.description or found.description
