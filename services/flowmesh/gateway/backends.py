"""The services behind the gateway, and other dependencies of routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowmesh.api.apphost.v1 import app_service_pb2_grpc as app
from flowmesh.api.assistant.v1 import assistant_service_pb2_grpc as assistant
from flowmesh.api.broker.v1 import broker_service_pb2_grpc as broker
from flowmesh.api.broker.v1 import message_service_pb2_grpc as message
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as definition
from flowmesh.api.definition.v1 import template_service_pb2_grpc as template
from flowmesh.api.definition.v1 import version_service_pb2_grpc as version
from flowmesh.api.event.v1 import event_service_pb2_grpc as event
from flowmesh.api.event.v1 import subscription_service_pb2_grpc as subscription
from flowmesh.api.event.v1 import trigger_service_pb2_grpc as trigger
from flowmesh.api.eventstore.v1 import event_group_service_pb2_grpc as event_group
from flowmesh.api.eventstore.v1 import event_store_service_pb2_grpc as event_store
from flowmesh.api.eventstore.v1 import projection_service_pb2_grpc as projection
from flowmesh.api.execution.v1 import bulk_service_pb2_grpc as bulk
from flowmesh.api.execution.v1 import control_service_pb2_grpc as control
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as limits
from flowmesh.api.execution.v1 import meter_service_pb2_grpc as meter
from flowmesh.api.execution.v1 import retention_service_pb2_grpc as retention
from flowmesh.api.execution.v1 import search_service_pb2_grpc as search
from flowmesh.api.fleet.v1 import fleet_service_pb2_grpc as fleet
from flowmesh.api.fleet.v1 import plugin_service_pb2_grpc as plugin
from flowmesh.api.history.v1 import history_service_pb2_grpc as history
from flowmesh.api.history.v1 import insight_service_pb2_grpc as insight
from flowmesh.api.identity.v1 import audit_service_pb2_grpc as audit
from flowmesh.api.identity.v1 import auth_service_pb2_grpc as auth
from flowmesh.api.identity.v1 import encryption_service_pb2_grpc as encryption
from flowmesh.api.identity.v1 import file_service_pb2_grpc as file
from flowmesh.api.identity.v1 import key_service_pb2_grpc as key
from flowmesh.api.identity.v1 import login_service_pb2_grpc as login
from flowmesh.api.identity.v1 import member_service_pb2_grpc as member
from flowmesh.api.identity.v1 import plan_service_pb2_grpc as plan
from flowmesh.api.identity.v1 import provider_service_pb2_grpc as provider
from flowmesh.api.identity.v1 import provisioning_service_pb2_grpc as provisioning
from flowmesh.api.identity.v1 import quota_service_pb2_grpc as quota
from flowmesh.api.identity.v1 import secret_service_pb2_grpc as secret
from flowmesh.api.identity.v1 import tenant_service_pb2_grpc as tenant
from flowmesh.api.observe.v1 import dashboard_service_pb2_grpc as dashboard
from flowmesh.api.observe.v1 import observe_service_pb2_grpc as observe
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as registry
from flowmesh.gateway.call_rates import CallRate

if TYPE_CHECKING:
    from flowmesh.cells import Directory
    from flowmesh.runtime import Clock, Runtime
    from flowmesh.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """Stubs of local and remote services, the clock, metrics and settings of the process."""

    definitions: definition.DefinitionServiceAsyncStub
    versions: version.VersionServiceAsyncStub
    templates: template.TemplateServiceAsyncStub
    executions: execution.ExecutionServiceAsyncStub
    control: control.ControlServiceAsyncStub
    payloads: execution.PayloadServiceAsyncStub
    limits: limits.LimitServiceAsyncStub
    meters: meter.MeterServiceAsyncStub
    histories: history.HistoryServiceAsyncStub
    insights: insight.InsightServiceAsyncStub
    events: event.EventServiceAsyncStub
    registry: registry.RegistryServiceAsyncStub
    triggers: trigger.TriggerServiceAsyncStub
    subscriptions: subscription.SubscriptionServiceAsyncStub
    broker: broker.BrokerServiceAsyncStub
    messages: message.MessageServiceAsyncStub
    event_store: event_store.EventStoreServiceAsyncStub
    event_groups: event_group.EventGroupServiceAsyncStub
    projections: projection.ProjectionServiceAsyncStub
    searches: search.SearchServiceAsyncStub
    bulks: bulk.BulkServiceAsyncStub
    retention: retention.RetentionServiceAsyncStub
    auth: auth.AuthServiceAsyncStub
    api_keys: key.KeyServiceAsyncStub
    providers: provider.ProviderServiceAsyncStub
    provisioning: provisioning.ProvisioningServiceAsyncStub
    logins: login.LoginServiceAsyncStub
    members: member.MemberServiceAsyncStub
    tenants: tenant.TenantServiceAsyncStub
    files: file.FileServiceAsyncStub
    plans: plan.PlanServiceAsyncStub
    quotas: quota.QuotaServiceAsyncStub
    encryption: encryption.EncryptionServiceAsyncStub
    secrets: secret.SecretServiceAsyncStub
    audit: audit.AuditServiceAsyncStub
    apps: app.AppServiceAsyncStub
    assistant: assistant.AssistantServiceAsyncStub
    fleet: fleet.FleetServiceAsyncStub
    plugins: plugin.PluginServiceAsyncStub
    observe: observe.ObserveServiceAsyncStub
    dashboards: dashboard.DashboardServiceAsyncStub
    # Cells and homes of projects; None without cells.
    directory: Directory | None
    clock: Clock
    metrics: Metrics
    # host:port of the gRPC of this process.
    grpc_address: str
    # Clients of the Model Context Protocol may change something.
    codec_server: str
    mcp_write: bool
    mcp_rate: CallRate


def backends_of(runtime: Runtime, directory: Directory | None = None) -> Backends:
    """Return the stubs of the runtime, typed for asyncio channels, and the directory of cells."""
    return Backends(
        definitions=runtime.stub(definition.DefinitionServiceStub, "definition"),
        versions=runtime.stub(version.VersionServiceStub, "definition"),
        templates=runtime.stub(template.TemplateServiceStub, "definition"),
        executions=runtime.stub(execution.ExecutionServiceStub, "orchestrator"),
        control=runtime.stub(control.ControlServiceStub, "orchestrator"),
        payloads=runtime.stub(execution.PayloadServiceStub, "orchestrator"),
        meters=runtime.stub(meter.MeterServiceStub, "orchestrator"),
        limits=runtime.stub(limits.LimitServiceStub, "orchestrator"),
        histories=runtime.stub(history.HistoryServiceStub, "orchestrator"),
        insights=runtime.stub(insight.InsightServiceStub, "orchestrator"),
        events=runtime.stub(event.EventServiceStub, "event"),
        registry=runtime.stub(registry.RegistryServiceStub, "registry"),
        triggers=runtime.stub(trigger.TriggerServiceStub, "event"),
        subscriptions=runtime.stub(subscription.SubscriptionServiceStub, "event"),
        broker=runtime.stub(broker.BrokerServiceStub, "event"),
        messages=runtime.stub(message.MessageServiceStub, "event"),
        event_store=runtime.stub(event_store.EventStoreServiceStub, "event"),
        event_groups=runtime.stub(event_group.EventGroupServiceStub, "event"),
        projections=runtime.stub(projection.ProjectionServiceStub, "event"),
        searches=runtime.stub(search.SearchServiceStub, "orchestrator"),
        bulks=runtime.stub(bulk.BulkServiceStub, "orchestrator"),
        retention=runtime.stub(retention.RetentionServiceStub, "orchestrator"),
        auth=runtime.stub(auth.AuthServiceStub, "identity"),
        api_keys=runtime.stub(key.KeyServiceStub, "identity"),
        providers=runtime.stub(provider.ProviderServiceStub, "identity"),
        provisioning=runtime.stub(provisioning.ProvisioningServiceStub, "identity"),
        logins=runtime.stub(login.LoginServiceStub, "identity"),
        members=runtime.stub(member.MemberServiceStub, "identity"),
        tenants=runtime.stub(tenant.TenantServiceStub, "identity"),
        files=runtime.stub(file.FileServiceStub, "identity"),
        plans=runtime.stub(plan.PlanServiceStub, "identity"),
        quotas=runtime.stub(quota.QuotaServiceStub, "identity"),
        encryption=runtime.stub(encryption.EncryptionServiceStub, "identity"),
        secrets=runtime.stub(secret.SecretServiceStub, "identity"),
        audit=runtime.stub(audit.AuditServiceStub, "identity"),
        apps=runtime.stub(app.AppServiceStub, "apphost"),
        assistant=runtime.stub(assistant.AssistantServiceStub, "definition"),
        fleet=runtime.stub(fleet.FleetServiceStub, "fleet"),
        plugins=runtime.stub(plugin.PluginServiceStub, "fleet"),
        observe=runtime.stub(observe.ObserveServiceStub, "event"),
        dashboards=runtime.stub(dashboard.DashboardServiceStub, "event"),
        directory=directory,
        clock=runtime.clock,
        metrics=runtime.metrics,
        grpc_address=runtime.address,
        codec_server=runtime.settings.codec_server,
        mcp_write=runtime.settings.mcp_write,
        mcp_rate=CallRate(runtime.settings.mcp_calls_per_minute, runtime.clock.monotonic_ms),
    )
