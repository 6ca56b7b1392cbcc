"""The mesh: gRPC channels to services by name, and servers that register themselves.

    channel = mesh.channel("billing")
    async with mesh.serve(server, "billing", capabilities=["charge"]): ...

Several channels of a process share one `Mesh`, which follows the registry and reports the calls.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio

from flowmesh.mesh.channel import MeshChannel
from flowmesh.mesh.deadlines import DeadlineInterceptor
from flowmesh.mesh.mesh import Mesh
from flowmesh.mesh.serving import Served
from flowmesh.mesh.tls import MeshTls, caller_name

__all__ = [
    "DeadlineInterceptor",
    "Mesh",
    "MeshChannel",
    "MeshTls",
    "Served",
    "caller_name",
    "channel",
    "serve",
]


def channel(
    service: str, *, address: str = "", tls: MeshTls | Path | str | None = None, zone: str = ""
) -> MeshChannel:
    """Return a channel to the instances of a service; closing it leaves the registry.

    `address` is that of Flowmesh, FLOWMESH_ADDRESS by default.
    """
    mesh = Mesh(address, tls=tls, zone=zone)
    return mesh.channel(service, owned=True)


@asynccontextmanager
async def serve(
    server: grpc.aio.Server,
    service: str,
    *,
    address: str = "",
    port: int = 0,
    host: str = "",
    capabilities: Collection[str] = (),
    metadata: Mapping[str, str] | None = None,
    tls: MeshTls | Path | str | None = None,
    zone: str = "",
) -> AsyncIterator[Served]:
    """Start a server, keep it registered inside the block, and drain it at the end."""
    async with (
        Mesh(address, name=service, tls=tls, zone=zone) as mesh,
        mesh.serve(
            server, service, port=port, host=host, capabilities=capabilities, metadata=metadata
        ) as served,
    ):
        yield served
