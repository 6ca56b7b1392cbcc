"""A server of the mesh: registered with heartbeats while it serves, drained before it stops."""

import asyncio
from dataclasses import dataclass

import grpc.aio

from flowmesh.mesh.limits import DRAIN_GRACE_S, DRAIN_NOTICE_S
from flowmesh.sdk import Client, ServiceInstance


@dataclass(frozen=True, slots=True)
class Served:
    """A registered server; `address` is where it listens."""

    instance: ServiceInstance
    port: int
    server: grpc.aio.Server
    client: Client

    @property
    def address(self) -> str:
        return self.instance.endpoint

    async def drain(self, *, notice_s: float = DRAIN_NOTICE_S) -> None:
        """Take the instance out of service, and stop the server after its calls.

        Callers have `notice_s` to choose other instances before new calls are refused.
        """
        await self.client.registry.drain(self.instance.id)
        await asyncio.sleep(notice_s)
        await self.server.stop(DRAIN_GRACE_S)
