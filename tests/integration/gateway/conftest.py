"""The gateway on a real HTTP server, with stand-ins for the services."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import pytest

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
from flowmesh.gateway.routes import ROUTES, SOCKETS
from flowmesh.rpc import Handlers
from flowmesh.telemetry import Metrics
from tests.integration.gateway.description import Description, description
from tests.integration.gateway.serving import serving
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
    async with (
        serving(ROUTES, SOCKETS, handlers, metrics) as url,
        aiohttp.ClientSession() as http,
    ):
        yield Rest(
            url, description(), http, metrics, definitions, executions, events, payloads, registry
        )
