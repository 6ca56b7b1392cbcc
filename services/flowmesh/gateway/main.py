"""Composition root of the gateway."""

from typing import TYPE_CHECKING

from flowmesh.gateway.app import Gateway
from flowmesh.gateway.backends import backends_of
from flowmesh.gateway.grpc_proxy import forward_public
from flowmesh.gateway.http.metrics import RequestMetrics
from flowmesh.gateway.routes import ROUTES, SOCKETS
from flowmesh.runtime import Runtime

if TYPE_CHECKING:
    from flowmesh.cells import Directory


async def run(runtime: Runtime) -> None:
    """Serve REST, Server-Sent Events, WebSockets and gRPC until the process drains."""
    forward_public(runtime)
    if not runtime.settings.cell_name:
        runtime.serve_http(_gateway(runtime, None))
        await runtime.until_stopped()
        return
    # Of several cells: one suite loads no client of HTTP for it.
    from flowmesh.gateway.cells.opening import front_around, read_directory

    directory = read_directory(runtime)
    async with front_around(runtime, _gateway(runtime, directory), directory) as served:
        runtime.serve_http(served)
        await runtime.until_stopped()


def _gateway(runtime: Runtime, directory: "Directory | None") -> Gateway:
    return Gateway(
        backends=backends_of(runtime, directory),
        routes=ROUTES,
        sockets=SOCKETS,
        observer=RequestMetrics(runtime.metrics),
        spans=runtime.spans,
        log=runtime.log,
        access=runtime.access,
    )
