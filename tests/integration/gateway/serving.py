"""A gateway on the HTTP server of the runtime, whose services are handlers of this process."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import structlog

from flowmesh.gateway.app import Gateway
from flowmesh.gateway.backends import backends_of
from flowmesh.gateway.http.metrics import RequestMetrics
from flowmesh.gateway.http.operation_docs import Route, SocketRoute
from flowmesh.rpc import Handlers, LocalTarget
from flowmesh.rpc.channel import channel_to
from flowmesh.runtime import Clock, Runtime
from flowmesh.runtime.access import OpenAccess
from flowmesh.runtime.checks import Checks
from flowmesh.runtime.http.guard import guard_of
from flowmesh.runtime.http.server import HttpServer, listen
from flowmesh.runtime.settings import Settings
from flowmesh.telemetry import Metrics, Spans


class _Stubs:
    """The part of the runtime that creates stubs, all of one process."""

    def __init__(self, handlers: Handlers, metrics: Metrics) -> None:
        self.clock, self.metrics, self.address = Clock(), metrics, ""
        # The calls of a test are many in a minute.
        self.settings = Settings(mcp_calls_per_minute=0, http_hosts="localhost")
        self._channel = channel_to(LocalTarget(handlers))

    def stub(self, stub_class: Any, _service: str) -> Any:
        return stub_class(self._channel)


@asynccontextmanager
async def serving(
    routes: Iterable[Route],
    sockets: Iterable[SocketRoute],
    handlers: Handlers,
    metrics: Metrics,
) -> AsyncIterator[str]:
    """Serve the routes on a free port; yield the URL."""
    stubs = _Stubs(handlers, metrics)
    gateway = Gateway(
        access=OpenAccess(),
        backends=backends_of(cast("Runtime", stubs)),
        routes=routes,
        sockets=sockets,
        observer=RequestMetrics(metrics),
        spans=Spans(),
        log=structlog.get_logger(),
    )
    server = HttpServer(
        checks=Checks(),
        metrics=metrics,
        about=dict,
        guard=guard_of(stubs.settings),
        access=OpenAccess(),
    )
    server.mount(cast("Any", gateway))
    listener = listen("127.0.0.1", 0)
    await server.open_app()
    await server.start(listener)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await server.stop()
