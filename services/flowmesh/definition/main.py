"""Composition root of the definition service."""

from contextlib import AsyncExitStack
from importlib.resources import files

from flowmesh.api.definition.v1 import (
    definition_service_pb2_grpc,
    template_service_pb2_grpc,
    trigger_catalog_service_pb2_grpc,
    version_service_pb2_grpc,
)
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceStub
from flowmesh.api.history.v1.insight_service_pb2_grpc import InsightServiceStub
from flowmesh.api.identity.v1.quota_service_pb2_grpc import QuotaServiceStub
from flowmesh.audit import audit_relay
from flowmesh.bus import Announcer
from flowmesh.definition.api.definition_server import DefinitionServer
from flowmesh.definition.api.template_server import TemplateServer
from flowmesh.definition.api.version_server import VersionServer
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.checks.plugin_functions import InstalledFunctions
from flowmesh.definition.compatibility import Assessor
from flowmesh.definition.dry_runs import DryRuns
from flowmesh.definition.notices import Notices
from flowmesh.definition.optimizing.optimizer import Optimizer
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definition.templates import Templates
from flowmesh.definition.texts import WorkflowTexts
from flowmesh.definition.trigger_catalog import TriggerCatalogServer
from flowmesh.definition.versions import Versions
from flowmesh.runtime import Runtime
from flowmesh.runtime.namespace_quotas import NamespaceQuotas
from flowmesh.sandbox import Sandbox

PACKAGE = "flowmesh.api.definition.v1"
SCHEMA = "definition"


async def run(runtime: Runtime) -> None:
    """Serves definitions until the process drains."""
    async with AsyncExitStack() as stack:
        await serve_definitions(runtime, stack)
        await runtime.until_stopped()


async def serve_definitions(runtime: Runtime, stack: AsyncExitStack) -> None:
    """Offer definitions in a process, until the stack closes."""
    migrations = files("flowmesh.definition").joinpath("migrations")
    pool = await stack.enter_async_context(runtime.database(SCHEMA, migrations))
    relay = audit_relay(runtime, pool)
    announcer = Announcer(
        runtime.bus,
        f"{runtime.settings.bus_prefix}.definitions.changed",
        sender=runtime.instance_id,
        receivers=lambda: runtime.instance_ids("orchestrator", "event"),
    )
    notices = Notices(announcer=announcer, log=runtime.log)
    await notices.listen()
    store = DefinitionStore(pool, call=relay.call)
    quotas = NamespaceQuotas(runtime.stub(QuotaServiceStub, "identity").ListNamespaceQuotas)
    await quotas.listen(runtime.bus, runtime.settings.bus_prefix)
    runtime.add_loop(quotas)
    catalog = DefinitionCatalog(
        store=store,
        notices=notices,
        metrics=runtime.metrics,
        workflows_max=lambda namespace: quotas.of(namespace).definitions,
        functions=InstalledFunctions(runtime.stub(PluginServiceStub, "fleet")),
    )
    templates = Templates(store=store, catalog=catalog)
    versions = Versions(store=store, catalog=catalog, notices=notices)
    texts = WorkflowTexts(catalog=catalog, store=store)
    sandbox = await stack.enter_async_context(Sandbox())
    dry_runs = DryRuns(catalog=catalog, sandbox=sandbox)
    executions = runtime.stub(ExecutionServiceStub, "orchestrator")
    optimizer = Optimizer(
        catalog=catalog,
        sandbox=sandbox,
        executions=executions,
        insights=runtime.stub(InsightServiceStub, "orchestrator"),
    )
    runtime.serve(
        DefinitionServer(
            catalog=catalog, texts=texts, dry_runs=dry_runs, optimizer=optimizer, store=store
        ),
        definition_service_pb2_grpc.add_DefinitionServiceServicer_to_server,
        f"{PACKAGE}.DefinitionService",
    )
    assessor = Assessor(store=store, catalog=catalog, executions=executions)
    runtime.serve(
        VersionServer(versions=versions, assessor=assessor),
        version_service_pb2_grpc.add_VersionServiceServicer_to_server,
        f"{PACKAGE}.VersionService",
    )
    runtime.serve(
        TemplateServer(templates=templates),
        template_service_pb2_grpc.add_TemplateServiceServicer_to_server,
        f"{PACKAGE}.TemplateService",
    )
    runtime.serve(
        TriggerCatalogServer(store=store),
        trigger_catalog_service_pb2_grpc.add_TriggerCatalogServiceServicer_to_server,
        f"{PACKAGE}.TriggerCatalogService",
    )
