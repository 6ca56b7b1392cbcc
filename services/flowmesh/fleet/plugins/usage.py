"""The definitions of a namespace that have tasks of certain types."""

from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Final

import msgspec

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.contract.json_value import Json

if TYPE_CHECKING:
    from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceAsyncStub

_PAGE: Final = 1_000
# Members that hold a task type in the formats of definitions.
_MEMBERS: Final = frozenset({"type", "action", "taskType", "task_type", "call"})


class Usage:
    """Asks the definition service."""

    def __init__(self, definitions: "DefinitionServiceAsyncStub") -> None:
        self._definitions = definitions

    async def of(self, namespace: str, task_types: Collection[str]) -> list[str]:
        """Return the tasks of these types and the workflows with them, such as `task note`."""
        tasks = [each async for each in self._tasks(namespace, task_types)]
        workflows = [each async for each in self._workflows(namespace, task_types)]
        for each in tasks:
            request = pb.ListTaskUsagesRequest(namespace=namespace, name=each, page_size=_PAGE)
            answer = await self._definitions.ListTaskUsages(request)
            workflows += [found.name for found in answer.workflows]
        return [
            *(f"task {each}" for each in tasks),
            *(f"workflow {each}" for each in dict.fromkeys(workflows)),
        ]

    async def _tasks(self, namespace: str, task_types: Collection[str]) -> AsyncIterator[str]:
        token = ""
        while True:
            request = pb.ListTasksRequest(namespace=namespace, page_size=_PAGE, page_token=token)
            answer = await self._definitions.ListTasks(request)
            for each in answer.tasks:
                if each.type in task_types:
                    yield each.name
            token = answer.next_page_token
            if not token:
                return

    async def _workflows(self, namespace: str, task_types: Collection[str]) -> AsyncIterator[str]:
        token = ""
        while True:
            request = pb.ListWorkflowsRequest(
                namespace=namespace, page_size=_PAGE, page_token=token
            )
            answer = await self._definitions.ListWorkflows(request)
            for each in answer.workflows:
                if _names(msgspec.json.decode(each.definition), task_types):
                    yield each.name
            token = answer.next_page_token
            if not token:
                return


def _names(value: Json, task_types: Collection[str]) -> bool:
    """Return whether a definition names one of the types."""
    if isinstance(value, dict):
        return any(
            (name in _MEMBERS and isinstance(each, str) and each in task_types)
            or _names(each, task_types)
            for name, each in value.items()
        )
    return isinstance(value, list) and any(_names(each, task_types) for each in value)
