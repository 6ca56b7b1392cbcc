"""Translates messages about the usage of models; contains no logic."""

from typing import Any

from flowmesh.api.execution.v1 import model_usage_service_pb2 as pb
from flowmesh.api.execution.v1 import model_usage_service_pb2_grpc as pb_grpc
from flowmesh.engine import usage_problem
from flowmesh.errors import Invalid, Violation
from flowmesh.orchestrator.storage.stores.quota_store import UsageStore
from flowmesh.rpc import namespace_of


class ModelUsageServer(pb_grpc.ModelUsageServiceServicer):
    """Booked usage."""

    def __init__(self, store: UsageStore) -> None:
        self._store = store

    async def GetModelUsage(
        self, request: pb.GetModelUsageRequest, context: Any
    ) -> pb.GetModelUsageResponse:
        return pb.GetModelUsageResponse(
            execution=await self._store.of_execution(request.execution_id),
            day=await self._store.of_day(namespace_of(request)),
        )

    async def BookModelUsage(
        self, request: pb.BookModelUsageRequest, context: Any
    ) -> pb.BookModelUsageResponse:
        if problem := usage_problem(request.usage):
            raise Invalid(
                "REQUEST_INVALID",
                problem,
                violations=(Violation("usage", problem, "REQUEST_INVALID"),),
            )
        await self._store.book(namespace_of(request), request.id, request.feature, request.usage)
        return pb.BookModelUsageResponse()
