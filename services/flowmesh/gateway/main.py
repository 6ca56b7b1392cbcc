"""Composition root of the gateway."""

from flowmesh.gateway.app import Gateway
from flowmesh.gateway.backends import backends_of
from flowmesh.gateway.grpc_proxy import forward_public
from flowmesh.gateway.http.metrics import RequestMetrics
from flowmesh.gateway.routes import ROUTES, SOCKETS
from flowmesh.runtime import Runtime


async def run(runtime: Runtime) -> None:
    """Serve REST, Server-Sent Events, WebSockets and gRPC until the process drains."""
    forward_public(runtime)
    gateway = Gateway(
        backends=backends_of(runtime),
        routes=ROUTES,
        sockets=SOCKETS,
        observer=RequestMetrics(runtime.metrics),
        spans=runtime.spans,
        log=runtime.log,
        access=runtime.access,
    )
    if not runtime.settings.cell_name:
        runtime.serve_http(gateway)
        await runtime.until_stopped()
        return
    # Of several cells: one suite loads no client of HTTP for it.
    from flowmesh.gateway.cells.opening import front_around

    async with front_around(runtime, gateway) as served:
        runtime.serve_http(served)
        await runtime.until_stopped()
