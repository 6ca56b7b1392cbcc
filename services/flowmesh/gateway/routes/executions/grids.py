"""The last executions of a workflow by its tasks: a grid in one bounded answer."""

import asyncio
from contextlib import suppress
from typing import cast

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_service_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.views import execution_summary
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, Route
from flowmesh.gateway.http.parameters import Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.views import node_status

EXECUTIONS_DEFAULT, EXECUTIONS_MAX = 50, 100
TASKS_MAX = 500
_CALLS_AT_ONCE = 8


class GridCell(answers.Answer, kw_only=True):
    """A task in an execution; `durationMs` is present once it has ended."""

    status: answers.StepWord
    attempts: int
    duration_ms: int | UnsetType = UNSET


class GridColumn(answers.Answer, kw_only=True):
    """An execution with its tasks by id; those that its version does not have are left out."""

    execution_id: str
    version: int
    status: answers.ExecutionWord
    started_at: answers.Instant | UnsetType = UNSET
    duration_ms: int | UnsetType = UNSET
    tasks: dict[str, GridCell]


class GridAnswer(answers.Answer, kw_only=True):
    """Executions, newest first, and all of their tasks in the order of the newest version.

    `tasksCapped` is true if there are more tasks than are listed.
    """

    workflow: str
    version: int
    tasks: list[str]
    tasks_capped: bool
    executions: list[GridColumn]


async def get_grid(backends: Backends, request: Request) -> Response:
    namespace, workflow = request.namespace, request.param("name")
    found, page = await asyncio.gather(
        backends.definitions.GetPlan(
            definition_service_pb2.GetPlanRequest(namespace=namespace, workflow_id=workflow)
        ),
        backends.executions.ListExecutions(
            pb.ListExecutionsRequest(
                namespace=namespace,
                workflow_id=workflow,
                page_size=request.whole("executions", default=EXECUTIONS_DEFAULT),
            )
        ),
    )
    slots = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def column(execution_id: str) -> GridColumn | None:
        """Return an execution; None if it was deleted since it was listed."""
        call = pb.GetExecutionRequest(namespace=namespace, execution_id=execution_id)
        async with slots:
            with suppress(NotFound):
                return _column((await backends.executions.GetExecution(call)).execution)
        return None

    found_columns = await asyncio.gather(*(column(each.execution_id) for each in page.executions))
    columns = [each for each in found_columns if each is not None]
    names = dict.fromkeys(node.id for node in found.plan.nodes)
    for each in columns:
        names |= dict.fromkeys(each.tasks)
    tasks = list(names)[:TASKS_MAX]
    listed = set(tasks)
    for each in columns:
        each.tasks = {name: cell for name, cell in each.tasks.items() if name in listed}
    return json_response(
        GridAnswer(
            workflow=workflow,
            version=found.plan.version,
            tasks=tasks,
            tasks_capped=len(names) > TASKS_MAX,
            executions=columns,
        )
    )


def _column(execution: execution_pb2.Execution) -> GridColumn:
    summary = execution_summary(execution)
    return GridColumn(
        execution_id=summary.execution_id,
        version=summary.version,
        status=summary.status,
        started_at=summary.started_at,
        duration_ms=summary.duration_ms,
        tasks={node.id: _cell(node) for node in execution.nodes if not _is_inner(node.id)},
    )


def _is_inner(node: str) -> bool:
    """Return whether a node is part of another one, such as `each[3]/charge`."""
    return "/" in node


def _cell(node: execution_pb2.Node) -> GridCell:
    begun_us = node.started_at_us or node.scheduled_at_us
    ended = bool(begun_us and node.ended_at_us)
    return GridCell(
        status=cast(answers.StepWord, node_status(node.status)),
        attempts=node.attempts,
        duration_ms=max(0, node.ended_at_us - begun_us) // 1_000 if ended else UNSET,
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/workflows/{name}/grid",
        get_grid,
        Operation(
            tag=TEST,
            summary="Get the last executions of a workflow by its tasks",
            query=(
                Query(
                    "executions",
                    "Maximum number of executions.",
                    whole(EXECUTIONS_MAX, least=1, default=EXECUTIONS_DEFAULT),
                ),
            ),
            answers=(Answer(200, "The grid, newest executions first.", GridAnswer),),
            errors=(404,),
        ),
    ),
)
