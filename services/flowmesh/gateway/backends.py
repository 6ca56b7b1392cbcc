"""The services behind the gateway, and other dependencies of routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowmesh.api.apphost.v1.app_service_pb2_grpc import AppServiceStub
from flowmesh.api.broker.v1.broker_service_pb2_grpc import BrokerServiceStub
from flowmesh.api.broker.v1.message_service_pb2_grpc import MessageServiceStub
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.definition.v1.template_service_pb2_grpc import TemplateServiceStub
from flowmesh.api.definition.v1.version_service_pb2_grpc import VersionServiceStub
from flowmesh.api.event.v1.event_service_pb2_grpc import EventServiceStub
from flowmesh.api.event.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceStub
from flowmesh.api.eventstore.v1.event_group_service_pb2_grpc import EventGroupServiceStub
from flowmesh.api.eventstore.v1.event_store_service_pb2_grpc import EventStoreServiceStub
from flowmesh.api.eventstore.v1.projection_service_pb2_grpc import ProjectionServiceStub
from flowmesh.api.execution.v1.bulk_service_pb2_grpc import BulkServiceStub
from flowmesh.api.execution.v1.control_service_pb2_grpc import ControlServiceStub
from flowmesh.api.execution.v1.execution_service_pb2_grpc import (
    ExecutionServiceStub,
    PayloadServiceStub,
)
from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceStub
from flowmesh.api.execution.v1.retention_service_pb2_grpc import RetentionServiceStub
from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceStub
from flowmesh.api.history.v1.history_service_pb2_grpc import HistoryServiceStub
from flowmesh.api.history.v1.insight_service_pb2_grpc import InsightServiceStub
from flowmesh.api.identity.v1.audit_service_pb2_grpc import AuditServiceStub
from flowmesh.api.identity.v1.auth_service_pb2_grpc import AuthServiceStub
from flowmesh.api.identity.v1.file_service_pb2_grpc import FileServiceStub
from flowmesh.api.identity.v1.key_service_pb2_grpc import KeyServiceStub
from flowmesh.api.identity.v1.member_service_pb2_grpc import MemberServiceStub
from flowmesh.api.identity.v1.quota_service_pb2_grpc import QuotaServiceStub
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.api.identity.v1.tenant_service_pb2_grpc import TenantServiceStub
from flowmesh.api.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

if TYPE_CHECKING:
    from flowmesh.api.apphost.v1.app_service_pb2_grpc import AppServiceAsyncStub
    from flowmesh.api.broker.v1.broker_service_pb2_grpc import BrokerServiceAsyncStub
    from flowmesh.api.broker.v1.message_service_pb2_grpc import MessageServiceAsyncStub
    from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceAsyncStub
    from flowmesh.api.definition.v1.template_service_pb2_grpc import TemplateServiceAsyncStub
    from flowmesh.api.definition.v1.version_service_pb2_grpc import VersionServiceAsyncStub
    from flowmesh.api.event.v1.event_service_pb2_grpc import EventServiceAsyncStub
    from flowmesh.api.event.v1.subscription_service_pb2_grpc import SubscriptionServiceAsyncStub
    from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceAsyncStub
    from flowmesh.api.eventstore.v1.event_group_service_pb2_grpc import EventGroupServiceAsyncStub
    from flowmesh.api.eventstore.v1.event_store_service_pb2_grpc import EventStoreServiceAsyncStub
    from flowmesh.api.eventstore.v1.projection_service_pb2_grpc import ProjectionServiceAsyncStub
    from flowmesh.api.execution.v1.bulk_service_pb2_grpc import BulkServiceAsyncStub
    from flowmesh.api.execution.v1.control_service_pb2_grpc import ControlServiceAsyncStub
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import (
        ExecutionServiceAsyncStub,
        PayloadServiceAsyncStub,
    )
    from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceAsyncStub
    from flowmesh.api.execution.v1.retention_service_pb2_grpc import RetentionServiceAsyncStub
    from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceAsyncStub
    from flowmesh.api.history.v1.history_service_pb2_grpc import HistoryServiceAsyncStub
    from flowmesh.api.history.v1.insight_service_pb2_grpc import InsightServiceAsyncStub
    from flowmesh.api.identity.v1.audit_service_pb2_grpc import AuditServiceAsyncStub
    from flowmesh.api.identity.v1.auth_service_pb2_grpc import AuthServiceAsyncStub
    from flowmesh.api.identity.v1.file_service_pb2_grpc import FileServiceAsyncStub
    from flowmesh.api.identity.v1.key_service_pb2_grpc import KeyServiceAsyncStub
    from flowmesh.api.identity.v1.member_service_pb2_grpc import MemberServiceAsyncStub
    from flowmesh.api.identity.v1.quota_service_pb2_grpc import QuotaServiceAsyncStub
    from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceAsyncStub
    from flowmesh.api.identity.v1.tenant_service_pb2_grpc import TenantServiceAsyncStub
    from flowmesh.api.registry.v1.registry_service_pb2_grpc import RegistryServiceAsyncStub
    from flowmesh.runtime import Clock, Runtime
    from flowmesh.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """Stubs of local and remote services, the clock, and the metrics of the process."""

    definitions: DefinitionServiceAsyncStub
    versions: VersionServiceAsyncStub
    templates: TemplateServiceAsyncStub
    executions: ExecutionServiceAsyncStub
    control: ControlServiceAsyncStub
    payloads: PayloadServiceAsyncStub
    limits: LimitServiceAsyncStub
    histories: HistoryServiceAsyncStub
    insights: InsightServiceAsyncStub
    events: EventServiceAsyncStub
    registry: RegistryServiceAsyncStub
    triggers: TriggerServiceAsyncStub
    subscriptions: SubscriptionServiceAsyncStub
    broker: BrokerServiceAsyncStub
    messages: MessageServiceAsyncStub
    event_store: EventStoreServiceAsyncStub
    event_groups: EventGroupServiceAsyncStub
    projections: ProjectionServiceAsyncStub
    searches: SearchServiceAsyncStub
    bulks: BulkServiceAsyncStub
    retention: RetentionServiceAsyncStub
    auth: AuthServiceAsyncStub
    api_keys: KeyServiceAsyncStub
    members: MemberServiceAsyncStub
    tenants: TenantServiceAsyncStub
    files: FileServiceAsyncStub
    quotas: QuotaServiceAsyncStub
    secrets: SecretServiceAsyncStub
    audit: AuditServiceAsyncStub
    apps: AppServiceAsyncStub
    clock: Clock
    metrics: Metrics


def backends_of(runtime: Runtime) -> Backends:
    """Return the stubs of the runtime, typed for asyncio channels."""
    return Backends(
        definitions=runtime.stub(DefinitionServiceStub, "definition"),
        versions=runtime.stub(VersionServiceStub, "definition"),
        templates=runtime.stub(TemplateServiceStub, "definition"),
        executions=runtime.stub(ExecutionServiceStub, "orchestrator"),
        control=runtime.stub(ControlServiceStub, "orchestrator"),
        payloads=runtime.stub(PayloadServiceStub, "orchestrator"),
        limits=runtime.stub(LimitServiceStub, "orchestrator"),
        histories=runtime.stub(HistoryServiceStub, "orchestrator"),
        insights=runtime.stub(InsightServiceStub, "orchestrator"),
        events=runtime.stub(EventServiceStub, "event"),
        registry=runtime.stub(RegistryServiceStub, "registry"),
        triggers=runtime.stub(TriggerServiceStub, "event"),
        subscriptions=runtime.stub(SubscriptionServiceStub, "event"),
        broker=runtime.stub(BrokerServiceStub, "event"),
        messages=runtime.stub(MessageServiceStub, "event"),
        event_store=runtime.stub(EventStoreServiceStub, "event"),
        event_groups=runtime.stub(EventGroupServiceStub, "event"),
        projections=runtime.stub(ProjectionServiceStub, "event"),
        searches=runtime.stub(SearchServiceStub, "orchestrator"),
        bulks=runtime.stub(BulkServiceStub, "orchestrator"),
        retention=runtime.stub(RetentionServiceStub, "orchestrator"),
        auth=runtime.stub(AuthServiceStub, "identity"),
        api_keys=runtime.stub(KeyServiceStub, "identity"),
        members=runtime.stub(MemberServiceStub, "identity"),
        tenants=runtime.stub(TenantServiceStub, "identity"),
        files=runtime.stub(FileServiceStub, "identity"),
        quotas=runtime.stub(QuotaServiceStub, "identity"),
        secrets=runtime.stub(SecretServiceStub, "identity"),
        audit=runtime.stub(AuditServiceStub, "identity"),
        apps=runtime.stub(AppServiceStub, "apphost"),
        clock=runtime.clock,
        metrics=runtime.metrics,
    )
