"""Calls about bulks: one action on every execution that a filter matches."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from flowmesh.api.execution.v1 import bulk_service_pb2 as pb
from flowmesh.api.execution.v1 import bulk_service_pb2_grpc as rpc
from flowmesh.contract.json_value import Json
from flowmesh.records import Source, value_from, values_from
from flowmesh.sdk.transport.connection import Connection


@dataclass(frozen=True, slots=True)
class BulkFailure:
    """An execution on which the action failed."""

    execution_id: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Bulk:
    """One action on every execution that a filter matches, with its progress.

    `status` is running, completed or canceled. `skipped` executions were in a state that does not
    allow the action; `failures` holds the first 20 of the `failed`.
    """

    id: Annotated[str, Source("bulk_id")]
    action: Annotated[str, Source("action.name")]
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
        """The number of processed executions."""
        return self.applied + self.skipped + self.failed


class BulkCalls:
    """Bulks of the client's namespace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.BulkServiceStub(connection.caller.channel)

    async def preview(self, filter: str) -> tuple[int, tuple[str, ...]]:
        """Return the number of executions that the filter matches, and the ids of the first."""
        request = pb.PreviewBulkRequest(filter=filter)
        response = await self._connection.call(self._stub.PreviewBulk, request)
        return response.count, tuple(response.execution_ids)

    async def start(
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
        """Start to cancel, terminate, pause, resume, signal, retry or rerun all matches.

        `retry` retries every failed node of a running execution. `rerun` starts a new execution
        for each ended one: of all nodes or, with `from_failed`, of the failed nodes and their
        successors; of the version that ran or, with `newest_version`, of the newest.
        """
        bulk_action = pb.BulkAction(
            name=action,
            reason=reason,
            signal=signal,
            from_failed=from_failed,
            newest_version=newest_version,
        )
        if signal:
            bulk_action.payload.CopyFrom(await self._connection.payloads.pack(payload))
        request = pb.StartBulkRequest(
            filter=filter, action=bulk_action, rate_per_second=rate_per_second
        )
        return value_from(
            Bulk, (await self._connection.change(self._stub.StartBulk, request, request_id)).bulk
        )

    async def get(self, bulk_id: str) -> Bulk:
        """Return a bulk with its progress."""
        request = pb.GetBulkRequest(bulk_id=bulk_id)
        return value_from(Bulk, (await self._connection.call(self._stub.GetBulk, request)).bulk)

    async def list(self) -> tuple[Bulk, ...]:
        """Return the bulks, newest first, at most 100."""
        response = await self._connection.call(self._stub.ListBulks, pb.ListBulksRequest())
        return values_from(Bulk, response.bulks)

    async def cancel(self, bulk_id: str) -> Bulk:
        """Stop a bulk; applied actions are not undone. Raises WrongState if it has ended."""
        request = pb.CancelBulkRequest(bulk_id=bulk_id)
        return value_from(Bulk, (await self._connection.call(self._stub.CancelBulk, request)).bulk)
