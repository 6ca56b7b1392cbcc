"""The parts of documents in one form, out of maps by kind, lists, and the form of the examples."""

from collections.abc import Iterator

from flowmesh.apps.catalog import DESCRIPTORS, descriptor_of, foreign_hint, nearest_names
from flowmesh.apps.document.configuration import configured, section_of
from flowmesh.apps.document.findings import Findings, SourceFile, SourcePath
from flowmesh.apps.document.flows import FlowReader, names_in
from flowmesh.apps.document.limits import MODULES_MAX, NAME_CHARACTERS_MAX, ROUTES_MAX
from flowmesh.apps.document.links import read_links
from flowmesh.apps.document.model import (
    AppDocument,
    LinkSpec,
    ModuleSpec,
    PipelineSpec,
    RouteSpec,
    TriggerSpec,
    WorkflowSpec,
)
from flowmesh.apps.document.routes import RouteReader
from flowmesh.apps.document.steps import StepReader
from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of

_KEYS = (
    *("name", "description", "version", "modules", "workflows", "triggers", "pipelines"),
    *("requires", "platform", "imports", "applications", "links", "ui", "strict", "options"),
)
_MODULE_KEYS = (
    "name",
    "type",
    "config",
    "dependsOn",
    "depends_on",
    "branches",
    "ui",
    "description",
)
# Sections of framework modules configure the module whose type begins with their name.
_SECTIONS = frozenset(
    {
        *("reverseproxy", "scheduler", "eventbus", "cache", "database", "auth", "httpserver"),
        *("httpclient", "chimux", "jsonschema", "eventlogger"),
    }
)
WORKFLOW_KINDS = ("http", "messaging", "statemachine", "scheduler", "event", "integration")
TRIGGER_KINDS = ("http", "event", "eventbus", "schedule")
_TRIGGER_LISTS = ("routes", "subscriptions", "jobs")
PLUGINS = frozenset(
    {
        *("ai", "api", "auth", "cicd", "http", "integration", "messaging", "modular-compat"),
        *("observability", "pipeline-steps", "scheduler", "secrets", "statemachine", "storage"),
        *("workflow-plugin-http", "database", "middleware", "cache", "eventbus"),
    }
)


class PartsReader:
    """Collects the parts of the files of one application."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._steps = StepReader(findings)
        self._routes = RouteReader(findings, self._steps)
        self._name = ""
        self._description = ""
        self._modules: dict[str, ModuleSpec] = {}
        self._route_specs: list[RouteSpec] = []
        self._workflows: list[WorkflowSpec] = []
        self._triggers: list[TriggerSpec] = []
        self._pipelines: dict[str, PipelineSpec] = {}
        self._settings: dict[str, Json] = {}
        self._links: list[LinkSpec] = []

    def read(self, raw: dict[str, Json], at: SourcePath) -> None:
        """Read one expanded file."""
        for key in raw:
            if key not in _KEYS and key not in _SECTIONS:
                near = nearest_names(key, (*_KEYS, *_SECTIONS))
                message = f"an application has no key {key!r}{near}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
        self._name = self._name or str(raw.get("name") or "")
        self._description = self._description or str(raw.get("description") or "")
        self._settings |= {k: v for k, v in raw.items() if k in ("requires", "strict")}
        self._links += read_links(raw.get("links"), at / "links", self._findings)
        self._requires(raw.get("requires"), at / "requires")
        for index, item in self._listed(raw.get("modules"), at / "modules"):
            self._module(item, at / "modules" / index, raw)
        for kind, name, config, here in self._kinds(raw.get("workflows"), at / "workflows"):
            self._workflow(kind, name, config, here)
        for kind, name, config, here in self._kinds(raw.get("triggers"), at / "triggers"):
            self._trigger(kind, name, config, here)
        pipelines = raw.get("pipelines")
        if pipelines is not None and not isinstance(pipelines, dict):
            message = f"pipelines is an object by name, not {kind_of(pipelines)}"
            self._findings.error("APP_INVALID", message, at / "pipelines")
        for name, body in pipelines.items() if isinstance(pipelines, dict) else ():
            self._pipeline(name, body, at / "pipelines" / name)

    def document(self, files: tuple[SourceFile, ...], default_name: str) -> AppDocument:
        modules = tuple(self._modules.values())
        named = names_in(self._workflows, self._triggers, self._route_specs, modules)
        return AppDocument(
            name=self._name or default_name,
            description=self._description,
            files=files,
            modules=modules,
            routes=tuple(self._route_specs),
            workflows=tuple(self._workflows),
            triggers=tuple(self._triggers),
            pipelines=tuple(self._pipelines.values()),
            settings=self._settings,
            findings=self._findings,
            flows=tuple(FlowReader(modules, self._findings).flows(named)),
            links=tuple(self._links),
        )

    def _requires(self, raw: Json, at: SourcePath) -> None:
        plugins = raw.get("plugins") if isinstance(raw, dict) else None
        for index, each in enumerate(plugins if isinstance(plugins, list) else ()):
            name = each.get("name") if isinstance(each, dict) else each
            if name not in PLUGINS:
                message = (
                    f"the plugin {name!r} is not built in; known: {', '.join(sorted(PLUGINS))}"
                )
                self._findings.warn("APP_REQUIRES", message, at / "plugins" / index)

    def _listed(self, raw: Json, at: SourcePath) -> Iterator[tuple[int, dict[str, Json]]]:
        if raw is None:
            return
        if not isinstance(raw, list):
            self._findings.error("APP_INVALID", f"must be a list, not {kind_of(raw)}", at)
            return
        if len(raw) > MODULES_MAX:
            message = f"an application has at most {MODULES_MAX} modules, not {len(raw)}"
            self._findings.error("APP_TOO_LARGE", message, at)
            return
        for index, item in enumerate(raw):
            if isinstance(item, dict):
                yield index, item
            else:
                message = f"must be an object, not {kind_of(item)}"
                self._findings.error("APP_INVALID", message, at / index)

    def _module(self, raw: dict[str, Json], at: SourcePath, document: dict[str, Json]) -> None:
        name, kind = self._name_of(raw, at), raw.get("type")
        if not name:
            return
        if name in self._modules:
            there = self._modules[name].at.keys[-1]
            message = f"a module {name!r} already exists: modules[{there}]"
            self._findings.error("APP_NAME_TAKEN", message, at / "name")
            return
        for key in raw:
            if key not in _MODULE_KEYS:
                message = f"a module has no key {key!r}{nearest_names(key, _MODULE_KEYS)}"
                self._findings.warn("APP_KEY_UNKNOWN", message, at / key, at_key=True)
        descriptor = descriptor_of(kind) if isinstance(kind, str) else None
        if descriptor is None:
            self._unknown_type(kind, at / "type" if "type" in raw else at)
            return
        config = raw.get("config")
        given = (
            {**section_of(descriptor.type, document), **(config or {})}
            if (config is None or isinstance(config, dict))
            else config
        )
        templates = descriptor.category == "pipeline"
        self._modules[name] = ModuleSpec(
            name=name,
            type=str(kind),
            config=configured(
                descriptor, given, at / "config", self._findings, templates=templates
            ),
            depends_on=self._names(raw.get("dependsOn", raw.get("depends_on")), at / "dependsOn"),
            branches=self._branches(raw.get("branches"), at / "branches"),
            at=at,
        )
        self._module_routes(self._modules[name])

    def _module_routes(self, module: ModuleSpec) -> None:
        """Read the routes in the configuration of a router, or of commands and queries."""
        listed = module.config.get("routes")
        at = module.at / "config" / "routes"
        if module.type in ("http.router", "chimux.router"):
            self._route_specs += self._routes.routes(listed, at, router=module.name)
        elif module.type in ("api.command", "api.query"):
            self._route_specs += self._routes.routes(listed, at, handler=module.name)

    def _name_of(self, raw: dict[str, Json], at: SourcePath) -> str:
        name = raw.get("name")
        if not isinstance(name, str) or not name:
            self._findings.error("APP_INVALID", "a module needs a name, a text", at)
            return ""
        if len(name) > NAME_CHARACTERS_MAX or "/" in name or any(c.isspace() for c in name):
            limit = NAME_CHARACTERS_MAX
            message = f"a name has at most {limit} characters, without slashes and blanks"
            self._findings.error("APP_INVALID", message, at / "name")
            return ""
        return name

    def _unknown_type(self, kind: Json, at: SourcePath) -> None:
        if not isinstance(kind, str):
            self._findings.error("APP_INVALID", "a module needs a type, a text", at)
            return
        why = foreign_hint(kind) or f"there is no such type{nearest_names(kind, DESCRIPTORS)}"
        message = f"unknown module type {kind!r}: {why}; `flowmesh app modules` lists the types"
        self._findings.error("MODULE_TYPE_UNKNOWN", message, at)

    def _names(self, raw: Json, at: SourcePath) -> tuple[str, ...]:
        if raw is None:
            return ()
        if isinstance(raw, list) and all(isinstance(each, str) for each in raw):
            return tuple(raw)
        self._findings.error("APP_INVALID", "must be a list of names of modules", at)
        return ()

    def _branches(self, raw: Json, at: SourcePath) -> dict[str, str]:
        if raw is None:
            return {}
        if isinstance(raw, dict) and all(isinstance(each, str) for each in raw.values()):
            return dict(raw)
        self._findings.error("APP_INVALID", "must be an object of names of modules", at)
        return {}

    def _kinds(
        self, raw: Json, at: SourcePath
    ) -> Iterator[tuple[str, str, dict[str, Json], SourcePath]]:
        """Yield kind, name, config and place of workflows or triggers, from a map or a list."""
        if isinstance(raw, dict):
            items = [(kind, "", config, at / kind) for kind, config in raw.items()]
        elif isinstance(raw, list):
            items = [
                (
                    str(each.get("type", "")),
                    str(each.get("name", "")),
                    each.get("config"),
                    at / i / "config",
                )
                for i, each in self._listed(raw, at)
            ]
        else:
            if raw is not None:
                message = f"must be an object by kind or a list, not {kind_of(raw)}"
                self._findings.error("APP_INVALID", message, at)
            return
        for kind, name, config, here in items:
            if config is None:
                config = {}
            if not isinstance(config, dict):
                self._findings.error("APP_INVALID", "must be an object", here)
                continue
            yield kind, name, config, here

    def _workflow(self, kind: str, name: str, config: dict[str, Json], at: SourcePath) -> None:
        if kind == "http" or kind.startswith("http-"):
            self._route_specs += self._routes.workflow(config, at)
            if len(self._route_specs) > ROUTES_MAX:
                message = f"an application has at most {ROUTES_MAX} routes"
                self._findings.error("APP_TOO_LARGE", message, at)
            return
        if kind not in WORKFLOW_KINDS:
            near = nearest_names(kind, WORKFLOW_KINDS)
            message = (
                f"there is no workflow kind {kind!r}{near or ': ' + ', '.join(WORKFLOW_KINDS)}"
            )
            self._findings.error("APP_KIND_UNKNOWN", message, at, at_key=True)
            return
        self._workflows.append(WorkflowSpec(kind, {**config, "name": name}, at))

    def _trigger(self, kind: str, name: str, config: dict[str, Json], at: SourcePath) -> None:
        if kind not in TRIGGER_KINDS:
            near = nearest_names(kind, TRIGGER_KINDS)
            message = f"there is no trigger kind {kind!r}{near or ': ' + ', '.join(TRIGGER_KINDS)}"
            self._findings.error("APP_KIND_UNKNOWN", message, at, at_key=True)
            return
        for key in _TRIGGER_LISTS:
            listed = config.get(key)
            if isinstance(listed, list):
                for index, item in self._listed(listed, at / key):
                    self._one_trigger(kind, item, at / key / index)
                return
        if config:
            self._one_trigger(kind, config, at)

    def _one_trigger(self, kind: str, config: dict[str, Json], at: SourcePath) -> None:
        trigger = TriggerSpec(
            kind=kind,
            config=config,
            workflow=str(config.get("workflow") or ""),
            action=str(config.get("action") or ""),
            at=at,
        )
        self._triggers.append(trigger)
        if kind == "http":
            self._route_specs += self._routes.trigger(trigger)

    def _pipeline(self, name: str, raw: Json, at: SourcePath) -> None:
        pipeline = self._steps.pipeline(name, raw, at)
        if pipeline is None:
            return
        self._pipelines[name] = pipeline
        if pipeline.trigger.get("type") == "http":
            self._route_specs += self._routes.pipeline(pipeline)
