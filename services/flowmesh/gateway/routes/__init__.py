"""The routes: one module per area, each with a table of routes."""

from flowmesh.gateway.http.operation_docs import Route, SocketRoute
from flowmesh.gateway.routes import (
    assistant,
    console,
    directory,
    docs,
    limits,
    link_keys,
    links,
    live,
    meters,
    registrations,
    steps,
    triggers,
    tunnel,
)
from flowmesh.gateway.routes.agents import agents, plugins
from flowmesh.gateway.routes.apps import apps, module_schemas
from flowmesh.gateway.routes.definitions import (
    admission,
    drafts,
    dry_runs,
    formats,
    maps,
    resources,
    tasks,
    templates,
    topology,
    versions,
)
from flowmesh.gateway.routes.eventstore import groups, projections, streams
from flowmesh.gateway.routes.executions import (
    bulks,
    control,
    events,
    execute,
    executions,
    grids,
    hub,
    insights,
    records,
    retention,
    searches,
    stats,
)
from flowmesh.gateway.routes.identity import (
    api_keys,
    audit,
    auth,
    encryption,
    files,
    logins,
    members,
    providers,
    quotas,
    secrets,
    tenants,
)
from flowmesh.gateway.routes.mcp import endpoint as mcp
from flowmesh.gateway.routes.messages import exchanges, messages, queues
from flowmesh.gateway.routes.observe import dashboards, observe, questions, requests
from flowmesh.gateway.routes.projects import dashboard, deployments, mirrors
from flowmesh.gateway.routes.scim import discovery as scim_discovery
from flowmesh.gateway.routes.scim import groups as scim_groups
from flowmesh.gateway.routes.scim import users as scim_users
from flowmesh.gateway.routes.subscriptions import published, subscriptions

_REST: tuple[Route, ...] = (
    *steps.ROUTES,
    *execute.ROUTES,
    *drafts.ROUTES,
    *resources.ROUTES,
    *tasks.ROUTES,
    *templates.ROUTES,
    *versions.ROUTES,
    *topology.ROUTES,
    *maps.ROUTES,
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
    *observe.ROUTES,
    *requests.ROUTES,
    *questions.ROUTES,
    *dashboards.ROUTES,
    *grids.ROUTES,
    *limits.ROUTES,
    *meters.ROUTES,
    *events.ROUTES,
    *hub.ROUTES,
    *triggers.ROUTES,
    *published.ROUTES,
    *subscriptions.ROUTES,
    *queues.ROUTES,
    *exchanges.ROUTES,
    *messages.ROUTES,
    *streams.ROUTES,
    *groups.ROUTES,
    *projections.ROUTES,
    *assistant.ROUTES,
    *apps.ROUTES,
    *module_schemas.ROUTES,
    *agents.ROUTES,
    *plugins.ROUTES,
    *directory.ROUTES,
    *registrations.ROUTES,
    *auth.ROUTES,
    *providers.ROUTES,
    *scim_discovery.ROUTES,
    *scim_users.ROUTES,
    *scim_groups.ROUTES,
    *logins.ROUTES,
    *tenants.ROUTES,
    *members.ROUTES,
    *api_keys.ROUTES,
    *files.ROUTES,
    *quotas.ROUTES,
    *encryption.ROUTES,
    *secrets.ROUTES,
    *audit.ROUTES,
    *mirrors.ROUTES,
    *deployments.ROUTES,
    *dashboard.ROUTES,
    *docs.ROUTES,
    *console.ROUTES,
)
ROUTES = (*_REST, *mcp.routes(_REST))
SOCKETS: tuple[SocketRoute, ...] = (*events.SOCKETS, *hub.SOCKETS, *live.SOCKETS, *tunnel.SOCKETS)
