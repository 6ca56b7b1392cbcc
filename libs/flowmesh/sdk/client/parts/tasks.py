"""Calls about reusable tasks: read, list and delete them."""

from collections.abc import AsyncIterator

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as rpc
from flowmesh.records import value_from
from flowmesh.sdk.client.parts.workflows import Stored, User
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values import limits


class TaskCalls:
    """Reusable tasks (`WorkflowTask`) of the client's namespace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.DefinitionServiceStub(connection.caller.channel)

    async def get(self, name: str, *, version: int = 0) -> Stored:
        """Return one version of a reusable task, by default the newest."""
        request = pb.GetTaskRequest(name=name, version=version)
        response = await self._connection.call(self._stub.GetTask, request)
        return _stored_task(response.task)

    async def list(self, *, page_size: int = limits.PAGE_SIZE) -> AsyncIterator[Stored]:
        """Iterate over the newest versions of all reusable tasks, by name."""
        request = pb.ListTasksRequest(page_size=page_size)
        async for item in self._connection.pages(self._stub.ListTasks, request, "tasks"):
            yield _stored_task(item)

    async def users(
        self, name: str, *, version: int = 0, page_size: int = limits.PAGE_SIZE
    ) -> AsyncIterator[User]:
        """Iterate over the workflow versions in use that refer to the task, in all namespaces.

        With `version`, only over those that refer to that version of the task.
        """
        request = pb.ListTaskUsagesRequest(name=name, version=version, page_size=page_size)
        async for item in self._connection.pages(self._stub.ListTaskUsages, request, "workflows"):
            yield value_from(User, item)

    async def delete(self, name: str, *, version: int = 0, request_id: str = "") -> None:
        """Delete a task or one version of it; fails while a version in use refers to it."""
        request = pb.DeleteTaskRequest(name=name, version=version)
        await self._connection.change(self._stub.DeleteTask, request, request_id)


def _stored_task(task: definition_pb2.Task) -> Stored:
    return value_from(
        Stored, task, kind="WorkflowTask", id=task.name, name=task.name, format=task.type
    )
