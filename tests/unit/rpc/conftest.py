"""The same servicers in process, behind a socket, and behind a process that hands calls on.

Every promise holds for all three.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import grpc.aio
import pytest

from flowmesh.api.execution.v1 import execution_service_pb2
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.registry.v1 import registry_service_pb2
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as registry_grpc
from flowmesh.rpc import (
    SERVER_OPTIONS,
    Handlers,
    LocalTarget,
    RemoteTarget,
    Target,
    fixed,
    forwarding,
)
from flowmesh.telemetry import Metrics
from tests.unit.rpc.servicers import Execution, Payload, Registry


@dataclass
class Service:
    """Stubs to the servicers, and the servicer to look into."""

    registry: Registry
    metrics: Metrics
    target: Target
    address: str

    def __post_init__(self) -> None:
        channel: Any = fixed(self.target)
        self.instances: Any = registry_grpc.RegistryServiceStub(channel)
        self.executions: Any = execution_grpc.ExecutionServiceStub(channel)
        self.payloads: Any = execution_grpc.PayloadServiceStub(channel)


SERVICES = (
    registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
    execution_service_pb2.DESCRIPTOR.services_by_name["ExecutionService"],
    execution_service_pb2.DESCRIPTOR.services_by_name["PayloadService"],
)


@asynccontextmanager
async def _serving(handlers: Handlers) -> AsyncIterator[RemoteTarget]:
    server = grpc.aio.server(options=SERVER_OPTIONS)
    handlers.install(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    target = RemoteTarget(f"127.0.0.1:{port}")
    yield target
    await target.close()
    await server.stop(None)


@pytest.fixture(params=["local", "remote", "forwarded"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    metrics = Metrics()
    handlers = Handlers(metrics)
    registry: Registry = cast(Any, Registry)()
    for add, servicer in (
        (registry_grpc.add_RegistryServiceServicer_to_server, registry),
        (execution_grpc.add_ExecutionServiceServicer_to_server, cast(Any, Execution)()),
        (execution_grpc.add_PayloadServiceServicer_to_server, cast(Any, Payload)()),
    ):
        cast(Any, add)(servicer, handlers)
    async with AsyncExitStack() as stack:
        remote = await stack.enter_async_context(_serving(handlers))
        if request.param == "forwarded":
            front = Handlers(Metrics())
            for descriptor in SERVICES:
                methods = forwarding(descriptor, fixed(remote))
                front.add_registered_method_handlers(descriptor.full_name, methods)
            remote = await stack.enter_async_context(_serving(front))
        target: Target = LocalTarget(handlers) if request.param == "local" else remote
        yield Service(registry, metrics, target, remote.address)
