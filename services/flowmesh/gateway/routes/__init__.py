"""What is served: one module per area, each with its table of routes."""

from flowmesh.gateway.operations import Route, SocketRoute
from flowmesh.gateway.routes import (
    admission,
    directory,
    docs,
    events,
    execute,
    executions,
    formats,
    rehearsals,
    resources,
    stats,
    steps,
    tasks,
    templates,
    topology,
    versions,
)

ROUTES: tuple[Route, ...] = (
    *steps.ROUTES,
    *execute.ROUTES,
    *resources.ROUTES,
    *tasks.ROUTES,
    *templates.ROUTES,
    *versions.ROUTES,
    *topology.ROUTES,
    *admission.ROUTES,
    *formats.ROUTES,
    *rehearsals.ROUTES,
    *executions.ROUTES,
    *stats.ROUTES,
    *events.ROUTES,
    *directory.ROUTES,
    *docs.ROUTES,
)
SOCKETS: tuple[SocketRoute, ...] = events.SOCKETS
