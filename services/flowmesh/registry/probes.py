"""Probes of endpoints: gRPC health, HTTP, TCP, within the egress rules of the installation."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.rpc.endpoints import Address

if TYPE_CHECKING:
    from flowmesh.egress import Egress

PROBES_MAX: Final = 100
PORTS: Final = {"http": 80, "https": 443}
BODY_BYTES_MAX: Final = 64 * 1024
PROBLEM_CHARACTERS_MAX: Final = 300
_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),
)


class Probes:
    """Makes checks of endpoints. Its client, made by `make`, is opened with the first check."""

    def __init__(self, make: Callable[[], "Egress"]) -> None:
        self._make = make
        self._egress: Egress | None = None

    async def close(self) -> None:
        if self._egress is not None:
            await self._egress.__aexit__(None, None, None)

    async def problem(self, instance: pb.Instance) -> str:
        """Check an instance once; return the problem, or an empty text if it passed."""
        from flowmesh.egress import EgressFailure

        timeout_ms = instance.check.timeout_ms
        try:
            async with asyncio.timeout(timeout_ms / 1_000):
                found = await self._probed(instance)
        except TimeoutError:
            found = f"no answer within {timeout_ms} ms"
        except grpc.aio.AioRpcError as error:
            found = f"the health service answered {error.code().name}"
        except (FlowmeshError, EgressFailure, OSError) as error:
            found = str(error) or type(error).__name__
        return found[:PROBLEM_CHARACTERS_MAX]

    async def _probed(self, instance: pb.Instance) -> str:
        from flowmesh.egress.connector import grpc_target

        kind = instance.check.WhichOneof("kind")
        if kind == "http":
            return await self._http(instance)
        address = Address.parse(instance.endpoint)
        host = address.host.removeprefix("[").removesuffix("]")
        port = address.port or PORTS[address.scheme]
        addresses = await (await self._client()).addresses(host, port)
        if kind == "tcp":
            return await _connected(addresses[0], port)
        return await _grpc_health(grpc_target(addresses, port), host, instance.check)

    async def _http(self, instance: pb.Instance) -> str:
        url = instance.endpoint.rstrip("/") + "/" + instance.check.http.path.removeprefix("/")
        response = await (await self._client()).send(
            "GET",
            url,
            headers={},
            timeout_ms=instance.check.timeout_ms,
            redirects_max=0,
            response_bytes_max=BODY_BYTES_MAX,
        )
        return "" if 200 <= response.status < 300 else f"the status is {response.status}"

    async def _client(self) -> "Egress":
        if self._egress is None:
            self._egress = await self._make().__aenter__()
        return self._egress


async def _connected(host: str, port: int) -> str:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return ""


async def _grpc_health(target: str, host: str, check: pb.HealthCheck) -> str:
    options = [*_OPTIONS]
    if check.grpc.tls:
        secure = [*options, ("grpc.ssl_target_name_override", host)]
        channel = grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), secure)
    else:
        channel = grpc.aio.insecure_channel(target, options)
    async with channel:
        request = health_pb2.HealthCheckRequest(service=check.grpc.service)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(request, timeout=check.timeout_ms / 1_000)
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return f"the service is {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"
