"""A request of every REST route about the objects of one tenant."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from flowmesh.api.common.v1.access_pb2 import IdKind
from flowmesh.contract.json_value import Json
from flowmesh.gateway.http.operation_docs import PATH_PARAMETER, Route, SocketRoute
from flowmesh.gateway.routes import ROUTES, SOCKETS
from tests.access.samples import DEFINITION
from tests.access.tenants import Tenant

# Public routes have tests of their own.
CALLS: tuple[Route | SocketRoute, ...] = (
    *(route for route in ROUTES if not route.public),
    *SOCKETS,
)
# Parameters of paths and queries that name objects, and the objects.
IDS: Mapping[str, int] = {
    "workflowId": IdKind.ID_KIND_WORKFLOW,
    "workflow": IdKind.ID_KIND_WORKFLOW,
    "name": IdKind.ID_KIND_WORKFLOW,
    "trigger": IdKind.ID_KIND_TRIGGER,
    "subscription": IdKind.ID_KIND_SUBSCRIPTION,
    "app": IdKind.ID_KIND_APP,
    "executionId": IdKind.ID_KIND_EXECUTION,
    "execution": IdKind.ID_KIND_EXECUTION,
    "otherId": IdKind.ID_KIND_EXECUTION,
    "bulkId": IdKind.ID_KIND_BULK,
    "id": IdKind.ID_KIND_INSTANCE,
    "companyId": IdKind.ID_KIND_COMPANY,
    "organizationId": IdKind.ID_KIND_ORGANIZATION,
    "projectId": IdKind.ID_KIND_PROJECT,
    "userId": IdKind.ID_KIND_USER,
    "keyId": IdKind.ID_KIND_API_KEY,
    "providerId": IdKind.ID_KIND_IDENTITY_PROVIDER,
    "groupId": IdKind.ID_KIND_USER_GROUP,
    "sessionId": IdKind.ID_KIND_SESSION,
    "invitationId": IdKind.ID_KIND_INVITATION,
}
NAMED = ("label", "digest", "subject", "hook")
FIXED: Mapping[str, str] = {
    "node": "ask",
    "version": "1",
    "variable": "v",
    "path": "input",
    "kind": "queue",
    "from": "1",
    "to": "1",
}
# Queries that are needed to come to the objects; the others are optional filters.
QUERIES = ("workflow", "execution", "kind", "subject", "from", "to", "path")
# Routes of tenants, whose level is in the path.
WITHOUT_NAMESPACE = tuple(
    f"/api/v1/{name}"
    for name in ("auth", "companies", "organizations", "projects", "members", "invitations")
)
Body = Callable[[Tenant], Json]
BODIES: Mapping[str, Body] = {
    "/executions/start": lambda tenant: {"workflowId": tenant.canary, "context": {}},
    "/api/v1/signals": lambda tenant: {"name": "paid", "key": tenant.names["key"]},
    "/api/v1/bulk": lambda tenant: {
        "filter": f"workflow = '{tenant.canary}'",
        "action": "pause",
        "preview": True,
    },
    "/api/v1/limits": lambda tenant: {
        "kind": "queue",
        "subject": tenant.canary,
        "concurrency": 2,
    },
    "/api/v1/dispatch/stop": lambda tenant: {"workflow": tenant.canary},
    "/api/v1/dispatch/start": lambda tenant: {"workflow": tenant.canary},
    "/api/v1/workflows:dryRun": lambda tenant: {"workflow": tenant.canary},
    "/api/v1/workflows:test": lambda tenant: {"workflow": tenant.canary},
    "/api/v1/retention": lambda _: {"retentionMs": 86_400_000},
    "/api/v1/events": lambda _: {"type": "sample"},
}
# The ends of paths whose bodies need more than an empty object.
ENDS: Mapping[str, Json] = {
    ":signal": {"name": "paid"},
    ":decide": {"approved": False, "by": "ida"},
    ":link": {"by": "ida"},
    ":attributes": {"attributes": {"region": "north"}},
    ":instantiate": {"name": "sample"},
    "{variable}": {"value": 1},
    "/breakpoints": {"all": False},
    "/labels/{label}": {"version": "1"},
}


@dataclass(frozen=True, slots=True)
class Sent:
    """The parts of a request that may name objects."""

    method: str
    template: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    namespace: str
    body: Json

    @property
    def path(self) -> str:
        return PATH_PARAMETER.sub(lambda found: self.params[found[1]], self.template)

    @property
    def text(self) -> bytes:
        return repr(self).encode()


def sent(route: Route | SocketRoute, tenant: Tenant) -> Sent:
    """Return a request that names only what the tenant has."""
    queries = [each.name for each in route.operation.query]
    return Sent(
        method=route.method if isinstance(route, Route) else "GET",
        template=route.path,
        params={name: _in_path(name, tenant) for name in PATH_PARAMETER.findall(route.path)},
        query={name: named(name, tenant) for name in queries if name in QUERIES},
        namespace=tenant.namespace,
        body=_body(route, tenant),
    )


def named(parameter: str, tenant: Tenant) -> str:
    if parameter in IDS:
        return tenant.ids.get(IDS[parameter], f"{tenant.canary}-id")
    if parameter in NAMED:
        return tenant.names[parameter]
    return FIXED.get(parameter, f"{tenant.canary}-{parameter}")


def _in_path(parameter: str, tenant: Tenant) -> str:
    """Return the value of a parameter of a path; `path` in a query is one within an execution."""
    return tenant.names["path"] if parameter == "path" else named(parameter, tenant)


def crossings(
    route: Route | SocketRoute, own: Tenant, other: Tenant, nothing: Tenant
) -> Iterator[tuple[str, Sent, Sent]]:
    """Yield pairs of requests of a tenant: with names of another, and with names of nothing."""
    base = sent(route, own)
    for part, of in (("params", _in_path), ("query", named)):
        for name in getattr(base, part):
            foreign, missing = (
                replace(base, **{part: getattr(base, part) | {name: of(name, tenant)}})
                for tenant in (other, nothing)
            )
            yield f"its own but {name}", foreign, missing
    if not route.path.startswith(WITHOUT_NAMESPACE):
        yield (
            "its own but the namespace",
            replace(base, namespace=other.namespace),
            replace(base, namespace=nothing.namespace),
        )
    if isinstance(route, Route) and route.path in BODIES:
        foreign, missing = (replace(base, body=_body(route, tenant)) for tenant in (other, nothing))
        yield "its own but the body", foreign, missing
    yield "all", sent(route, other), sent(route, nothing)


def _body(route: Route | SocketRoute, tenant: Tenant) -> Json:
    body = route.operation.body
    if body is None:
        return None
    if body.shape is None:
        return DEFINITION
    if route.path in BODIES:
        return BODIES[route.path](tenant)
    return next((ENDS[end] for end in ENDS if route.path.endswith(end)), {})
