"""Routes of documents: those of workflows, routers, handlers, pipelines and triggers."""

import re
from collections.abc import Iterable

from flowmesh.apps.catalog import nearest_names
from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.document.model import PipelineSpec, RouteSpec, TriggerSpec
from flowmesh.apps.document.steps import StepReader
from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ANY_METHOD = ""
_ROUTE_KEYS = (
    *("method", "path", "handler", "middlewares", "pipeline", "steps", "response", "description"),
    *("name", "router", "methods", "ui", "config", "params", "workflow", "action", "wait"),
)
_WORKFLOW_KEYS = ("router", "server", "routes", "endpoints", "name", "middlewares", "description")
_COLON = re.compile(r"/:([A-Za-z_]\w*)")


class RouteReader:
    """Reads routes and answers of endpoints."""

    def __init__(self, findings: Findings, steps: StepReader) -> None:
        self._findings = findings
        self._steps = steps

    def workflow(self, config: dict[str, Json], at: SourcePath) -> list[RouteSpec]:
        """Return the routes of a workflow of the kind http."""
        for key in config:
            if key not in _WORKFLOW_KEYS:
                near = nearest_names(key, _WORKFLOW_KEYS)
                message = f"a workflow of HTTP has no key {key!r}{near}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
        router, server = str(config.get("router") or ""), str(config.get("server") or "")
        found: list[RouteSpec] = []
        for key in ("routes", "endpoints"):
            found += self.routes(config.get(key), at / key, router=router, server=server)
        return found

    def routes(
        self, raw: Json, at: SourcePath, *, router: str = "", server: str = "", handler: str = ""
    ) -> list[RouteSpec]:
        """Return the routes of a list; `handler` serves those without one of their own."""
        if raw is None:
            return []
        if not isinstance(raw, list):
            self._findings.error("APP_INVALID", f"routes is a list, not {kind_of(raw)}", at)
            return []
        found: list[RouteSpec] = []
        for index, item in enumerate(raw):
            here = at / index
            if not isinstance(item, dict):
                message = f"a route is an object, not {kind_of(item)}"
                self._findings.error("APP_INVALID", message, here)
                continue
            found += self._route(item, here, router, server, handler)
        return found

    def _route(
        self, raw: dict[str, Json], at: SourcePath, router: str, server: str, handler: str
    ) -> Iterable[RouteSpec]:
        for key in raw:
            if key not in _ROUTE_KEYS:
                message = f"a route has no key {key!r}{nearest_names(key, _ROUTE_KEYS)}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
        path = self.path(raw.get("path"), at)
        methods = raw.get("methods") or [raw.get("method") or ANY_METHOD]
        if not path:
            return
        pipeline = raw.get("pipeline", raw.get("steps"))
        key = "pipeline" if "pipeline" in raw else "steps"
        response = raw.get("response")
        if response is not None and not isinstance(response, dict):
            message = f"response is {{statusCode, headers, body}}, not {kind_of(response)}"
            self._findings.error("APP_INVALID", message, at / "response")
            return
        named = str(raw.get("handler") or handler)
        if not named and pipeline is None and response is None:
            message = "a route needs a handler, a pipeline or a response"
            self._findings.error("APP_INVALID", message, at)
            return
        for method in methods if isinstance(methods, list) else [methods]:
            name = self.method(method, at / "method")
            yield RouteSpec(
                method=name,
                path=path,
                at=at,
                router=str(raw.get("router") or router),
                server=server,
                handler=named,
                middlewares=self._middlewares(raw.get("middlewares"), at / "middlewares"),
                pipeline=None
                if pipeline is None
                else self._steps.pipeline(f"{name or '*'} {path}", pipeline, at / key),
                answer=response,
            )

    def trigger(self, trigger: TriggerSpec) -> list[RouteSpec]:
        """Return the route of an HTTP trigger."""
        raw = trigger.config
        path = self.path(raw.get("path", raw.get("route")), trigger.at)
        if not path:
            return []
        method = self.method(raw.get("method") or "POST", trigger.at / "method")
        return [RouteSpec(method=method, path=path, at=trigger.at, start=trigger)]

    def pipeline(self, pipeline: PipelineSpec) -> list[RouteSpec]:
        """Return the route of a pipeline whose trigger is HTTP."""
        at = pipeline.at / "trigger"
        config = pipeline.trigger.get("config")
        config = config if isinstance(config, dict) else {}
        path = self.path(config.get("path"), at)
        if not path:
            return []
        return [
            RouteSpec(
                method=self.method(config.get("method") or "POST", at),
                path=path,
                at=at,
                router=str(config.get("router") or ""),
                middlewares=self._middlewares(config.get("middlewares"), at),
                pipeline=pipeline,
            )
        ]

    def path(self, raw: Json, at: SourcePath) -> str:
        """Return a path with its parameters in braces; "" after an error."""
        if not isinstance(raw, str) or not raw.startswith("/"):
            self._findings.error("APP_INVALID", "a route needs a path that begins with /", at)
            return ""
        return _COLON.sub(r"/{\1}", raw)

    def method(self, raw: Json, at: SourcePath) -> str:
        name = str(raw).upper()
        if name in ("", "*", "ANY"):
            return ANY_METHOD
        if name not in METHODS:
            near = nearest_names(name, METHODS)
            message = f"there is no method {name[:20]!r}{near or ': ' + ', '.join(METHODS)}"
            self._findings.error("ROUTE_INVALID", message, at)
        return name

    def _middlewares(self, raw: Json, at: SourcePath) -> tuple[str, ...]:
        if raw is None:
            return ()
        if isinstance(raw, list) and all(isinstance(each, str) for each in raw):
            return tuple(raw)
        self._findings.error("APP_INVALID", "middlewares is a list of names of modules", at)
        return ()
