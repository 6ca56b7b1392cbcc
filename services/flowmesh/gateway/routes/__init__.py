"""What is served: one module per area, each with its table of routes."""

from flowmesh.gateway.operations import Route, SocketRoute
from flowmesh.gateway.routes import (
    directory,
    docs,
    events,
    execute,
    executions,
    rehearsals,
    resources,
    stats,
    steps,
)

ROUTES: tuple[Route, ...] = (
    *steps.ROUTES,
    *execute.ROUTES,
    *resources.ROUTES,
    *rehearsals.ROUTES,
    *executions.ROUTES,
    *stats.ROUTES,
    *events.ROUTES,
    *directory.ROUTES,
    *docs.ROUTES,
)
SOCKETS: tuple[SocketRoute, ...] = events.SOCKETS
