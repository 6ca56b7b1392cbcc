"""OpenAPI 3.1 documents of the routes of an application."""

import re
from collections.abc import Awaitable, Iterable, Mapping

import orjson
import yaml

from flowmesh.apps.document.model import AppDocument, PipelineSpec, RouteSpec
from flowmesh.apps.http.application import HttpApplication
from flowmesh.apps.http.messages import Handle, Request, Response
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.contract.json_value import Json
from flowmesh.jsontext.integers import is_whole

PATHS = ("/api/openapi.json", "/api/openapi.yaml")
_PARAMETER = re.compile(r"\{([A-Za-z_][\w-]*)(?:\.\.\.|:[^}]+)?\}")
_PROBLEM = {
    "description": "A problem.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_ANY = ("get", "post", "put", "patch", "delete")


def describe(
    document: AppDocument,
    routes: Iterable[tuple[str, str, RouteSpec | None]],
    *,
    title: str = "",
    version: str = "1.0.0",
    servers: Iterable[Json] = (),
) -> dict[str, Json]:
    """Return the OpenAPI document of routes: method, path and the route of the configuration."""
    paths: dict[str, dict[str, Json]] = {}
    used: dict[str, int] = {}
    for method, path, route in routes:
        plain = _PARAMETER.sub(r"{\1}", path).replace("/{$}", "/").replace("*", "{rest}")
        names = re.findall(r"\{([^}]+)\}", plain)
        for each in [method.lower()] if method else _ANY:
            operation = _operation(document, each, plain, names, route, used)
            paths.setdefault(plain, {}).setdefault(each, operation)
    body: dict[str, Json] = {
        "openapi": "3.1.0",
        "info": {"title": title or document.name, "version": version},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["status", "code"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "code": {"type": "string"},
                        "detail": {"type": "string"},
                        "requestId": {"type": "string"},
                        "violations": {"type": "array", "items": {"type": "object"}},
                    },
                }
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    if document.description:
        body["info"]["description"] = document.description
    urls = [each if isinstance(each, dict) else {"url": str(each)} for each in servers]
    return body | ({"servers": urls} if urls else {})


def _operation(
    document: AppDocument,
    method: str,
    path: str,
    names: list[str],
    route: RouteSpec | None,
    used: dict[str, int],
) -> dict[str, Json]:
    name = re.sub(r"[^A-Za-z0-9]+", "_", f"{method}{path}").strip("_")
    used[name] = used.get(name, 0) + 1
    operation: dict[str, Json] = {
        "operationId": name if used[name] == 1 else f"{name}_{used[name]}",
        "parameters": [
            {"name": each, "in": "path", "required": True, "schema": {"type": "string"}}
            for each in names
        ],
        "responses": {"200": {"description": "The answer."}, "default": _PROBLEM},
    }
    pipeline = route.pipeline if route is not None else None
    if pipeline is not None:
        _add_pipeline(operation, pipeline)
    elif route is not None and route.answer is not None:
        status = str(route.answer.get("statusCode", route.answer.get("status", 200)))
        operation["responses"] = {status: {"description": "The answer."}, "default": _PROBLEM}
    kinds = [document.module(each) for each in (route.middlewares if route is not None else ())]
    if any(each is not None and each.type == "http.middleware.auth" for each in kinds):
        operation["security"] = [{"bearer": []}]
    if method in ("post", "put", "patch") and "requestBody" not in operation:
        content: Json = {"application/json": {"schema": {}}}
        operation["requestBody"] = {"required": False, "content": content}
    return operation


def _add_pipeline(operation: dict[str, Json], pipeline: PipelineSpec) -> None:
    """Describe what the steps of a pipeline read and answer."""
    statuses: dict[str, Json] = {}
    for step in pipeline.steps:
        config = step.config
        if step.type == "step.request_parse":
            operation["parameters"] += [
                {"name": each, "in": "query", "required": False, "schema": {"type": "string"}}
                for each in config.get("query_params") or ()
            ]
        elif step.type == "step.validate":
            schema = _schema(config)
            if schema is not None:
                content = {"application/json": {"schema": schema}}
                operation["requestBody"] = {"required": True, "content": content}
                statuses["422"] = _PROBLEM
        elif step.type in ("step.json_response", "step.raw_response"):
            status = str(config.get("status", 200))
            if is_whole(status):
                statuses.setdefault(status, {"description": f"Answer of the step {step.name}."})
    if statuses:
        operation["responses"] = {**statuses, "default": _PROBLEM}


def _schema(config: Mapping[str, Json]) -> Json:
    if isinstance(config.get("schema"), dict):
        return config["schema"]
    required = config.get("required_fields")
    if not required:
        return None
    plain = [each for each in required if "." not in each]
    return {"type": "object", "required": plain, "properties": {each: {} for each in plain}}


def generator(setting: Setting) -> Module:
    """Build openapi.generator."""
    config = setting.config
    document = setting.context.document

    title, version = str(config["title"]), str(config["version"])
    urls = config.get("servers") or ()
    generated: dict[str, Json] = {}

    def body(server: HttpApplication) -> Json:
        if server.name not in generated:
            generated[server.name] = describe(
                document,
                served_routes(server),
                title=title,
                version=version,
                servers=urls,
            )
        return generated[server.name]

    def handle_of(server: HttpApplication) -> Handle:
        def handle(request: Request) -> Response:
            if request.path.endswith((".yaml", ".yml")):
                text = yaml.safe_dump(body(server), sort_keys=False, allow_unicode=True)
                return Response(200, text.encode(), b"application/yaml")
            return Response(200, orjson.dumps(body(server)))

        return handle

    mounted: list[Handle] = []

    def first(request: Request) -> Response | Awaitable[Response]:
        return mounted[0](request)

    def mount(mounts: Mounts) -> None:
        router = setting.partners.get("Router", "")
        app = mounts.of_router(router) if router else None
        for server in [app] if app is not None else mounts.servers():
            handle = handle_of(server)
            mounted.append(handle)
            for path in PATHS:
                if not server.serves("GET", path):
                    server.add("GET", path, handle)

    return Module(name=setting.name, services={"Handler": first}, mount=mount)


def served_routes(server: HttpApplication) -> list[tuple[str, str, RouteSpec | None]]:
    """Return the routes of a server with their parts of the configuration."""
    found = [
        (method, leaf.template, target.spec)
        for leaf in server.router.leaves()
        for method, target in leaf.methods.items()
    ]
    return [each for each in found if each[1] not in PATHS]
