"""Mounting of routes on the servers of an application."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.model import AppDocument, PipelineSpec, RouteSpec, TriggerSpec
from flowmesh.apps.http.application import HttpApplication
from flowmesh.apps.http.chain import Middleware
from flowmesh.apps.http.messages import Handle, Request, Response, dump
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.middlewares import Cors
from flowmesh.apps.modules.servers import refusing
from flowmesh.apps.pipeline.starting import Pipeline, request_data
from flowmesh.apps.runtime.receivers import PRODUCER
from flowmesh.apps.runtime.triggers import (
    emitting_handler,
    start_handler,
    then_start,
)
from flowmesh.apps.wiring.plan import Plan
from flowmesh.apps.wiring.ports import (
    DURABLE_AT,
    DURABLE_WORKFLOW,
    HANDLER,
    MIDDLEWARE,
    PLACEHOLDER,
    RECEIVER,
    SERVER,
    WEBHOOK,
    DurableStartable,
)
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json
from flowmesh.runtime.http.router import RouteConflict

_PARAMETER = re.compile(r"\{[^}]*\}")
_ROUTERS = ("http.router", "chimux.router")


class MountTable:
    """The servers of an application and the routers on them."""

    def __init__(self, *, document: AppDocument, plan: Plan, registry: ServiceRegistry) -> None:
        self._document = document
        self._registry = registry
        self._servers = registry.of_modules(SERVER)
        self._routers = {
            each.name: plan.partners.get(each.name, {}).get("Server", "")
            for each in document.modules
            if each.type in _ROUTERS
        }
        self._partners = plan.partners

    def servers(self, name: str = "") -> list[HttpApplication]:
        if name:
            return [self._servers[name]] if name in self._servers else []
        return list(self._servers.values())

    def of_router(self, router: str) -> HttpApplication | None:
        server = self._routers.get(router, "")
        if server in self._servers:
            return self._servers[server]
        return next(iter(self._servers.values())) if len(self._servers) == 1 else None

    def prefix(self, router: str) -> str:
        module = self._document.module(router)
        config = module.config if module is not None else {}
        return str(config.get("prefix") or config.get("basepath") or "")

    def middlewares(self, router: str, server: str = "") -> tuple[Middleware, ...]:
        """Return the middlewares of the server and the router, in this order."""
        of_server = self._document.module(self._routers.get(router, server))
        module = self._document.module(router)
        names: list[str] = [
            *((of_server.config.get("middlewares") or ()) if of_server is not None else ()),
            *((module.config.get("middlewares") or ()) if module is not None else ()),
        ]
        found = [self._registry.get(MIDDLEWARE, name) for name in names]
        if module is not None and module.config.get("allowed_origins"):
            found.append(Cors(_cors(module.config)))
        return tuple(each for each in found if each is not None)

    def router_of(self, route: RouteSpec) -> str:
        """Return the router of a route: its own, that of its handler, or the only one."""
        if route.router:
            return route.router
        partner = self._partners.get(route.handler, {}).get("Router", "")
        if partner:
            return partner
        on_server = [r for r, s in self._routers.items() if not route.server or s == route.server]
        return on_server[0] if len(on_server) == 1 else ""

    def app_of(self, route: RouteSpec) -> HttpApplication | None:
        if route.server:
            return self._servers.get(route.server)
        return self.of_router(self.router_of(route))


def _cors(config: Mapping[str, Json]) -> Mapping[str, Json]:
    methods = config.get("allowed_methods") or ["GET", "POST", "PUT", "DELETE", "OPTIONS"]
    return {
        "allowedOrigins": config["allowed_origins"],
        "allowedMethods": methods,
        "allowedHeaders": config.get("allowed_headers") or ["Content-Type", "Authorization"],
        "allowCredentials": bool(config.get("allow_credentials")),
        "maxAge": config.get("max_age", 300),
    }


def mount_routes(
    document: AppDocument,
    table: MountTable,
    registry: ServiceRegistry,
    programs: Mapping[SourcePath, Pipeline],
) -> None:
    """Add the routes of the configuration; conflicts become findings."""
    findings = document.findings
    for path in registry.names(WEBHOOK):
        for app in table.servers()[:1]:
            app.add("POST", path, registry.need(WEBHOOK, path))
    placed = [each for route in document.routes if (each := _placed(route, document, table))]
    starts: dict[tuple[str, str, str], list[TriggerSpec]] = {}
    for each in placed:
        if each.route.start is not None:
            starts.setdefault(each.key, []).append(each.route.start)
    served = {each.key for each in placed if each.route.start is None}
    for each in placed:
        route = each.route
        if route.start is not None and each.key in served:
            continue
        handle = _handle(route, registry, programs)
        triggers = starts.get(each.key, []) if route.start is None else []
        if _does_nothing(handle, route, registry):
            handle = start_handler(triggers[0], registry) if triggers else refusing(route.handler)
            if not triggers:
                message = f"the handler {route.handler!r} has no body and nothing behind it; "
                findings.warn("HANDLER_UNRESOLVED", message + "its route answers 501", route.at)
            triggers = triggers[1:]
        for trigger in triggers:
            handle = then_start(handle, trigger, registry)
        named = [registry.get(MIDDLEWARE, name) for name in route.middlewares]
        middlewares = [*table.middlewares(each.router), *(m for m in named if m is not None)]
        module = document.module(route.handler)
        of_router = document.module(each.router)
        seconds = of_router.config.get("timeout") if of_router is not None else None
        streams = module is not None and "proxy" in module.type and route.pipeline is None
        try:
            each.app.add(
                route.method,
                each.path,
                handle,
                middlewares=tuple(middlewares),
                streams=streams,
                timeout_s=float(seconds or 0.0),
                spec=route,
            )
            _mount_runs(each, registry, tuple(middlewares))
        except RouteConflict as error:
            findings.error("ROUTE_CONFLICT", str(error), route.at)


def _mount_runs(
    placed: "Placed", registry: ServiceRegistry, middlewares: tuple[Middleware, ...]
) -> None:
    """Serve the durable runs that a route starts, to those that may call the route."""
    route = placed.route
    durable: DurableStartable | None = None
    if route.start is not None:
        durable = registry.get(DURABLE_WORKFLOW, route.start.workflow)
    elif route.pipeline is not None:
        durable = registry.get(DURABLE_AT, str(route.pipeline.at.keys))
    if durable is not None and durable.place and not placed.app.serves("GET", durable.place):
        placed.app.add("GET", durable.place, durable.read, middlewares=middlewares)


@dataclass(frozen=True, slots=True)
class Placed:
    """A route with its server, router and whole path."""

    route: RouteSpec
    app: HttpApplication
    router: str
    path: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for routes that match the same requests."""
        return self.app.name, self.route.method, _PARAMETER.sub("{}", self.path)


def _placed(route: RouteSpec, document: AppDocument, table: MountTable) -> Placed | None:
    app = table.app_of(route)
    if app is not None:
        router = table.router_of(route)
        prefix = table.prefix(router).rstrip("/")
        path = route.path if _below(route.path, prefix) else prefix + route.path
        return Placed(route, app, router, path)
    if table.servers():
        message = "several servers could serve this route; name its router or server"
        document.findings.error("WIRING_AMBIGUOUS", message, route.at)
    elif not any(each.type in ("http.server", "httpserver.modular") for each in document.modules):
        document.findings.error("WIRING_MISSING", "a route needs a module http.server", route.at)
    return None


def _below(path: str, prefix: str) -> bool:
    return not prefix or path == prefix or path.startswith(prefix + "/")


def _handle(
    route: RouteSpec, registry: ServiceRegistry, programs: Mapping[SourcePath, Pipeline]
) -> Handle:
    if route.start is not None:
        return start_handler(route.start, registry)
    if route.pipeline is not None:
        return _running(programs[route.pipeline.at], route.pipeline)
    if route.answer is not None:
        return _answer(route.answer)
    found: Handle | None = registry.get(HANDLER, route.handler)
    producer = registry.get(PRODUCER, route.handler)
    if found is not None and producer is not None and registry.get(RECEIVER, route.handler) is None:
        return emitting_handler(found, producer)
    return found if found is not None else _unresolved(route.handler)


def _does_nothing(handle: Handle, route: RouteSpec, registry: ServiceRegistry) -> bool:
    return bool(route.handler) and handle is registry.get(PLACEHOLDER, route.handler)


def _running(program: Pipeline, spec: PipelineSpec) -> Handle:
    """Return the handler of a pipeline; one with a trigger gets the request as its data."""
    if spec.trigger.get("type") != "http":
        return program.handle
    return lambda request: program.handle(request, request_data(request))


def _answer(raw: Mapping[str, Json]) -> Handle:
    """Return the handler of a fixed answer; a body of text that is JSON is sent as JSON."""
    status = int(raw.get("statusCode", raw.get("status", 200)))
    body = raw.get("body", "")
    headers = [
        (str(k).lower().encode("latin-1"), str(v).encode())
        for k, v in (raw.get("headers") or {}).items()
    ]
    content = body.encode() if isinstance(body, str) else dump(body)
    is_json = not isinstance(body, str) or re.match(r"\s*[\[{]", body)
    kind = b"application/json" if is_json else b"text/plain; charset=utf-8"
    if any(name == b"content-type" for name, _ in headers):
        kind = b""
    return lambda _request: Response(status, content, kind, headers)


def _unresolved(name: str) -> Handle:
    def handle(_request: Request) -> Response:
        raise HttpProblem(501, "NOT_IMPLEMENTED", f"there is no handler {name!r}")

    return handle
