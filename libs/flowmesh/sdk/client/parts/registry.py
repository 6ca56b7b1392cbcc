"""Calls about the service registry: register, renew, list and deregister services."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as rpc
from flowmesh.errors import FlowmeshError, Invalid, NotFound
from flowmesh.rpc.endpoints import Address
from flowmesh.sdk import limits
from flowmesh.sdk.client.connection import Connection
from flowmesh.sdk.executions import moment

_STATUS = "INSTANCE_STATUS_"
_log = logging.getLogger("flowmesh.sdk")


class ServiceType(StrEnum):
    """Common types of services; the registry accepts any other text too."""

    AGENT = "AGENT"
    MCP_SERVER = "MCP_SERVER"
    WORKFLOW = "WORKFLOW"
    GATEWAY = "GATEWAY"
    API = "API"
    # The services of the suite itself.
    CORE = "core"


@dataclass(frozen=True, slots=True)
class ServiceEndpoint:
    """The address of a service.

    Without a host, `get_url()` uses localhost and the registry uses the host that sent the
    registration. Port 0 means the default port of the protocol.
    """

    port: int = 0
    host: str = ""
    protocol: str = "http"
    path: str = ""

    def __post_init__(self) -> None:
        """Raise Invalid if the fields do not form an endpoint."""
        _parsed(self.get_url())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `host:port` (gRPC) or a URL; raises Invalid."""
        address = _parsed(text)
        return cls(address.port, address.host, address.scheme, address.path)

    def get_url(self) -> str:
        """Return a URL such as `http://localhost:8080`, or `host:port` without a protocol."""
        return str(self._address.at("localhost"))

    def __str__(self) -> str:
        """Return the registered form, without a host if none is set."""
        return str(self._address)

    @property
    def _address(self) -> Address:
        path = f"/{self.path}" if self.path and self.path[0] not in "/?#" else self.path
        host = f"[{self.host}]" if ":" in self.host and self.host[0] != "[" else self.host
        return Address(host, self.port, self.protocol, path)


@dataclass(frozen=True, slots=True)
class Service:
    """A service to register. Without an id the client generates one."""

    name: str
    type: ServiceType | str
    endpoint: ServiceEndpoint
    capabilities: Collection[str] = ()
    id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class ServiceInstance:
    """A registered instance of a service with its status."""

    id: str
    name: str
    type: str
    endpoint: str
    status: str
    capabilities: tuple[str, ...]
    metadata: dict[str, str]
    registered_at: datetime | None
    heartbeat_at: datetime | None
    version: str


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
    ) -> AsyncIterator[ServiceInstance]:
        """Iterate over the instances that match all filters; statuses are HEALTHY, DEGRADED …"""
        request = pb.ListInstancesRequest(
            namespace=self._connection.namespace,
            name=name,
            type=type,
            capability=capability,
            statuses=[pb.InstanceStatus.Value(_STATUS + status.upper()) for status in statuses],
        )
        async for instance in self._connection.pages(
            self._stub.ListInstances, request, "instances"
        ):
            yield _instance(instance)

    async def register(self, service: Service) -> ServiceInstance:
        """Register or replace an instance; it turns OFFLINE without heartbeats.

        Raises Invalid if a field is out of range or the endpoint is malformed.
        """
        instance = pb.Instance(
            namespace=self._connection.namespace,
            id=service.id or f"service-{self._connection.new_id()}",
            name=service.name,
            type=service.type,
            endpoint=str(service.endpoint),
            capabilities=service.capabilities,
            metadata=service.metadata,
            version=service.version,
        )
        request = pb.RegisterInstanceRequest(
            instance=instance, heartbeat_interval_ms=round(limits.SERVICE_HEARTBEAT_S * 1000)
        )
        response = await self._connection.caller.call(self._stub.RegisterInstance, request)
        return _instance(response.instance)

    async def heartbeat(self, service_id: str, status: str = "HEALTHY") -> None:
        """Renew an instance and report its status; on NotFound, register it again."""
        value = pb.InstanceStatus.Value(_STATUS + status.upper())
        request = pb.HeartbeatRequest(
            namespace=self._connection.namespace, id=service_id, status=value
        )
        await self._connection.caller.call(self._stub.Heartbeat, request)

    async def deregister(self, service_id: str) -> None:
        """Turn an instance OFFLINE."""
        request = pb.DeregisterInstanceRequest(namespace=self._connection.namespace, id=service_id)
        await self._connection.caller.call(self._stub.DeregisterInstance, request)

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


def _parsed(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise Invalid("INSTANCE_INVALID", f"endpoint: {error}") from None


def _instance(message: pb.Instance) -> ServiceInstance:
    return ServiceInstance(
        id=message.id,
        name=message.name,
        type=message.type,
        endpoint=message.endpoint,
        status=pb.InstanceStatus.Name(message.status).removeprefix(_STATUS),
        capabilities=tuple(message.capabilities),
        metadata=dict(message.metadata),
        registered_at=moment(message.registered_at_us),
        heartbeat_at=moment(message.heartbeat_at_us),
        version=message.version,
    )
