"""The gateway on a real HTTP server, before servicers that keep the services' contracts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import pytest
import structlog
import uvicorn
from tests.integration.gateway.standin import Definitions, Events, Executions, Histories, Payloads, Registry

from flowmesh.api.definition.v1.definition_service_pb2_grpc import (
    add_DefinitionServiceServicer_to_server,
)
from flowmesh.api.event.v1.event_service_pb2_grpc import add_EventServiceServicer_to_server
from flowmesh.api.execution.v1.execution_service_pb2_grpc import (
    add_ExecutionServiceServicer_to_server,
    add_PayloadServiceServicer_to_server,
)
from flowmesh.api.history.v1.history_service_pb2_grpc import add_HistoryServiceServicer_to_server
from flowmesh.api.registry.v1.registry_service_pb2_grpc import (
    add_RegistryServiceServicer_to_server,
)
from flowmesh.gateway.app import Gateway
from flowmesh.gateway.backends import backends_of
from flowmesh.gateway.metrics import RequestMetrics
from flowmesh.gateway.routes import ROUTES, SOCKETS
from flowmesh.rpc import Handlers, LocalTarget
from flowmesh.rpc.channel import fixed
from flowmesh.runtime import Clock, Runtime
from flowmesh.telemetry import Metrics


@dataclass
class Rest:
    """The gateway as a client sees it, and what stands behind it."""

    url: str
    http: aiohttp.ClientSession
    metrics: Metrics
    definitions: Definitions
    executions: Executions
    events: Events
    payloads: Payloads
    registry: Registry

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and parsed JSON of an answer; `None` for an empty one."""
        async with self.http.request(method, self.url + path, **options) as response:
            text = await response.text()
            return response.status, await response.json() if text else None

    async def register(self, *workflow_ids: str) -> None:
        for workflow_id in workflow_ids:
            status, _ = await self.call("POST", "/workflows", json={"id": workflow_id})
            assert status == 201

    async def start(self, workflow_id: str) -> str:
        body = {"workflowId": workflow_id, "context": {"amount": 3}}
        status, answer = await self.call("POST", "/executions/start", json=body)
        assert status == 200
        return str(answer["executionId"])


class _Stubs:
    """The part of the runtime that hands out stubs, all to one process."""

    def __init__(self, handlers: Handlers) -> None:
        self.clock = Clock()
        self._channel = fixed(LocalTarget(handlers))

    def stub(self, stub_class: Any, _service: str) -> Any:
        return stub_class(self._channel)


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    metrics = Metrics()
    definitions, payloads, registry = Definitions(), Payloads(), Registry()
    executions = Executions(definitions)
    events = Events(executions)
    handlers = cast("Any", Handlers(metrics))
    add_DefinitionServiceServicer_to_server(definitions, handlers)
    add_ExecutionServiceServicer_to_server(executions, handlers)
    add_HistoryServiceServicer_to_server(Histories(executions), handlers)
    add_EventServiceServicer_to_server(events, handlers)
    add_PayloadServiceServicer_to_server(payloads, handlers)
    add_RegistryServiceServicer_to_server(registry, handlers)
    gateway = Gateway(
        backends=backends_of(cast("Runtime", _Stubs(handlers))),
        routes=ROUTES,
        sockets=SOCKETS,
        observer=RequestMetrics(metrics),
        log=structlog.get_logger(),
    )
    async with _served(gateway) as url, aiohttp.ClientSession() as http:
        yield Rest(url, http, metrics, definitions, executions, events, payloads, registry)


class _served:  # noqa: N801 - reads as a verb where it is used
    """The application on uvicorn, on a free port, in the test's own loop."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(app, http="httptools", log_level="warning", lifespan="off")
        self._server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))

    async def __aenter__(self) -> str:
        self._task = asyncio.create_task(self._server.serve([self._socket]))
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        await self._task
