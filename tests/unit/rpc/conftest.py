"""The same servicers in process, behind a socket, and behind a process that hands calls on.

Every promise holds for all three, and for servicers whose streaming methods are coroutines.
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
    channel_to,
    forwarding_handlers,
)
from flowmesh.telemetry import Metrics
from tests.unit.rpc.servicers import (
    CoroutineExecution,
    CoroutinePayload,
    CoroutineRegistry,
    Execution,
    Payload,
    Registry,
)


@dataclass
class Service:
    """Stubs to the servicers, and the servicer to look into."""

    registry: Registry
    metrics: Metrics
    target: Target
    address: str

    def __post_init__(self) -> None:
        channel: Any = channel_to(self.target)
        self.instances: Any = registry_grpc.RegistryServiceStub(channel)
        self.executions: Any = execution_grpc.ExecutionServiceStub(channel)
        self.payloads: Any = execution_grpc.PayloadServiceStub(channel)


SERVICES = (
    registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
    execution_service_pb2.DESCRIPTOR.services_by_name["ExecutionService"],
    execution_service_pb2.DESCRIPTOR.services_by_name["PayloadService"],
)
ADD = (
    registry_grpc.add_RegistryServiceServicer_to_server,
    execution_grpc.add_ExecutionServiceServicer_to_server,
    execution_grpc.add_PayloadServiceServicer_to_server,
)
GENERATORS = (Registry, Execution, Payload)
COROUTINES = (CoroutineRegistry, CoroutineExecution, CoroutinePayload)


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


@pytest.fixture(params=["local", "remote", "forwarded", "local_coroutines", "remote_coroutines"])
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    metrics = Metrics()
    handlers = Handlers(metrics)
    place, _, coroutines = request.param.partition("_")
    kinds = COROUTINES if coroutines else GENERATORS
    servicers = [cast(Any, kind)() for kind in kinds]
    for add, servicer in zip(ADD, servicers, strict=True):
        cast(Any, add)(servicer, handlers)
    async with AsyncExitStack() as stack:
        remote = await stack.enter_async_context(_serving(handlers))
        if place == "forwarded":
            front = Handlers(Metrics())
            for descriptor in SERVICES:
                methods = forwarding_handlers(descriptor, channel_to(remote))
                front.add_registered_method_handlers(descriptor.full_name, methods)
            remote = await stack.enter_async_context(_serving(front))
        target: Target = LocalTarget(handlers) if place == "local" else remote
        yield Service(servicers[0], metrics, target, remote.address)
