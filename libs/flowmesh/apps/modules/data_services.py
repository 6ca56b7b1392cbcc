"""Schemas, transformers, HTTP clients, OpenAPI documents and the list of what is loaded."""

import json
from collections.abc import Mapping
from typing import Any

from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.http.trace_context import TRACEPARENT
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.apps.pipeline.steps.values import validator_of, violations_of
from flowmesh.apps.pipeline.transforming import Apply, compile_operations
from flowmesh.egress.policy import Policy
from flowmesh.errors import Invalid

Json = Any


def schemas(setting: Setting) -> Module:
    """Build jsonschema.modular: `step.validate` by name, POST /validate/{name}."""
    validators: dict[str, Any] = {}
    for name, raw in (setting.config.get("schemas") or {}).items():
        schema = raw
        if isinstance(raw, str):
            try:
                schema = json.loads(setting.path(raw).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                text = f"{setting.name}: the schema file {raw} cannot be read as JSON"
                raise Invalid("SCHEMA_INVALID", text) from None
        validators[name] = validator_of(schema, f"{setting.name}: {name}")

    def handle(request: Request) -> Response:
        name = request.params.get("name", "")
        validator = validators.get(name)
        if validator is None:
            raise HttpProblem(404, "SCHEMA_NOT_FOUND", f"there is no schema {name[:80]!r}")
        found = violations_of(validator, request.json())
        return json_response({"valid": not found, "violations": found}, 422 if found else 200)

    def mount(mounts: Mounts) -> None:
        for each in mounts.servers()[:1]:
            each.add("POST", "/validate/{name}", handle)

    def check_of(validator: Any) -> Any:
        return lambda value: violations_of(validator, value)

    return Module(
        name=setting.name,
        services={"Handler": handle, "Validator": validators},
        named={("Validator", name): check_of(each) for name, each in validators.items()},
        mount=mount if validators else None,
    )


class Transformer:
    """Named lists of operations."""

    def __init__(self, pipelines: Mapping[str, Apply], default: str) -> None:
        self._pipelines = pipelines
        self._default = default

    async def transform(self, name: str, value: Json) -> Json:
        """Apply a pipeline. Raises HttpProblem for an unknown one."""
        found = self._pipelines.get(name or self._default)
        if found is None:
            known = ", ".join(self._pipelines) or "none"
            text = f"there is no pipeline {name or self._default!r}; there are {known}"
            raise HttpProblem(500, "PIPELINE_UNKNOWN", text)
        return found(value)


def transformer(setting: Setting) -> Module:
    """Build data.transformer. Raises Invalid for a wrong operation."""
    raw = dict(setting.config.get("pipelines") or {})
    one = setting.config.get("pipeline")
    default = next(iter(raw), "")
    if isinstance(one, list):
        default = "pipeline"
        raw[default] = one
    elif isinstance(one, str):
        default = one
    problems: list[str] = []
    built = {name: compile_operations(each, problems) for name, each in raw.items()}
    if problems:
        raise Invalid("APP_CONFIG_INVALID", f"{setting.name}: {problems[0]}")
    made = Transformer(built, default)

    async def handle(request: Request) -> Response:
        return json_response(await made.transform("", request.json()))

    return Module(name=setting.name, services={"Transformer": made, "Handler": handle})


class HttpClient:
    """A client of `step.http_call`, within an egress policy."""

    def __init__(
        self,
        *,
        policy: Policy,
        base: str = "",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 3_600.0,
    ) -> None:
        from flowmesh.egress import Egress

        self._egress = Egress(policy)
        self._base = base.rstrip("/")
        self._headers = dict(headers or {})
        self._timeout_s = timeout_s
        self._open = False

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
    ) -> Any:
        """Send a request. Raises HttpProblem with 502 or 504, and errors of egress."""
        from flowmesh.egress import EgressFailure, TimedOut

        if not self._open:
            self._open = True
            await self._egress.__aenter__()
        if (trace := TRACEPARENT.get()) and "traceparent" not in headers:
            headers = {**headers, "traceparent": trace}
        if self._base and url.startswith("/"):
            url = self._base + url
        try:
            return await self._egress.send(
                method,
                url,
                headers={**self._headers, **headers},
                body=body,
                timeout_ms=max(1, int(min(timeout_s, self._timeout_s) * 1_000)),
            )
        except TimedOut as error:
            raise HttpProblem(504, "UPSTREAM_LATE", str(error)) from None
        except EgressFailure as error:
            raise HttpProblem(502, "UPSTREAM_FAILED", str(error)) from None

    async def stop(self) -> None:
        if self._open:
            await self._egress.__aexit__(None, None, None)


def http_client(setting: Setting) -> Module:
    """Build httpclient.modular."""
    config = setting.config
    client = HttpClient(
        policy=setting.policy,
        base=str(config.get("baseURL") or ""),
        headers={str(k): str(v) for k, v in (config.get("headers") or {}).items()},
        timeout_s=float(config["request_timeout"]),
    )
    return Module(name=setting.name, services={"HttpClient": client}, stop=client.stop)


def registry(setting: Setting) -> Module:
    """Build workflow.registry: lists what the application has loaded."""
    document = setting.around.document

    def listed() -> list[Json]:
        pipelines = [{"name": p.name, "kind": "pipeline"} for p in document.pipelines]
        workflows = [
            {"name": str(w.config.get("name") or w.kind), "kind": w.kind}
            for w in document.workflows
        ]
        return pipelines + workflows

    def handle(request: Request) -> Response:
        name = next(iter(request.params.values()), "")
        if not name:
            return json_response({"workflows": listed()})
        for each in listed():
            if each["name"] == name:
                return json_response(each)
        raise HttpProblem(404, "WORKFLOW_NOT_FOUND", f"there is no workflow {name[:80]!r}")

    return Module(name=setting.name, services={"Registry": listed, "Handler": handle})


def delegating(setting: Setting) -> Module:
    """Build api.command and api.query: routes without a pipeline go to the delegate."""
    reads = setting.spec.type == "api.query"
    delegate = str(setting.config.get("delegate") or "")
    find = setting.later("Handler", delegate) if delegate else None

    async def handle(request: Request) -> Response:
        if reads != (request.method in ("GET", "HEAD")):
            text = f"{setting.spec.type} does not serve {request.method}"
            raise HttpProblem(405, "METHOD_NOT_ALLOWED", text)
        if find is None:
            raise HttpProblem(404, "ROUTE_NOT_FOUND", f"{setting.name} has no such route")
        answer = find()(request)
        return answer if isinstance(answer, Response) else await answer

    return Module(name=setting.name, services={"Handler": handle})
