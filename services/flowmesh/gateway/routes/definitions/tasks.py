"""Reusable tasks, their versions, and the workflows that use them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.views import references
from flowmesh.gateway.http.ids import VERSION_MAX
from flowmesh.gateway.http.operation_docs import Route
from flowmesh.gateway.http.parameters import FLAG, NUMBER, Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, json_response
from flowmesh.gateway.routes.definitions.resources import delete, read
from flowmesh.gateway.routes.definitions.task_statistics import TaskStatistics, task_statistics
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import Source, reader


class TaskAnswer(answers.Answer, kw_only=True):
    """A version of a reusable task."""

    name: str
    version: int
    digest: str
    type: str
    created_at: answers.Instant
    labels: dict[str, str]
    namespace: str
    visibility: Literal["private", "namespace", "public"]
    definition: answers.Json | UnsetType = UNSET


_answer = reader(TaskAnswer, definition_pb2.Task, given=("definition",))


def _listed(tasks: Iterable[definition_pb2.Task]) -> list[TaskAnswer]:
    """Return tasks without their definitions."""
    return [_answer(each, definition=UNSET) for each in tasks]


class TaskList(answers.Answer, kw_only=True):
    """Newest versions, sorted by name."""

    tasks: Annotated[list[TaskAnswer], Source(read=_listed)]
    next_page_token: str


class TaskVersionList(answers.Answer, kw_only=True):
    """Versions, newest first."""

    versions: Annotated[list[TaskAnswer], Source(read=_listed)]
    next_page_token: str


class TaskUsageList(answers.Answer, kw_only=True):
    """Versions in use that refer to the task, in all namespaces."""

    workflows: list[answers.WorkflowReference]
    next_page_token: str | UnsetType = UNSET


async def list_task_usages(backends: Backends, request: Request) -> Response:
    response = await backends.definitions.ListTaskUsages(
        pb.ListTaskUsagesRequest(
            namespace=request.namespace,
            name=request.param("name"),
            version=request.whole("version"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        TaskUsageList(
            workflows=references(response.workflows, request.namespace),
            next_page_token=response.next_page_token or UNSET,
        )
    )


_NUMBER = Query("version", "The version (default: the newest).", NUMBER)
_PINNED = Query("version", "Only workflows that are pinned to this version.", NUMBER)
_SHARED = Query("shared", "List the public tasks of all namespaces instead.", FLAG)
_TASKS = "/api/v1/tasks"
_TASK = f"{_TASKS}/{{name}}"
_VERSION = f"{_TASK}/versions/{{version}}"
_EXACT = {"version": whole(VERSION_MAX, least=1)}
ROUTES = (
    rpc_route(
        "GET",
        _TASKS,
        pb.ListTasksRequest,
        read("List tasks", TaskList, _SHARED, *PAGING, errors=()),
    ),
    rpc_route(
        "GET",
        _TASK,
        pb.GetTaskRequest,
        read("Get a task", TaskAnswer, _NUMBER),
        part="task",
    ),
    rpc_route(
        "DELETE",
        _TASK,
        pb.DeleteTaskRequest,
        delete("Delete a task", 409),
    ),
    rpc_route(
        "GET",
        f"{_TASK}/versions",
        pb.ListTaskVersionsRequest,
        read("List the versions of a task, newest first", TaskVersionList, *PAGING),
    ),
    rpc_route(
        "GET",
        _VERSION,
        pb.GetTaskRequest,
        replace(read("Get a version of a task", TaskAnswer), path=_EXACT),
        name="get_task_version",
        part="task",
    ),
    rpc_route(
        "DELETE",
        _VERSION,
        pb.DeleteTaskRequest,
        replace(delete("Delete a version of a task", 409), path=_EXACT),
        name="delete_task_version",
    ),
    Route(
        "GET",
        f"{_TASK}/statistics",
        task_statistics,
        read("Get the use of a task: success rate and median duration", TaskStatistics),
    ),
    Route(
        "GET",
        f"{_TASK}/usages",
        list_task_usages,
        read("List the workflows that refer to a task", TaskUsageList, _PINNED, *PAGING),
    ),
)
