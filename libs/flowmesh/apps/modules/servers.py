"""Servers, routers and handlers."""

from http import HTTPStatus
from typing import Any

from flowmesh.apps.http.application import HttpApplication
from flowmesh.apps.http.messages import Handle, Request, Response, dump
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.http.server import Listener, Listening, parse_address
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.apps.pipeline.run import Run
from flowmesh.apps.pipeline.templates import Compiling, compile_value, is_constant
from flowmesh.apps.wiring.ports import HANDLER, PLACEHOLDER


def http_server(setting: Setting) -> Module:
    """Build http.server."""
    host, port = parse_address(str(setting.config["address"]), public=setting.context.public)
    return _server(setting, host, port)


def modular_server(setting: Setting) -> Module:
    """Build httpserver.modular."""
    return _server(setting, str(setting.config["host"]), int(setting.config["port"]))


def _server(setting: Setting, host: str, port: int) -> Module:
    config = setting.config
    tls = config.get("tls") or {}
    enabled = bool(tls) and tls.get("enabled", True) is not False
    certificate = tls.get("cert", tls.get("cert_file")) if enabled else None
    key = tls.get("key", tls.get("key_file")) if enabled else None
    app = HttpApplication(
        name=setting.name,
        observer=setting.context.hub,
        body_bytes_max=int(config["maxBodyBytes"]),
        body_read_s=float(config["readTimeout"]),
        write_s=float(config["writeTimeout"]),
    )
    listener = Listener(
        name=setting.name,
        app=app,
        at=Listening(
            host=host,
            port=port,
            idle_s=float(config["idleTimeout"]),
            shutdown_s=float(config["shutdownTimeout"]),
            connections_max=int(config["maxConnections"]),
            certificate=setting.path(certificate) if certificate else None,
            key=setting.path(key) if key else None,
        ),
    )
    return Module(name=setting.name, services={"Server": app, "Listener": listener})


def router(setting: Setting) -> Module:
    """Build http.router and chimux.router; their routes are mounted with the others."""
    return Module(name=setting.name, services={"Router": setting.name})


def handler(setting: Setting) -> Module:
    """Build http.handler: a fixed answer, or one of templates."""
    config = setting.config
    content_type = str(config["contentType"]).encode("latin-1")
    status = int(config["status"])
    raw = config.get("body")
    if raw is None:
        raw = {"handler": setting.name, "status": "success" if status < 400 else "error"}
    headers = [
        (str(k).lower().encode("latin-1"), str(v).encode())
        for k, v in (config.get("headers") or {}).items()
    ]
    if is_constant(raw):
        body = raw.encode() if isinstance(raw, str) else dump(raw)

        def fixed(_request: Request) -> Response:
            return Response(status, body, content_type, headers)

        handle: Any = fixed
    else:
        render = compile_value(raw, Compiling())

        def templated(request: Request) -> Response:
            value = render(Run(dict(request.params), request=request))
            text = value.encode() if isinstance(value, str) else dump(value)
            return Response(status, text, content_type, headers)

        handle = templated
    # A handler that only says that it is there; a route of nothing else answers 501.
    services = {"Handler": handle}
    if config.get("body") is None and status == HTTPStatus.OK and not headers:
        services["Placeholder"] = handle
    path, method = str(config.get("path") or ""), str(config.get("method") or "").upper()

    def mount(mounts: Mounts) -> None:
        where = setting.partners.get("Router", "")
        app = mounts.of_router(where)
        if path and app is not None:
            template = mounts.prefix(where).rstrip("/") + path
            if not app.serves(method, template):
                # A flow may stand behind the module.
                found = setting.context.registry.need(HANDLER, setting.name)
                if found is services.get(PLACEHOLDER.name):
                    found = refusing(setting.name)
                app.add(method, template, found, middlewares=mounts.middlewares(where))

    return Module(name=setting.name, services=services, mount=mount)


def refusing(name: str) -> Handle:
    """Return the handler in place of an http.handler that does nothing."""

    def handle(_request: Request) -> Response:
        raise HttpProblem(501, "NOT_IMPLEMENTED", f"the handler {name!r} has no body")

    return handle
