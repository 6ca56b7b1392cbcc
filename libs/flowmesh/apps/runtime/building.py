"""Building of applications: wiring, checks, modules and routes, without any I/O of theirs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from flowmesh.apps.components.plugins import PluginType
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.flows import is_step
from flowmesh.apps.document.model import AppDocument, ModuleSpec
from flowmesh.apps.document.parts import TRIGGER_KINDS, WORKFLOW_KINDS
from flowmesh.apps.durable.suite import Suite
from flowmesh.apps.modules.http_client import HttpClient
from flowmesh.apps.modules.module import UNSUPPORTED, Build, Module, ModuleContext, Setting
from flowmesh.apps.observing.hub import Hub
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.pipeline.compile import PipelineCompiler
from flowmesh.apps.pipeline.starting import PIPELINE, Pipeline
from flowmesh.apps.pipeline.tracing import TRACING, Tracing
from flowmesh.apps.runtime.delegates import put_delegates
from flowmesh.apps.runtime.durables import Durables
from flowmesh.apps.runtime.flows import put_flows
from flowmesh.apps.runtime.integrations import add_integrations
from flowmesh.apps.runtime.links import ALONE, Peers, add_links
from flowmesh.apps.runtime.machines import add_machines
from flowmesh.apps.runtime.mounting import MountTable, mount_routes
from flowmesh.apps.runtime.schedules import add_jobs
from flowmesh.apps.runtime.subscriptions import Subscriptions
from flowmesh.apps.runtime.triggers import BACKGROUND, Background, PipelineWorkflow
from flowmesh.apps.scheduling.clock import Clock
from flowmesh.apps.wiring.checks import check_references
from flowmesh.apps.wiring.plan import Plan, Wiring
from flowmesh.apps.wiring.ports import DURABLE_AT, DURABLE_WORKFLOW, HTTP_CLIENT, WORKFLOW
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.egress.policy import OPEN, Policy
from flowmesh.errors import FlowmeshError
from flowmesh.runtime.http.router import RouteConflict

Check = Callable[[], Awaitable[str]]

RUN_WORKFLOWS = frozenset({"http", *WORKFLOW_KINDS})
LANGUAGE = "COMPONENT_LANGUAGE"
# Errors of builders that stop a start; a check only warns of them.
_WARNED = frozenset({LANGUAGE, UNSUPPORTED})
RUN_TRIGGERS = frozenset(TRIGGER_KINDS)


@dataclass(frozen=True, slots=True)
class Built:
    """An application whose modules are built and whose routes are mounted."""

    document: AppDocument
    plan: Plan
    modules: Mapping[str, Module]
    registry: ServiceRegistry
    programs: Mapping[str, Pipeline]
    table: MountTable
    hub: Hub
    log: LogHub
    background: Background
    client: HttpClient


def build(
    document: AppDocument,
    *,
    log: LogHub,
    public: bool = False,
    policy: Policy = OPEN,
    closed: bool = False,
    peers: Peers = ALONE,
    clock: Clock | None = None,
    plugins: Mapping[str, PluginType] | None = None,
) -> Built:
    """Build an application; everything that is wrong becomes a finding of the document."""
    wiring = Wiring(document)
    plan = wiring.plan()
    suite = Suite.of_environment()
    check_references(document, wiring, suite=suite is not None)
    registry = ServiceRegistry(document)
    hub = Hub(log)
    log.mask(_secrets(document))
    client = HttpClient(policy=policy)
    registry.put(HTTP_CLIENT, "", client)
    background = Background(log)
    registry.put(BACKGROUND, "", background)
    checks: dict[str, Check] = {}
    context = ModuleContext(
        folder=document.folder,
        log=log,
        hub=hub,
        registry=registry,
        document=document,
        public=public,
        policy=policy,
        closed=closed,
        checks=lambda: checks,
        clock=clock or Clock(),
        plugins=plugins,
    )
    modules = _modules(document, plan, context)
    checks |= {name: each.health for name, each in modules.items() if each.health is not None}
    _report_unsupported(document)
    durables = None
    if suite is not None:
        durables = Durables(document=document, registry=registry, suite=suite, hub=hub, log=log)
    programs, by_place = _programs(document, registry, hub, log, durables)
    add_machines(document, registry)
    put_flows(
        document, registry, {each.entry: by_place[each.pipeline.at] for each in document.flows}
    )
    add_integrations(document, registry, log, durables)
    Subscriptions(document=document, plan=plan, registry=registry).add_all()
    add_jobs(document, registry, log, context.clock)
    if durables is not None:
        durables.workflows()
    add_links(document, registry, peers)
    put_delegates(document, registry)
    table = MountTable(document=document, plan=plan, registry=registry)
    mount_routes(document, table, registry, by_place)
    _mount_modules(document, modules, table)
    return Built(document, plan, modules, registry, programs, table, hub, log, background, client)


def _modules(document: AppDocument, plan: Plan, context: ModuleContext) -> dict[str, Module]:
    """Build the modules in the order of the plan; nothing is built on one that has findings."""
    modules: dict[str, Module] = {}
    left_out: set[str] = set()
    for name in plan.order:
        partners = plan.partners.get(name, {}).values()
        stands = all(_base(document, each) not in left_out for each in partners)
        module = _module(document, plan, name, context) if stands else None
        if module is None:
            left_out.add(name)
        else:
            modules[name] = module
            _offer(module, context.registry)
    return modules


def _secrets(document: AppDocument) -> list[str]:
    return [
        *document.secrets,
        *_sensitive(document),
    ]


def _sensitive(document: AppDocument) -> list[str]:
    return [
        str(module.config[field.key])
        for module in document.modules
        for field in module.descriptor.fields
        if field.sensitive and module.config.get(field.key)
    ]


def _module(document: AppDocument, plan: Plan, name: str, context: ModuleContext) -> Module | None:
    spec = document.module(name)
    assert spec is not None
    if is_step(spec):
        return Module(name=name)
    if _incomplete(document, spec):
        return None
    partners = plan.partners.get(name, {})
    try:
        build: Build = spec.descriptor.builder()
        return build(Setting(spec=spec, context=context, partners=partners))
    except FlowmeshError as error:
        message = error.message.removeprefix(f"{name}: ")
        if error.reason in _WARNED:
            document.findings.warn(error.reason, message, spec.at / "config")
        else:
            document.findings.error(error.reason, message, spec.at / "config")
    except OSError as error:
        text = f"{error.filename or ''} {error.strerror or error}".strip()
        document.findings.error("APP_CONFIG_INVALID", text, spec.at / "config")
    return None


def _base(document: AppDocument, service: str) -> str:
    """Return the module that offers a service: `main` and `main.connection` are of `main`."""
    return service if document.module(service) is not None else service.rpartition(".")[0]


def _incomplete(document: AppDocument, spec: ModuleSpec) -> bool:
    """Return whether a module has findings that its builder would only repeat."""
    size = len(spec.at.keys)
    return any(
        each.document == spec.at.file
        and each.path[:size] == spec.at.keys
        and (each.code == "ENV_MISSING" or not each.warning)
        for each in document.findings.found
    )


def _offer(module: Module, registry: ServiceRegistry) -> None:
    for kind, service in module.services.items():
        registry.offer(kind, module.name, service)
    for (kind, name), service in module.named.items():
        registry.offer(kind, name, service)


def _report_unsupported(document: AppDocument) -> None:
    for workflow in document.workflows:
        if workflow.kind not in RUN_WORKFLOWS and len(workflow.config) > 1:
            message = f"workflow kind {workflow.kind} is known, but this version does not run it"
            document.findings.warn(UNSUPPORTED, message, workflow.at)
    for trigger in document.triggers:
        if trigger.kind not in RUN_TRIGGERS:
            message = f"trigger kind {trigger.kind} is known, but this version does not run it"
            document.findings.warn(UNSUPPORTED, message, trigger.at)
    for pipeline in document.pipelines:
        kind = str(pipeline.trigger.get("type") or "http")
        if kind not in RUN_TRIGGERS:
            message = f"trigger kind {kind} is known, but this version does not run it"
            document.findings.warn(UNSUPPORTED, message, pipeline.at / "trigger")


def _programs(
    document: AppDocument,
    registry: ServiceRegistry,
    hub: Hub,
    log: LogHub,
    durables: Durables | None,
) -> tuple[dict[str, Pipeline], dict[SourcePath, Pipeline]]:
    traces: Tracing | None = registry.get(TRACING)
    compiler = PipelineCompiler(
        tracing=traces,
        services=registry,
        log=log,
        findings=document.findings,
        observers=(hub,),
        strict=document.settings.get("strict") is True,
        suite=durables is not None,
    )
    compiled = {each.at: compiler.compile(each) for each in document.all_pipelines()}
    by_place = (
        dict[SourcePath, Pipeline](compiled) if durables is None else durables.pipelines(compiled)
    )
    named = {each.name: by_place[each.at] for each in document.pipelines}
    for name, program in named.items():
        registry.put(PIPELINE, name, program)
        registry.put(WORKFLOW, name, PipelineWorkflow(program))
    for spec in document.pipelines:
        durable = registry.get(DURABLE_AT, str(spec.at.keys))
        if durable is not None:
            registry.put(WORKFLOW, spec.name, durable)
            registry.put(DURABLE_WORKFLOW, spec.name, durable)
    return named, by_place


def _mount_modules(document: AppDocument, modules: Mapping[str, Module], table: MountTable) -> None:
    for name, module in modules.items():
        if module.mount is None:
            continue
        try:
            module.mount(table)
        except RouteConflict as error:
            spec = document.module(name)
            assert spec is not None
            document.findings.error("ROUTE_CONFLICT", str(error), spec.at)
        except FlowmeshError as error:
            spec = document.module(name)
            assert spec is not None
            document.findings.error(error.reason, error.message, spec.at / "config")
