"""The mesh of a process: channels by service name, servers, and the report of their calls."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import grpc.aio

from flowmesh.errors import FlowmeshError, Invalid
from flowmesh.mesh.calls import CallReports
from flowmesh.mesh.channel import MeshChannel
from flowmesh.mesh.instances import ZONE, Instances
from flowmesh.mesh.serving import Served
from flowmesh.mesh.tls import MeshTls
from flowmesh.sdk import Client, Service, ServiceEndpoint, ServiceType


class Mesh:
    """`async with Mesh() as mesh: stub = BillingStub(mesh.channel("billing"))`.

    `client` is a client of Flowmesh, or the address of one. `name` is the source of calls in the
    topology: FLOWMESH_SERVICE or the name of the program by default. Instances of the same `zone`
    are preferred. `tls` is the folder of a certificate; without it the mesh does not encrypt.
    """

    def __init__(
        self,
        client: Client | str = "",
        *,
        name: str = "",
        zone: str = "",
        tls: MeshTls | Path | str | None = None,
    ) -> None:
        self._own = None if isinstance(client, Client) else Client(client)
        self._client = client if isinstance(client, Client) else self._own or Client()
        self.name = name or os.environ.get("FLOWMESH_SERVICE") or Path(sys.argv[0]).stem or "client"
        self._zone = zone or os.environ.get("FLOWMESH_ZONE", "")
        self._tls = MeshTls(tls) if isinstance(tls, str | Path) else tls
        self._instances: dict[str, Instances] = {}
        self._reports = CallReports(self._client.caller.channel, self._client.namespace)
        self._reporting = asyncio.create_task(self._reports.run(), name="mesh-reports")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def channel(self, service: str, *, owned: bool = False) -> MeshChannel:
        """Return a channel to the instances of a service; `owned`: it closes this mesh."""
        if not service:
            raise Invalid("REQUEST_INVALID", "a channel needs the name of a service")
        instances = self._instances.get(service)
        if instances is None:
            instances = self._instances[service] = Instances(
                self._client, service, zone=self._zone, tls=self._tls
            )

        def count(target: str, seconds: float, failed: bool) -> None:
            self._reports.counts.add(self.name, target, seconds, failed=failed)

        async def nothing() -> None:
            """Keep the instances for other channels."""

        return MeshChannel(instances, count=count, release=self.close if owned else nothing)

    @asynccontextmanager
    async def serve(
        self,
        server: grpc.aio.Server,
        service: str,
        *,
        port: int = 0,
        host: str = "",
        capabilities: Collection[str] = (),
        metadata: Mapping[str, str] | None = None,
        type: ServiceType | str = ServiceType.API,
        id: str = "",
    ) -> AsyncIterator[Served]:
        """Start a server on a port (0 picks one), and keep it registered inside the block.

        Callers reach it at `host`, by default the address that its registration comes from. At the
        end it is drained: callers choose other instances, and its calls end.
        """
        interface = f"0.0.0.0:{port}"
        if self._tls is None:
            bound = server.add_insecure_port(interface)
        else:
            bound = server.add_secure_port(interface, self._tls.server_credentials())
        await server.start()
        zone = {ZONE: self._zone} if self._zone else {}
        registration = Service(
            name=service,
            type=type,
            endpoint=ServiceEndpoint(bound, host, protocol=""),
            capabilities=capabilities,
            id=id,
            metadata={**zone, **(metadata or {})},
        )
        async with self._client.registry.registered(registration) as instance:
            served = Served(instance, bound, server, self._client)
            try:
                yield served
            finally:
                # Without the registry, callers notice when the server stops.
                with suppress(FlowmeshError):
                    await served.drain()
                await server.stop(None)

    async def close(self) -> None:
        """Report the last calls, and close all channels."""
        self._reporting.cancel()
        await asyncio.gather(self._reporting, return_exceptions=True)
        await self._reports.send()
        await asyncio.gather(*(each.close() for each in self._instances.values()))
        self._instances.clear()
        if self._own is not None:
            await self._own.close()
