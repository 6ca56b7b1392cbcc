"""The same servicers behind a socket and in process: every promise holds for both."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import grpc.aio
import pytest

from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as registry_grpc
from flowmesh.rpc import SERVER_OPTIONS, Handlers, LocalTarget, RemoteTarget, Target, fixed
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


@pytest.fixture(params=["local", "remote"])
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
    server = grpc.aio.server(options=SERVER_OPTIONS)
    handlers.install(server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    remote = RemoteTarget(address)
    target: Target = LocalTarget(handlers) if request.param == "local" else remote
    yield Service(registry, metrics, target, address)
    await remote.close()
    await server.stop(None)
