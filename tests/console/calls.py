"""A service of the mesh with real calls, for the topology of the console."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from flowmesh.mesh import Mesh
from flowmesh.sdk import Client
from flowmesh.testing.polling import pause

SERVICE = "price-list"
CALLER = "storefront"
PAUSE_S = 1.0
# One of so many calls fails.
FAILING = 6


class _Prices(health_pb2_grpc.HealthServicer):
    """A health service that fails some of its calls."""

    def __init__(self) -> None:
        self._calls = 0

    async def Check(self, _request: Any, context: Any) -> Any:
        self._calls += 1
        if self._calls % FAILING == 0:
            await context.abort(grpc.StatusCode.INTERNAL, "a price is missing")
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@asynccontextmanager
async def called(client: Client) -> AsyncIterator[None]:
    """Serve the service, and call it time and again, so that the topology counts calls."""
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(_Prices(), server)
    async with (
        Mesh(client, name=CALLER) as mesh,
        mesh.serve(server, SERVICE, id=f"{SERVICE}-1"),
    ):
        calling = asyncio.create_task(_calls(mesh.channel(SERVICE)))
        yield
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)


async def _calls(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    while True:
        with suppress(grpc.aio.AioRpcError):
            await stub.Check(health_pb2.HealthCheckRequest())
        await pause(PAUSE_S)
