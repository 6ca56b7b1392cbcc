"""Services in the registry: the client's calls to register, keep alive and find them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

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
    """Common kinds of services; the registry takes any other text too."""

    AGENT = "AGENT"
    MCP_SERVER = "MCP_SERVER"
    WORKFLOW = "WORKFLOW"
    GATEWAY = "GATEWAY"
    API = "API"
    # The services of the suite itself.
    CORE = "core"


@dataclass(frozen=True, slots=True)
class ServiceEndpoint:
    """Where a service is reached.

    Without a host `get_url()` names localhost, and the registry puts in the host that the
    registration comes from. Port 0 is the default port of the protocol.
    """

    port: int = 0
    host: str = ""
    protocol: str = "http"
    path: str = ""

    def __post_init__(self) -> None:
        """Raises Invalid for what is no endpoint."""
        _parsed(self.get_url())

    @classmethod
    def parse(cls, text: str) -> Self:
        """The endpoint of a text such as `host:port` (gRPC) or a URL; raises Invalid."""
        address = _parsed(text)
        return cls(address.port, address.host, address.scheme, address.path)

    def get_url(self) -> str:
        """`http://localhost:8080`; `host:port` where the protocol is empty."""
        return str(self._address.at("localhost"))

    def __str__(self) -> str:
        """What is registered: without a host if there is none."""
        return str(self._address)

    @property
    def _address(self) -> Address:
        path = f"/{self.path}" if self.path and self.path[0] not in "/?#" else self.path
        host = f"[{self.host}]" if ":" in self.host and self.host[0] != "[" else self.host
        return Address(host, self.port, self.protocol, path)


@dataclass(frozen=True, slots=True)
class Service:
    """A service to register. Without an id the client makes one."""

    name: str
    type: ServiceType | str
    endpoint: ServiceEndpoint
    capabilities: Collection[str] = ()
    id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class ServiceInstance:
    """A registered instance of a service and how it is."""

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


class ServiceCalls(Connection):
    """Registered services."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.registry = rpc.RegistryServiceStub(self.caller.channel)

    async def services(
        self,
        *,
        name: str = "",
        type: str = "",
        capability: str = "",
        statuses: Collection[str] = (),
    ) -> AsyncIterator[ServiceInstance]:
        """Registered instances that pass all filters; statuses as HEALTHY, DEGRADED …"""
        request = pb.ListInstancesRequest(
            namespace=self.namespace,
            name=name,
            type=type,
            capability=capability,
            statuses=[pb.InstanceStatus.Value(_STATUS + status.upper()) for status in statuses],
        )
        async for instance in self.pages(self.registry.ListInstances, request, "instances"):
            yield _instance(instance)

    async def register_service(self, service: Service) -> ServiceInstance:
        """Adds or replaces an instance, which turns OFFLINE without heartbeats.

        Raises Invalid when a field is out of range or the endpoint is none.
        """
        instance = pb.Instance(
            namespace=self.namespace,
            id=service.id or f"service-{self.new_id()}",
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
        response = await self.caller.call(self.registry.RegisterInstance, request)
        return _instance(response.instance)

    async def heartbeat_service(self, service_id: str, status: str = "HEALTHY") -> None:
        """Renews an instance, which may say how it is; NotFound asks to register it again."""
        value = pb.InstanceStatus.Value(_STATUS + status.upper())
        request = pb.HeartbeatRequest(namespace=self.namespace, id=service_id, status=value)
        await self.caller.call(self.registry.Heartbeat, request)

    async def deregister_service(self, service_id: str) -> None:
        """Turns an instance OFFLINE."""
        request = pb.DeregisterInstanceRequest(namespace=self.namespace, id=service_id)
        await self.caller.call(self.registry.DeregisterInstance, request)

    @asynccontextmanager
    async def registered(self, service: Service) -> AsyncIterator[ServiceInstance]:
        """Keeps the service registered and HEALTHY inside the block, and deregisters it after."""
        instance = await self.register_service(service)
        beating = asyncio.create_task(self._keep(replace(service, id=instance.id)))
        try:
            yield instance
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await self.deregister_service(instance.id)

    async def _keep(self, service: Service) -> None:
        while True:
            await asyncio.sleep(limits.SERVICE_HEARTBEAT_S)
            try:
                await self._beat(service)
            except FlowmeshError as error:
                _log.warning("no heartbeat of service %s: %s", service.name, error)

    async def _beat(self, service: Service) -> None:
        try:
            await self.heartbeat_service(service.id)
        except NotFound:
            await self.register_service(service)


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
