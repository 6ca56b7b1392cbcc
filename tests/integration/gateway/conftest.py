"""The gateway on a real HTTP server, with stand-ins for the services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import pytest
import structlog

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
from flowmesh.gateway.http.metrics import RequestMetrics
from flowmesh.gateway.routes import ROUTES, SOCKETS
from flowmesh.rpc import Handlers, LocalTarget
from flowmesh.rpc.channel import channel_to
from flowmesh.runtime import Clock, Runtime
from flowmesh.runtime.access import OpenAccess
from flowmesh.runtime.checks import Checks
from flowmesh.runtime.http.server import HttpServer, listen
from flowmesh.runtime.settings import Settings
from flowmesh.telemetry import Metrics, Spans
from tests.integration.gateway.description import Description
from tests.integration.gateway.standin import (
    Definitions,
    Events,
    Executions,
    Histories,
    Payloads,
    Registry,
)


@dataclass
class Rest:
    """A client of the gateway, and the stand-ins behind it.

    Every JSON response to `call` is checked against the OpenAPI document.
    """

    url: str
    description: Description
    http: aiohttp.ClientSession
    metrics: Metrics
    definitions: Definitions
    executions: Executions
    events: Events
    payloads: Payloads
    registry: Registry

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Return status and parsed JSON of a response; `None` for an empty one."""
        async with self.http.request(method, self.url + path, **options) as response:
            text = await response.text()
            value = await response.json() if text else None
        self.description.check(method, path, response.status, value)
        return response.status, value

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
    """The part of the runtime that creates stubs, all of one process."""

    def __init__(self, handlers: Handlers, metrics: Metrics) -> None:
        self.clock, self.metrics, self.address = Clock(), metrics, ""
        self.settings = Settings()
        self._channel = channel_to(LocalTarget(handlers))

    def stub(self, stub_class: Any, _service: str) -> Any:
        return stub_class(self._channel)


@pytest.fixture
async def rest() -> AsyncIterator[Rest]:
    metrics = Metrics()
    definitions, payloads, registry = Definitions(), Payloads(), Registry()
    executions = Executions(definitions)
    events, histories = Events(executions), Histories(executions)
    handlers = cast("Any", Handlers(metrics))
    add_DefinitionServiceServicer_to_server(definitions, handlers)
    add_ExecutionServiceServicer_to_server(executions, handlers)
    add_HistoryServiceServicer_to_server(histories, handlers)
    add_EventServiceServicer_to_server(events, handlers)
    add_PayloadServiceServicer_to_server(payloads, handlers)
    add_RegistryServiceServicer_to_server(registry, handlers)
    gateway = Gateway(
        access=OpenAccess(),
        backends=backends_of(cast("Runtime", _Stubs(handlers, metrics))),
        routes=ROUTES,
        sockets=SOCKETS,
        observer=RequestMetrics(metrics),
        spans=Spans(),
        log=structlog.get_logger(),
    )
    async with _served(gateway, metrics) as url, aiohttp.ClientSession() as http:
        yield Rest(
            url, Description(), http, metrics, definitions, executions, events, payloads, registry
        )


@asynccontextmanager
async def _served(gateway: Gateway, metrics: Metrics) -> AsyncIterator[str]:
    """Serve the gateway on the HTTP server of the runtime, on a free port."""
    server = HttpServer(checks=Checks(), metrics=metrics, about=dict, access=OpenAccess())
    server.mount(cast("Any", gateway))
    listener = listen("127.0.0.1", 0)
    await server.open_app()
    await server.start(listener)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await server.stop()
