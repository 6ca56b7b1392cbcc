"""Services, their instances, health checks and the topology as plain values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.errors import Invalid
from flowmesh.records import Source, value_from
from flowmesh.rpc.endpoints import Address

CHECK_KINDS = ("grpc", "http", "tcp")
_STATUS = "INSTANCE_STATUS_"


class ServiceType(StrEnum):
    """Common types of services; the registry accepts any other text too."""

    AGENT = "AGENT"
    MCP_SERVER = "MCP_SERVER"
    WORKFLOW_ENGINE = "WORKFLOW_ENGINE"
    WORKFLOW = "WORKFLOW"
    ORCHESTRATOR = "ORCHESTRATOR"
    WORKER = "WORKER"
    GATEWAY = "GATEWAY"
    API = "API"
    MESSAGE_BROKER = "MESSAGE_BROKER"
    DATABASE = "DATABASE"
    CACHE = "CACHE"
    EXTERNAL = "EXTERNAL"
    CUSTOM = "CUSTOM"
    # The services of the suite itself.
    CORE = "core"


class ServiceStatus(StrEnum):
    """The health of an instance."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"
    OFFLINE = "OFFLINE"


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


def _check_kind(check: pb.HealthCheck) -> str | None:
    return check.WhichOneof("kind")


def _check_of(check: pb.HealthCheck) -> "HealthCheck | None":
    return value_from(HealthCheck, check) if _check_kind(check) else None


def _from_ms(duration_ms: int) -> float:
    return duration_ms / 1e3


def _from_us(duration_us: int) -> float:
    return duration_us / 1e6


def _status_word(status: "pb.InstanceStatus.ValueType") -> str:
    known = status in pb.InstanceStatus.values()
    return pb.InstanceStatus.Name(status).removeprefix(_STATUS) if known else ""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A check of the endpoint, made by the registry; times in seconds.

    `http` gets `path`, `tcp` connects, `grpc` asks `grpc.health.v1` for `service`. An instance that
    passes needs no heartbeats. One failure makes it DEGRADED, `unhealthy_after` of them UNHEALTHY.
    """

    kind: Annotated[Literal["grpc", "http", "tcp"], Source(".", read=_check_kind)]
    path: Annotated[str, Source("http.")] = ""
    service: Annotated[str, Source("grpc.")] = ""
    tls: Annotated[bool, Source("grpc.")] = False
    interval: Annotated[float, Source("interval_ms", read=_from_ms)] = 5.0
    timeout: Annotated[float, Source("timeout_ms", read=_from_ms)] = 2.0
    unhealthy_after: int = 3
    healthy_after: int = 1

    def message(self) -> pb.HealthCheck:
        made = pb.HealthCheck(
            interval_ms=round(self.interval * 1_000),
            timeout_ms=round(self.timeout * 1_000),
            unhealthy_after=self.unhealthy_after,
            healthy_after=self.healthy_after,
        )
        if self.kind not in CHECK_KINDS:
            text = f"check: {self.kind!r} is none of {', '.join(CHECK_KINDS)}"
            raise Invalid("INSTANCE_INVALID", text)
        if self.kind == "grpc":
            made.grpc.CopyFrom(pb.GrpcCheck(service=self.service, tls=self.tls))
        elif self.kind == "http":
            made.http.CopyFrom(pb.HttpCheck(path=self.path))
        else:
            made.tcp.SetInParent()
        return made


@dataclass(frozen=True, slots=True)
class Service:
    """A service to register, or one that was discovered.

    Without an id the client generates one. The registry sets `status` and `draining`.
    """

    name: str
    type: Annotated[ServiceType | str, Source(read=str)]
    endpoint: Annotated[ServiceEndpoint, Source(read=ServiceEndpoint.parse)]
    capabilities: Collection[str] = ()
    id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    check: Annotated[HealthCheck | None, Source(read=_check_of)] = None
    status: Annotated[ServiceStatus | str, Source(read=_status_word)] = ""
    draining: bool = False


@dataclass(frozen=True, slots=True)
class ServiceInstance:
    """A registered instance of a service with its status."""

    id: str
    name: str
    type: str
    endpoint: str
    status: Annotated[str, Source(read=_status_word)]
    capabilities: tuple[str, ...]
    metadata: dict[str, str]
    registered_at: datetime | None
    heartbeat_at: datetime | None
    version: str
    draining: bool = False
    # The failure of the last check of the registry; empty if it passed.
    check_problem: str = ""


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """A change of an instance, with its state before; None for a new one."""

    event: Literal["registered", "changed", "left"]
    service: Service
    before: Service | None = None


@dataclass(frozen=True, slots=True)
class TopologyNode:
    """A service that is registered or takes part in calls."""

    name: str
    type: str
    instances: int
    healthy: int


@dataclass(frozen=True, slots=True)
class TopologyEdge:
    """The calls from one service to another; durations are upper bounds, in seconds."""

    source: str
    target: str
    calls: int
    errors: int
    p50: Annotated[float, Source("p50_us", read=_from_us)]
    p95: Annotated[float, Source("p95_us", read=_from_us)]
    p99: Annotated[float, Source("p99_us", read=_from_us)]
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Topology:
    """The services of a namespace, and the calls between them in the last minutes."""

    nodes: tuple[TopologyNode, ...]
    edges: tuple[TopologyEdge, ...]
    minutes: int


def instance_request(
    service: Service, namespace: str, instance_id: str, heartbeat_s: float
) -> pb.RegisterInstanceRequest:
    """Return the registration of a service."""
    instance = pb.Instance(
        namespace=namespace,
        id=instance_id,
        name=service.name,
        type=service.type,
        endpoint=str(service.endpoint),
        capabilities=service.capabilities,
        metadata=service.metadata,
        version=service.version,
        check=service.check.message() if service.check else None,
    )
    return pb.RegisterInstanceRequest(
        instance=instance, heartbeat_interval_ms=round(heartbeat_s * 1_000)
    )


def status_number(word: str) -> "pb.InstanceStatus.ValueType":
    """Return the number of a status; raise Invalid for an unknown one."""
    try:
        return pb.InstanceStatus.Value(_STATUS + word.upper())
    except ValueError:
        text = f"status {word!r} is none of {', '.join(ServiceStatus)}"
        raise Invalid("REQUEST_INVALID", text) from None


def _parsed(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise Invalid("INSTANCE_INVALID", f"endpoint: {error}") from None
