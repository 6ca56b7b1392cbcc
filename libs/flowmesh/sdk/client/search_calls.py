"""The client's calls about many executions: counts, bulks, retention, the archive, erasure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from flowmesh.api.common.v1 import search_pb2
from flowmesh.api.execution.v1 import bulk_service_pb2 as bulk_pb
from flowmesh.api.execution.v1 import bulk_service_pb2_grpc as bulk_rpc
from flowmesh.api.execution.v1 import retention_service_pb2 as retention_pb
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as retention_rpc
from flowmesh.api.execution.v1 import search_service_pb2 as pb
from flowmesh.api.execution.v1 import search_service_pb2_grpc as rpc
from flowmesh.sdk import limits
from flowmesh.sdk.client.connection import Connection
from flowmesh.sdk.executions import Execution, execution_of, moment
from flowmesh.sdk.payloads import Json

SearchValue: TypeAlias = str | float | bool | datetime
"""Of a search attribute: text, a number, a flag or a time, as the workflow declares it."""


@dataclass(frozen=True, slots=True)
class Group:
    """How many executions have these values, in the order of the names asked for."""

    values: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Count:
    """All executions a filter takes, and the largest groups of them."""

    count: int
    groups: tuple[Group, ...]
    capped: bool


@dataclass(frozen=True, slots=True)
class BulkFailure:
    execution_id: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Bulk:
    """One action on every execution that a filter takes, and how far it is.

    `status` is running, completed or canceled; `skipped` were in a state the action has no place
    in; of the `failed` the first 20 are in `failures`.
    """

    id: str
    action: str
    filter: str
    status: str
    matched: int
    applied: int
    skipped: int
    failed: int
    failures: tuple[BulkFailure, ...]
    created_at: datetime | None
    ended_at: datetime | None

    @property
    def done(self) -> int:
        return self.applied + self.skipped + self.failed


class SearchCalls(Connection):
    """Searches and what is done to what they find."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.search_service = rpc.SearchServiceStub(self.caller.channel)
        self.bulk_service = bulk_rpc.BulkServiceStub(self.caller.channel)
        self.retention_service = retention_rpc.RetentionServiceStub(self.caller.channel)

    async def count_executions(self, filter: str = "", *, group_by: Sequence[str] = ()) -> Count:
        """How many executions a filter takes, in groups by at most three names."""
        request = pb.CountExecutionsRequest(
            namespace=self.namespace, filter=filter, group_by=group_by
        )
        response = await self.caller.call(self.search_service.CountExecutions, request)
        groups = [Group(tuple(each.values), each.count) for each in response.groups if group_by]
        return Count(response.count, tuple(groups), response.groups_capped)

    async def set_search_attributes(
        self,
        execution_id: str,
        values: Mapping[str, SearchValue | None],
        *,
        request_id: str = "",
    ) -> int:
        """Sets attributes the workflow declares, removes those that are None; the event's
        sequence.
        """
        request = pb.SetSearchAttributesRequest(
            namespace=self.namespace,
            execution_id=execution_id,
            values=[_search_value(n, value) for n, value in values.items() if value is not None],
            removed=[name for name, value in values.items() if value is None],
            request_id=request_id or self.new_id(),
            actor=self.actor,
        )
        response = await self.caller.call(self.search_service.SetSearchAttributes, request)
        return int(response.sequence)

    # --- bulks ---

    async def preview_bulk(self, filter: str) -> tuple[int, tuple[str, ...]]:
        """How many executions a bulk over the filter would be about, and the first of them."""
        request = bulk_pb.PreviewBulkRequest(namespace=self.namespace, filter=filter)
        response = await self.caller.call(self.bulk_service.PreviewBulk, request)
        return response.count, tuple(response.execution_ids)

    async def start_bulk(
        self,
        action: str,
        filter: str,
        *,
        reason: str = "",
        signal: str = "",
        payload: Json = None,
        from_failed: bool = False,
        newest_version: bool = False,
        rate_per_second: int = 0,
        request_id: str = "",
    ) -> Bulk:
        """Begins to cancel, terminate, pause, resume, signal, retry or rerun all that the filter
        takes.

        A retry tries every failed node of a running execution again. A rerun starts a new execution
        for each that has ended: all of it, or what failed with all behind it; of the version that
        ran, or the newest.
        """
        wanted = bulk_pb.BulkAction(
            name=action,
            reason=reason,
            signal=signal,
            from_failed=from_failed,
            newest_version=newest_version,
        )
        if signal:
            wanted.payload.CopyFrom(await self.payloads.pack(payload))
        request = bulk_pb.StartBulkRequest(
            namespace=self.namespace,
            filter=filter,
            action=wanted,
            rate_per_second=rate_per_second,
            request_id=request_id or self.new_id(),
            actor=self.actor,
        )
        return _bulk((await self.caller.call(self.bulk_service.StartBulk, request)).bulk)

    async def get_bulk(self, bulk_id: str) -> Bulk:
        request = bulk_pb.GetBulkRequest(namespace=self.namespace, bulk_id=bulk_id)
        return _bulk((await self.caller.call(self.bulk_service.GetBulk, request)).bulk)

    async def list_bulks(self) -> tuple[Bulk, ...]:
        """Newest first, at most 100."""
        request = bulk_pb.ListBulksRequest(namespace=self.namespace)
        response = await self.caller.call(self.bulk_service.ListBulks, request)
        return tuple(_bulk(each) for each in response.bulks)

    async def cancel_bulk(self, bulk_id: str) -> Bulk:
        """Stops it; what it has done stays done. Raises WrongState where it has ended."""
        request = bulk_pb.CancelBulkRequest(namespace=self.namespace, bulk_id=bulk_id)
        return _bulk((await self.caller.call(self.bulk_service.CancelBulk, request)).bulk)

    # --- what becomes of ended executions ---

    async def retention(self) -> tuple[int, bool]:
        """How long ended executions are kept, in ms, and whether the namespace says so itself."""
        request = retention_pb.GetRetentionRequest(namespace=self.namespace)
        response = await self.caller.call(self.retention_service.GetRetention, request)
        return response.retention_ms, response.own

    async def set_retention(self, retention_ms: int) -> None:
        """0 goes back to the setting of the suite."""
        request = retention_pb.SetRetentionRequest(
            namespace=self.namespace, retention_ms=retention_ms
        )
        await self.caller.call(self.retention_service.SetRetention, request)

    async def delete_execution(self, execution_id: str) -> None:
        """Deletes an ended execution with its history, from the archive too."""
        request = retention_pb.DeleteExecutionRequest(
            namespace=self.namespace, execution_id=execution_id
        )
        await self.caller.call(self.retention_service.DeleteExecution, request)

    async def erase_execution(
        self, execution_id: str, reason: str = "", *, request_id: str = ""
    ) -> None:
        """Erases the values of an ended execution; who, when and why stays in its history."""
        request = retention_pb.EraseExecutionRequest(
            namespace=self.namespace,
            execution_id=execution_id,
            reason=reason,
            request_id=request_id or self.new_id(),
            actor=self.actor,
        )
        await self.caller.call(self.retention_service.EraseExecution, request)

    async def list_archived(
        self,
        *,
        workflow_id: str = "",
        started_after: datetime | None = None,
        started_before: datetime | None = None,
    ) -> tuple[Execution, ...]:
        """Executions in the archive, oldest first, at most 1,000."""
        request = retention_pb.ListArchivedRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            started_after_us=_micros(started_after),
            started_before_us=_micros(started_before),
        )
        response = await self.caller.call(self.retention_service.ListArchived, request)
        return tuple(execution_of(each) for each in response.executions)

    async def archived_document(self, execution_id: str) -> bytes:
        """An archived execution as its file has it: JSON lines."""
        request = retention_pb.GetArchivedRequest(
            namespace=self.namespace, execution_id=execution_id
        )

        async def once() -> bytes:
            stream = self.retention_service.GetArchived(request, timeout=limits.RETRY_BUDGET_S)
            return b"".join([each.chunk async for each in stream])

        return await self.caller.retried(once)


def _search_value(name: str, value: SearchValue) -> search_pb2.SearchValue:
    if isinstance(value, bool):
        return search_pb2.SearchValue(name=name, flag=value)
    if isinstance(value, datetime):
        return search_pb2.SearchValue(name=name, time_us=_micros(value))
    if isinstance(value, str):
        return search_pb2.SearchValue(name=name, text=value)
    return search_pb2.SearchValue(name=name, number=value)


def _micros(at: datetime | None) -> int:
    if at is None:
        return 0
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1_000_000)


def _bulk(message: bulk_pb.Bulk) -> Bulk:
    return Bulk(
        id=message.bulk_id,
        action=message.action.name,
        filter=message.filter,
        status=bulk_pb.BulkStatus.Name(message.status).removeprefix("BULK_STATUS_").lower(),
        matched=message.matched,
        applied=message.applied,
        skipped=message.skipped,
        failed=message.failed,
        failures=tuple(
            BulkFailure(each.execution_id, each.reason, each.message) for each in message.failures
        ),
        created_at=moment(message.created_at_us),
        ended_at=moment(message.ended_at_us),
    )
