"""The routes: one module per area, each with a table of routes."""

from flowmesh.gateway.http.operation_docs import Route, SocketRoute
from flowmesh.gateway.routes import (
    directory,
    docs,
    limits,
    link_keys,
    links,
    steps,
    triggers,
)
from flowmesh.gateway.routes.definitions import (
    admission,
    dry_runs,
    formats,
    resources,
    tasks,
    templates,
    topology,
    versions,
)
from flowmesh.gateway.routes.executions import (
    bulks,
    control,
    events,
    execute,
    executions,
    insights,
    records,
    retention,
    searches,
    stats,
)
from flowmesh.gateway.routes.identity import api_keys, auth, files, members, quotas, tenants
from flowmesh.gateway.routes.projects import dashboard, deployments, mirrors

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
    *dry_runs.ROUTES,
    *executions.ROUTES,
    *records.ROUTES,
    *control.ROUTES,
    *links.ROUTES,
    *link_keys.ROUTES,
    *searches.ROUTES,
    *bulks.ROUTES,
    *retention.ROUTES,
    *insights.ROUTES,
    *stats.ROUTES,
    *limits.ROUTES,
    *events.ROUTES,
    *triggers.ROUTES,
    *directory.ROUTES,
    *auth.ROUTES,
    *tenants.ROUTES,
    *members.ROUTES,
    *api_keys.ROUTES,
    *files.ROUTES,
    *quotas.ROUTES,
    *mirrors.ROUTES,
    *deployments.ROUTES,
    *dashboard.ROUTES,
    *docs.ROUTES,
)
SOCKETS: tuple[SocketRoute, ...] = events.SOCKETS
