"""Translates SearchService messages; contains no logic."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowmesh.api.execution.v1 import search_service_pb2 as pb
from flowmesh.api.execution.v1 import search_service_pb2_grpc as pb_grpc
from flowmesh.engine import SetAttributes
from flowmesh.orchestrator.model.search_attributes import check_set
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.ownership.peers import FORWARDED, was_forwarded
from flowmesh.orchestrator.search.searches import Searches
from flowmesh.rpc import namespace_of

if TYPE_CHECKING:
    Stub = pb_grpc.SearchServiceAsyncStub


class SearchServer(pb_grpc.SearchServiceServicer):
    """Counts executions, and changes their labels and search attributes."""

    def __init__(
        self,
        *,
        reader: ExecutionReader,
        changes: ExecutionChanges,
        searches: Searches,
        stub_at: Callable[[str], "Stub"],
    ) -> None:
        self._reader = reader
        self._changes = changes
        self._searches = searches
        self._stub_at = stub_at

    async def CountExecutions(
        self, request: pb.CountExecutionsRequest, context: Any
    ) -> pb.CountExecutionsResponse:
        return await self._searches.count(request)

    async def SetSearchAttributes(
        self, request: pb.SetSearchAttributesRequest, context: Any
    ) -> pb.SetSearchAttributesResponse:
        state = await self._reader.state(namespace_of(request), request.execution_id)
        values = check_set(state.plan, request.values, request.removed)
        removed = tuple(f"attr.{name}" for name in request.removed)
        sequence = await self._changes.change(
            request,
            SetAttributes(values, removed, request.request_id, request.actor),
            lambda stub: stub.SetSearchAttributes(request, metadata=FORWARDED),
            was_forwarded(context),
            self._stub_at,
        )
        if isinstance(sequence, pb.SetSearchAttributesResponse):
            return sequence
        return pb.SetSearchAttributesResponse(sequence=sequence)
