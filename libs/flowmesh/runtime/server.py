"""The gRPC server of a process: handlers, health, reflection, bounds."""

from __future__ import annotations  # grpc types take parameters in stubs only

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from flowmesh.errors import Unimplemented
from flowmesh.rpc import SERVER_OPTIONS, Handlers
from flowmesh.rpc.limits import CONCURRENT_CALLS_MAX, SUITE_STREAMS_MAX
from flowmesh.rpc.status import abort
from flowmesh.runtime.sockets import InternalSockets
from flowmesh.telemetry import Metrics

GRACE_S = 1.0
PATH_CHARS_MAX = 200
# Both versions of the protocol; their messages are equal on the wire.
REFLECTION = ("grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection")


@dataclass(frozen=True, slots=True)
class Port:
    """A port to listen on; without credentials it is plain text, 0 picks a free one."""

    number: int
    credentials: grpc.ServerCredentials | None = None


class GrpcServer:
    """A server that binds when it is created and serves after `start`. A connection has at most
    `streams_max` concurrent calls.

    `internal` is a second port, for other processes; on one machine they use a socket of `sockets`.
    """

    def __init__(
        self,
        host: str,
        port: Port,
        metrics: Metrics,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        *,
        internal: Port | None = None,
        sockets: InternalSockets | None = None,
        streams_max: int = SUITE_STREAMS_MAX,
    ) -> None:
        self._server = grpc.aio.server(
            options=[*SERVER_OPTIONS, ("grpc.max_concurrent_streams", streams_max)],
            maximum_concurrent_rpcs=CONCURRENT_CALLS_MAX,
            interceptors=list(interceptors),
        )
        self._health: Any = health.aio.HealthServicer()
        self._about = Handlers(metrics)
        self._services: list[str] = []
        self.port = self._bind(host, port)
        self.internal_port = self.port if internal is None else self._bind(host, internal)
        if sockets is not None:
            place = sockets.address(f"{host}:{self.internal_port}")
            self._server.add_secure_port(place, sockets.server_credentials())

    async def start(self, handlers: Handlers, *, reflect: bool) -> None:
        """Serve all added services, and set their health to SERVING."""
        add: Any = health_pb2_grpc.add_HealthServicer_to_server
        add(self._health, self._about)
        self._services = ["", *sorted(handlers.services), health.SERVICE_NAME]
        if reflect:
            self._add_reflection((*sorted(handlers.services), health.SERVICE_NAME, *REFLECTION))
        handlers.install(self._server)
        self._about.install(self._server)
        self._server.add_generic_rpc_handlers((_UnknownMethods(),))
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()

    async def set_not_serving(self) -> None:
        """Set the health of all services to NOT_SERVING."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def stop(self) -> None:
        """Stop; running calls have at most a second to end."""
        await self._server.stop(GRACE_S)

    def _bind(self, host: str, port: Port) -> int:
        place = f"[{host}]:{port.number}" if ":" in host else f"{host}:{port.number}"
        if port.credentials is None:
            return self._server.add_insecure_port(place)
        return self._server.add_secure_port(place, port.credentials)

    def _add_reflection(self, names: Sequence[str]) -> None:
        servicer: Any = reflection.aio.ReflectionServicer(names)
        handler = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        for service in REFLECTION:
            methods = {"ServerReflectionInfo": handler}
            self._about.add_registered_method_handlers(service, methods)

    async def _set_health(self, status: int) -> None:
        await asyncio.gather(*(self._health.set(name, status) for name in self._services))


class _UnknownMethods(grpc.GenericRpcHandler):
    """Rejects calls of unknown methods with a reason, like all other errors."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        async def refuse(_requests: Any, context: Any) -> None:
            text = f"{details.method[:PATH_CHARS_MAX]} is not served here"
            await abort(context, Unimplemented("UNIMPLEMENTED", text))

        return grpc.stream_stream_rpc_method_handler(refuse)
