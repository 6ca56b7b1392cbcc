"""Translates BulkService messages; contains no logic."""

from typing import Any

from flowmesh.api.execution.v1 import bulk_service_pb2 as pb
from flowmesh.api.execution.v1 import bulk_service_pb2_grpc as pb_grpc
from flowmesh.orchestrator.bulk.bulks import Bulks
from flowmesh.rpc import namespace_of


class BulkServer(pb_grpc.BulkServiceServicer):
    """Starts, shows and cancels bulk operations."""

    def __init__(self, bulks: Bulks) -> None:
        self._bulks = bulks

    async def PreviewBulk(
        self, request: pb.PreviewBulkRequest, context: Any
    ) -> pb.PreviewBulkResponse:
        return await self._bulks.preview(request)

    async def StartBulk(self, request: pb.StartBulkRequest, context: Any) -> pb.StartBulkResponse:
        return pb.StartBulkResponse(bulk=await self._bulks.begin(request))

    async def GetBulk(self, request: pb.GetBulkRequest, context: Any) -> pb.GetBulkResponse:
        bulk = await self._bulks.get(namespace_of(request), request.bulk_id)
        return pb.GetBulkResponse(bulk=bulk)

    async def ListBulks(self, request: pb.ListBulksRequest, context: Any) -> pb.ListBulksResponse:
        return pb.ListBulksResponse(bulks=await self._bulks.listed(namespace_of(request)))

    async def CancelBulk(
        self, request: pb.CancelBulkRequest, context: Any
    ) -> pb.CancelBulkResponse:
        bulk = await self._bulks.cancel(namespace_of(request), request.bulk_id)
        return pb.CancelBulkResponse(bulk=bulk)
