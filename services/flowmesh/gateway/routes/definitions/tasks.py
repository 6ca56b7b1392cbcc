"""Reusable tasks, their versions, and the workflows that use them."""

from dataclasses import replace
from http import HTTPStatus
from typing import Any, Literal, cast

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import VERSION_MAX
from flowmesh.gateway.bodies.views import references, timestamp
from flowmesh.gateway.http.operation_docs import Route
from flowmesh.gateway.http.parameters import FLAG, NUMBER, Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, actor_of, json_response, request_id_of
from flowmesh.gateway.routes.definitions.resources import delete, read
from flowmesh.views import raw_json


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


class TaskList(answers.Answer, kw_only=True):
    """Newest versions, sorted by name."""

    tasks: list[TaskAnswer]
    next_page_token: str


class TaskVersionList(answers.Answer, kw_only=True):
    """Versions, newest first."""

    versions: list[TaskAnswer]
    next_page_token: str


class TaskUsageList(answers.Answer, kw_only=True):
    """Versions in use that refer to the task, in all namespaces."""

    workflows: list[answers.WorkflowReference]
    next_page_token: str | UnsetType = UNSET


async def list_tasks(backends: Backends, request: Request) -> Response:
    response = await backends.definitions.ListTasks(
        pb.ListTasksRequest(
            namespace=request.namespace,
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
            shared=request.flag("shared"),
        )
    )
    return json_response(
        TaskList(
            tasks=[_task(each, whole=False) for each in response.tasks],
            next_page_token=response.next_page_token,
        )
    )


async def get_task(backends: Backends, request: Request) -> Response:
    response = await backends.definitions.GetTask(
        pb.GetTaskRequest(
            namespace=request.namespace,
            name=request.param("name"),
            version=request.whole("version"),
        )
    )
    return json_response(_task(response.task))


async def list_task_versions(backends: Backends, request: Request) -> Response:
    response = await backends.definitions.ListTaskVersions(
        pb.ListTaskVersionsRequest(
            namespace=request.namespace,
            name=request.param("name"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        TaskVersionList(
            versions=[_task(each, whole=False) for each in response.versions],
            next_page_token=response.next_page_token,
        )
    )


async def get_task_version(backends: Backends, request: Request) -> Response:
    response = await backends.definitions.GetTask(
        pb.GetTaskRequest(
            namespace=request.namespace, name=request.param("name"), version=_number(request)
        )
    )
    return json_response(_task(response.task))


async def delete_task(backends: Backends, request: Request) -> Response:
    return await _delete_task(backends, request, 0)


async def delete_task_version(backends: Backends, request: Request) -> Response:
    return await _delete_task(backends, request, _number(request))


def _number(request: Request) -> int:
    return int(request.param("version"))


async def _delete_task(backends: Backends, request: Request, version: int) -> Response:
    await backends.definitions.DeleteTask(
        pb.DeleteTaskRequest(
            namespace=request.namespace,
            name=request.param("name"),
            request_id=request_id_of(request),
            actor=actor_of(request),
            reason=request.text("reason"),
            version=version,
        )
    )
    return Response(HTTPStatus.NO_CONTENT)


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


def _task(task: definition_pb2.Task, *, whole: bool = True) -> TaskAnswer:
    """Return a version of a task, in lists without the definition."""
    return TaskAnswer(
        name=task.name,
        version=task.version,
        digest=task.digest,
        type=task.type,
        created_at=timestamp(task.created_at),
        labels=dict(task.labels),
        namespace=task.namespace,
        visibility=cast("Any", task.visibility),
        definition=raw_json(task.definition) if whole else UNSET,
    )


_NUMBER = Query("version", "The version (default: the newest).", NUMBER)
_PINNED = Query("version", "Only workflows that are pinned to this version.", NUMBER)
_SHARED = Query("shared", "List the public tasks of all namespaces instead.", FLAG)
_TASKS = "/api/v1/tasks"
_TASK = f"{_TASKS}/{{name}}"
_VERSION = f"{_TASK}/versions/{{version}}"
_EXACT = {"version": whole(VERSION_MAX, least=1)}
ROUTES = (
    Route("GET", _TASKS, list_tasks, read("List tasks", TaskList, _SHARED, *PAGING, errors=())),
    Route("GET", _TASK, get_task, read("Get a task", TaskAnswer, _NUMBER)),
    Route("DELETE", _TASK, delete_task, delete("Delete a task", 409)),
    Route(
        "GET",
        f"{_TASK}/versions",
        list_task_versions,
        read("List the versions of a task, newest first", TaskVersionList, *PAGING),
    ),
    Route(
        "GET",
        _VERSION,
        get_task_version,
        replace(read("Get a version of a task", TaskAnswer), path=_EXACT),
    ),
    Route(
        "DELETE",
        _VERSION,
        delete_task_version,
        replace(delete("Delete a version of a task", 409), path=_EXACT),
    ),
    Route(
        "GET",
        f"{_TASK}/usages",
        list_task_usages,
        read("List the workflows that refer to a task", TaskUsageList, _PINNED, *PAGING),
    ),
)
