"""The use of a project's quota, as the services that hold its objects count it."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowmesh.api.definition.v1 import definition_service_pb2 as definitions_pb
from flowmesh.api.execution.v1 import search_service_pb2 as search_pb
from flowmesh.identity.storage.files import FileStore
from flowmesh.identity.storage.keys import KeyStore
from flowmesh.identity.storage.records import Project, Quota, Usage
from flowmesh.views import instant

if TYPE_CHECKING:
    from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceAsyncStub
    from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceAsyncStub

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
RUNNING = "status IN (pending, running, paused, compensating)"


class ProjectUse:
    """Counts what the objects of projects use."""

    def __init__(
        self,
        *,
        searches: "SearchServiceAsyncStub",
        definitions: "DefinitionServiceAsyncStub",
        files: FileStore,
        keys: KeyStore,
    ) -> None:
        self._searches, self._definitions = searches, definitions
        self._files, self._keys = files, keys

    async def now(self, project: Project, now_us: int) -> Quota:
        """Return the use of a project in the fields of its quota."""
        namespace = project.namespace
        workflows = await self._definitions.CountWorkflows(
            definitions_pb.CountWorkflowsRequest(namespace=namespace)
        )
        return Quota(
            starts_per_second=await self._count(namespace, _since(now_us - SECOND_US)),
            running_executions=await self._count(namespace, RUNNING),
            executions_per_day=await self._count(namespace, _since(now_us - now_us % DAY_US)),
            definitions=workflows.count,
            file_bytes=await self._files.used_bytes(project.id),
            api_keys=await self._keys.count(project.id),
        )

    async def hours(self, namespace: str, begin_us: int) -> list[Usage]:
        """Return the executions of a day from its begin, per hour of their start, newest first."""
        answer = await self._searches.CountExecutions(
            search_pb.CountExecutionsRequest(
                namespace=namespace,
                filter=f'{_since(begin_us)} AND started < "{instant(begin_us + DAY_US)}"',
                group_by=["hour", "status"],
            )
        )
        found: dict[str, dict[str, int]] = {}
        for group in answer.groups:
            hour, status = group.values
            found.setdefault(hour, {})[status] = group.count
        return [
            Usage(
                hour_us=_hour_us(hour),
                started=sum(counts.values()),
                completed=counts.get("completed", 0),
                failed=counts.get("failed", 0),
            )
            for hour, counts in sorted(found.items(), reverse=True)
        ]

    async def _count(self, namespace: str, filter: str) -> int:
        request = search_pb.CountExecutionsRequest(namespace=namespace, filter=filter)
        answer: Any = await self._searches.CountExecutions(request)
        return int(answer.count)


def _since(time_us: int) -> str:
    return f'started >= "{instant(time_us)}"'


def _hour_us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_US
