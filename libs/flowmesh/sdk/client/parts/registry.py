"""Calls about the service registry: register, renew, find, watch and deregister services."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import grpc

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as rpc
from flowmesh.errors import FlowmeshError, NotFound
from flowmesh.records import value_from
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.transport.reconnect import Reconnect
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.service_view import View
from flowmesh.sdk.values.services import (
    Service,
    ServiceChange,
    ServiceInstance,
    Topology,
    instance_request,
    status_number,
)

Changes: TypeAlias = Sequence[ServiceChange]
_log = logging.getLogger("flowmesh.sdk")


class RegistryCalls:
    """Registered services of the client's namespace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.RegistryServiceStub(connection.caller.channel)

    async def list(
        self,
        *,
        name: str = "",
        type: str = "",
        capability: str = "",
        statuses: Collection[str] = (),
        capabilities: Collection[str] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> AsyncIterator[ServiceInstance]:
        """Iterate over the instances that match all filters; statuses are HEALTHY, DEGRADED …"""
        request = pb.ListInstancesRequest(
            name=name,
            type=type,
            capability=capability,
            capabilities=sorted(capabilities),
            metadata=metadata,
            statuses=[status_number(status) for status in statuses],
        )
        async for instance in self._connection.pages(
            self._stub.ListInstances, request, "instances"
        ):
            yield value_from(ServiceInstance, instance)

    async def get(self, service_id: str) -> ServiceInstance:
        """Return an instance by its id; raises NotFound."""
        request = pb.GetInstanceRequest(id=service_id)
        response = await self._connection.call(self._stub.GetInstance, request)
        return value_from(ServiceInstance, response.instance)

    async def watch(
        self, *, name: str = "", type: str = "", capabilities: Collection[str] = ()
    ) -> AsyncIterator[ServiceChange]:
        """Iterate over the present instances as `registered`, then over every change, without end.

        A broken stream is opened again, and changes during the break are found.
        """
        async for _, changes in self._messages(name, type, capabilities):
            for change in changes:
                yield change

    async def follow(
        self, *, name: str = "", type: str = "", capabilities: Collection[str] = ()
    ) -> AsyncIterator[tuple[Service, ...]]:
        """Iterate over the set of the present instances, now and after every change."""
        async for services, _ in self._messages(name, type, capabilities):
            yield services

    async def _messages(
        self, name: str, type: str, capabilities: Collection[str]
    ) -> AsyncIterator[tuple[tuple[Service, ...], Changes]]:
        """Iterate over the messages of the watch: the instances, and the changes that led there."""
        reconnect = Reconnect(self._connection.caller, asyncio.get_running_loop().time)
        request = pb.WatchInstancesRequest(
            namespace=self._connection.namespace,
            name=name,
            type=type,
            capabilities=sorted(capabilities),
        )
        view = View()
        while True:
            stream = None
            try:
                await reconnect.opening()
                stream = self._stub.WatchInstances(request)
                async for message in stream:
                    reconnect.connected()
                    changes = view.apply(message)
                    yield view.services, changes
            except grpc.aio.AioRpcError as error:
                await reconnect.broken(error)
            finally:
                if stream is not None:
                    stream.cancel()
            reconnect.ended()
            if reconnect.hopeless:
                raise reconnect.error()
            await reconnect.pause()

    async def register(self, service: Service) -> ServiceInstance:
        """Register or replace an instance; it turns OFFLINE without heartbeats or passed checks.

        Raises Invalid if a field is out of range or the endpoint is malformed.
        """
        instance_id = service.id or f"service-{self._connection.new_id()}"
        # An instance with a check has the interval of the check.
        heartbeat_s = 0 if service.check else limits.SERVICE_HEARTBEAT_S
        request = instance_request(service, self._connection.namespace, instance_id, heartbeat_s)
        response = await self._connection.caller.call(self._stub.RegisterInstance, request)
        return value_from(ServiceInstance, response.instance)

    async def heartbeat(self, service_id: str, status: str = "HEALTHY") -> None:
        """Renew an instance and report its status; on NotFound, register it again."""
        request = pb.HeartbeatRequest(id=service_id, status=status_number(status))
        await self._connection.call(self._stub.Heartbeat, request)

    async def drain(self, service_id: str, *, undo: bool = False) -> ServiceInstance:
        """Take an instance out of service, or with `undo` back in; callers choose others."""
        request = pb.DrainInstanceRequest(id=service_id, undo=undo)
        response = await self._connection.call(self._stub.DrainInstance, request)
        return value_from(ServiceInstance, response.instance)

    async def deregister(self, service_id: str) -> None:
        """Turn an instance OFFLINE."""
        request = pb.DeregisterInstanceRequest(id=service_id)
        await self._connection.call(self._stub.DeregisterInstance, request)

    async def topology(self, *, minutes: int = 0) -> Topology:
        """Return the services and the calls between them in the last minutes: 15, at most 60."""
        request = pb.GetTopologyRequest(minutes=minutes)
        return value_from(Topology, await self._connection.call(self._stub.GetTopology, request))

    @asynccontextmanager
    async def registered(self, service: Service) -> AsyncIterator[ServiceInstance]:
        """Keep the service registered and HEALTHY inside the block; deregister it afterwards."""
        instance = await self.register(service)
        heartbeats = asyncio.create_task(self._renew_forever(replace(service, id=instance.id)))
        try:
            yield instance
        finally:
            heartbeats.cancel()
            await asyncio.gather(heartbeats, return_exceptions=True)
            await self.deregister(instance.id)

    async def _renew_forever(self, service: Service) -> None:
        while True:
            await asyncio.sleep(limits.SERVICE_HEARTBEAT_S)
            try:
                await self._renew(service)
            except FlowmeshError as error:
                _log.warning("cannot send the heartbeat of service %s: %s", service.name, error)

    async def _renew(self, service: Service) -> None:
        try:
            await self.heartbeat(service.id)
        except NotFound:
            await self.register(service)
