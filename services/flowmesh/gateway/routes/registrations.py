"""Routes that register, renew, drain and deregister instances, and the topology of calls."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import Envelope, Id
from flowmesh.gateway.bodies.views import service_value
from flowmesh.gateway.http.ids import checked_id
from flowmesh.gateway.http.limits import INT64_MAX
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import Source
from flowmesh.rpc.endpoints import Address

MINUTES_MAX = 60
Long = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Whole = Annotated[int, Meta(ge=0, le=2**32 - 1)]
StatusWord = Literal["HEALTHY", "DEGRADED", "UNHEALTHY"]


class CheckBody(Envelope, frozen=True, kw_only=True):
    """A check that the registry makes; 0 stands for the default."""

    kind: Literal["grpc", "http", "tcp"]
    path: Annotated[str, Meta(description="Path of an HTTP check.")] = ""
    service: Annotated[str, Meta(description="Service that a gRPC check asks for.")] = ""
    tls: Annotated[bool, Meta(description="Use TLS for a gRPC check.")] = False
    interval_ms: Long = 0
    timeout_ms: Long = 0
    unhealthy_after: Whole = 0
    healthy_after: Whole = 0

    def message(self) -> pb.HealthCheck:
        made = pb.HealthCheck(
            interval_ms=self.interval_ms,
            timeout_ms=self.timeout_ms,
            unhealthy_after=self.unhealthy_after,
            healthy_after=self.healthy_after,
        )
        if self.kind == "grpc":
            made.grpc.CopyFrom(pb.GrpcCheck(service=self.service, tls=self.tls))
        elif self.kind == "http":
            made.http.CopyFrom(pb.HttpCheck(path=self.path))
        else:
            made.tcp.SetInParent()
        return made


class ServiceRequest(Envelope, frozen=True, kw_only=True):
    """An instance of a service; the same id replaces it."""

    id: Id
    name: str
    endpoint: Annotated[
        str, Meta(description="`host:port` for gRPC, or a URL; a missing host is the caller's.")
    ]
    type: str = ""
    capabilities: list[str] = msgspec.field(default_factory=list)
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    version: str = ""
    heartbeat_interval_ms: Long = 0
    check: CheckBody | None = None

    def message(self, namespace: str, host: str) -> pb.RegisterInstanceRequest:
        instance = pb.Instance(
            namespace=namespace,
            id=checked_id("id", self.id),
            name=self.name,
            type=self.type,
            endpoint=_at(self.endpoint, host),
            capabilities=self.capabilities,
            metadata=self.metadata,
            version=self.version,
            check=self.check.message() if self.check else None,
        )
        return pb.RegisterInstanceRequest(
            instance=instance, heartbeat_interval_ms=self.heartbeat_interval_ms
        )


class HeartbeatBody(Envelope, frozen=True, kw_only=True):
    """A sign of life."""

    status: StatusWord = "HEALTHY"


class DrainBody(Envelope, frozen=True, kw_only=True):
    """A drain; `undo` takes the instance back into service."""

    undo: bool = False


class DoneValue(answers.Answer, kw_only=True):
    """The id of the instance."""

    id: str


class TopologyNodeValue(answers.Answer, kw_only=True):
    """A service that is registered or takes part in calls."""

    name: str
    type: str
    instances: int
    healthy: int


def _ms(duration_us: int) -> float:
    return duration_us / 1_000


class TopologyEdgeValue(answers.Answer, kw_only=True):
    """The calls from one service to another; durations are upper bounds."""

    source: str
    target: str
    calls: int
    errors: int
    p50_ms: Annotated[float, Source("p50_us", _ms)]
    p95_ms: Annotated[float, Source("p95_us", _ms)]
    p99_ms: Annotated[float, Source("p99_us", _ms)]
    last_at: answers.Instant


class CallTopology(answers.Answer, kw_only=True):
    """The services of a namespace, and the calls of the last minutes."""

    minutes: int
    nodes: list[TopologyNodeValue]
    edges: list[TopologyEdgeValue]


async def register_service(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(ServiceRequest)
    message = envelope.message(request.namespace, request.address)
    response = await backends.registry.RegisterInstance(message)
    return json_response(service_value(response.instance), HTTPStatus.CREATED)


def _at(endpoint: str, host: str) -> str:
    """Return the endpoint with the host of the client; the registry refuses a malformed one."""
    try:
        address = Address.parse(endpoint)
    except ValueError:
        return endpoint
    return str(address.at(f"[{host}]" if ":" in host else host or "localhost"))


SERVICES = "/api/v1/services"
SERVICE = f"{SERVICES}/{{id}}"
_EXAMPLE: dict[str, Any] = {
    "id": "mcp-server-1",
    "name": "MCP Financial Server",
    "type": "MCP_SERVER",
    "endpoint": "http://127.0.0.1:8080",
    "capabilities": ["financial-analysis", "risk-calculation"],
    "check": {"kind": "http", "path": "/health"},
}

ROUTES = (
    Route(
        "POST",
        SERVICES,
        register_service,
        Operation(
            tag=MANAGE,
            summary="Register an instance of a service",
            description=(
                "It turns OFFLINE without heartbeats, unless it has a check that passes. The same"
                " id replaces the instance."
            ),
            body=Body(ServiceRequest, example=_EXAMPLE),
            answers=(Answer(201, "It is registered.", answers.ServiceValue),),
            errors=(413, 415),
        ),
    ),
    rpc_route(
        "POST",
        f"{SERVICE}:heartbeat",
        pb.HeartbeatRequest,
        name="renew_service",
        tag=MANAGE,
        summary="Renew an instance, and report its health",
        body=Body(HeartbeatBody, required=False),
        answers=(Answer(200, "It is renewed.", DoneValue),),
        errors=(404, 413, 415),
    ),
    rpc_route(
        "POST",
        f"{SERVICE}:drain",
        pb.DrainInstanceRequest,
        name="drain_service",
        part="instance",
        tag=MANAGE,
        summary="Take an instance out of service, or back in",
        body=Body(DrainBody, required=False),
        answers=(Answer(200, "The instance.", answers.ServiceValue),),
        errors=(404, 413, 415),
    ),
    rpc_route(
        "DELETE",
        SERVICE,
        pb.DeregisterInstanceRequest,
        name="deregister_service",
        tag=MANAGE,
        summary="Deregister an instance",
        description="Repeating the call changes nothing.",
        answers=(Answer(200, "It is OFFLINE.", DoneValue),),
    ),
    rpc_route(
        "GET",
        "/api/v1/topology",
        pb.GetTopologyRequest,
        name="get_call_topology",
        tag=MANAGE,
        summary="Get the calls between services",
        query=(
            Query(
                "minutes",
                "Minutes to look back.",
                whole(MINUTES_MAX, least=1, default=15),
            ),
        ),
        answers=(Answer(200, "Services and the calls between them.", CallTopology),),
    ),
)
