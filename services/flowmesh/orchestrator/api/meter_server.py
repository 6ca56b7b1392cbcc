"""Translates MeterService messages."""

from typing import Any

from flowmesh.api.execution.v1 import meter_service_pb2 as pb
from flowmesh.api.execution.v1 import meter_service_pb2_grpc as pb_grpc
from flowmesh.orchestrator.operations.meters import Meters


class MeterServer(pb_grpc.MeterServiceServicer):
    """Metered use per hour."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    async def ListMeters(
        self, request: pb.ListMetersRequest, context: Any
    ) -> pb.ListMetersResponse:
        return await self._meters.listed(request)

    async def SumMeters(self, request: pb.SumMetersRequest, context: Any) -> pb.SumMetersResponse:
        return await self._meters.sum(request)

    async def BookMeters(
        self, request: pb.BookMetersRequest, context: Any
    ) -> pb.BookMetersResponse:
        await self._meters.book(request)
        return pb.BookMetersResponse()
