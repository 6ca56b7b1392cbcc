"""Reports of finished calls to the topology of the registry."""

import asyncio
import logging

import grpc.aio

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from flowmesh.mesh.limits import REPORT_EVERY_S, REPORT_TIMEOUT_S
from flowmesh.rpc.instances.call_counts import CallCounts

_log = logging.getLogger("flowmesh.mesh")


class CallReports:
    """Reports the counts while there are any; a report that fails is dropped."""

    def __init__(self, channel: grpc.aio.Channel, namespace: str) -> None:
        self.counts = CallCounts()
        self._stub = RegistryServiceStub(channel)
        self._namespace = namespace

    async def run(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            await self.send()

    async def send(self) -> None:
        """Report the present counts."""
        if not (counts := self.counts.take()):
            return
        request = pb.ReportCallsRequest(namespace=self._namespace, calls=counts)
        try:
            await self._stub.ReportCalls(request, timeout=REPORT_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            _log.info("a report of calls is dropped: %s", error.code().name)
