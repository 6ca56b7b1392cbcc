"""Calls about retention and the archive of ended executions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flowmesh.api.execution.v1 import retention_service_pb2 as pb
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as rpc
from flowmesh.records import values_from
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.executions import Execution, micros_of

LISTED_DEFAULT = 1_000
PAGE_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The number of ended executions, and those that differed from their history, with fields."""

    checked: int
    differences: Mapping[str, tuple[str, ...]]


class ArchiveCalls:
    """Retention and archived executions of the client's namespace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.RetentionServiceStub(connection.caller.channel)

    async def retention(self) -> tuple[int, bool]:
        """Return the retention in ms, and True if it is set for the namespace itself."""
        response = await self._connection.call(self._stub.GetRetention, pb.GetRetentionRequest())
        return response.retention_ms, response.own

    async def set_retention(self, retention_ms: int) -> None:
        """Set the retention of the namespace in ms; 0 restores the default of the suite."""
        request = pb.SetRetentionRequest(retention_ms=retention_ms)
        await self._connection.call(self._stub.SetRetention, request)

    async def delete(self, execution_id: str) -> None:
        """Delete an ended execution with its history, from the archive too."""
        request = pb.DeleteExecutionRequest(execution_id=execution_id)
        await self._connection.call(self._stub.DeleteExecution, request)

    async def erase(self, execution_id: str, reason: str = "", *, request_id: str = "") -> None:
        """Erase the values of an ended execution; actor, time and reason stay in its history."""
        request = pb.EraseExecutionRequest(execution_id=execution_id, reason=reason)
        await self._connection.change(self._stub.EraseExecution, request, request_id)

    async def rebuild(self, *, verify: bool = False) -> Rebuilt:
        """Compute the rows of all ended executions again from their histories.

        Stored rows that differ are corrected, unless `verify` is set.
        """
        request = pb.RebuildExecutionsRequest(verify=verify)
        checked, differences = 0, dict[str, tuple[str, ...]]()
        while True:
            response = await self._connection.call(
                self._stub.RebuildExecutions, request, timeout_s=limits.RUN_TIMEOUT_S
            )
            checked += response.checked
            for each in response.differences:
                differences[each.execution_id] = tuple(each.fields)
            if not response.next_page_token:
                return Rebuilt(checked, differences)
            request.page_token = response.next_page_token

    async def list(
        self,
        *,
        workflow_id: str = "",
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        limit: int = LISTED_DEFAULT,
    ) -> tuple[Execution, ...]:
        """Return the archived executions, oldest first, at most `limit`; all if 0."""
        request = pb.ListArchivedRequest(
            workflow_id=workflow_id,
            started_after_us=micros_of(started_after),
            started_before_us=micros_of(started_before),
        )
        found: list[Execution] = []
        while not limit or len(found) < limit:
            request.page_size = min(limit - len(found) if limit else PAGE_MAX, PAGE_MAX)
            response = await self._connection.call(self._stub.ListArchived, request)
            found += values_from(Execution, response.executions)
            if not response.next_page_token:
                break
            request.page_token = response.next_page_token
        return tuple(found)

    async def document(self, execution_id: str) -> bytes:
        """Return the archive file of an execution: JSON lines."""
        request = pb.GetArchivedRequest(
            namespace=self._connection.namespace, execution_id=execution_id
        )

        async def once() -> bytes:
            stream = self._stub.GetArchived(request, timeout=limits.RETRY_TOTAL_S)
            return b"".join([each.chunk async for each in stream])

        return await self._connection.caller.retried(once)
