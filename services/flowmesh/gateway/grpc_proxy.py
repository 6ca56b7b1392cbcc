"""The gRPC port of the gateway: all public services under one address.

Internal services of the suite (dispatch, partitions, outbox) are not exposed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowmesh.api.apphost.v1 import app_service_pb2
from flowmesh.api.assistant.v1 import assistant_service_pb2
from flowmesh.api.broker.v1 import (
    broker_service_pb2,
    message_service_pb2,
    queue_move_service_pb2,
)
from flowmesh.api.definition.v1 import (
    definition_service_pb2,
    template_service_pb2,
    version_service_pb2,
)
from flowmesh.api.event.v1 import (
    event_service_pb2,
    subscription_service_pb2,
    trigger_service_pb2,
)
from flowmesh.api.eventstore.v1 import (
    event_group_service_pb2,
    event_move_service_pb2,
    event_store_service_pb2,
    projection_service_pb2,
)
from flowmesh.api.execution.v1 import (
    bulk_service_pb2,
    control_service_pb2,
    execution_service_pb2,
    limits_service_pb2,
    meter_service_pb2,
    retention_service_pb2,
    search_service_pb2,
)
from flowmesh.api.fleet.v1 import fleet_service_pb2, plugin_service_pb2
from flowmesh.api.history.v1 import history_service_pb2, insight_service_pb2
from flowmesh.api.identity.v1 import (
    audit_service_pb2,
    auth_service_pb2,
    encryption_service_pb2,
    file_service_pb2,
    key_service_pb2,
    login_service_pb2,
    member_service_pb2,
    plan_service_pb2,
    provider_service_pb2,
    provisioning_service_pb2,
    quota_service_pb2,
    secret_service_pb2,
    tenant_service_pb2,
)
from flowmesh.api.observe.v1 import dashboard_service_pb2, observe_service_pb2
from flowmesh.api.registry.v1 import registry_service_pb2
from flowmesh.api.worker.v1 import worker_service_pb2

if TYPE_CHECKING:
    from flowmesh.runtime import Runtime

# The serving service, the file descriptor, the name of the gRPC service.
PUBLIC = (
    ("definition", definition_service_pb2, "DefinitionService"),
    ("definition", version_service_pb2, "VersionService"),
    ("definition", template_service_pb2, "TemplateService"),
    ("orchestrator", execution_service_pb2, "ExecutionService"),
    ("orchestrator", execution_service_pb2, "PayloadService"),
    ("orchestrator", control_service_pb2, "ControlService"),
    ("orchestrator", search_service_pb2, "SearchService"),
    ("orchestrator", bulk_service_pb2, "BulkService"),
    ("orchestrator", retention_service_pb2, "RetentionService"),
    ("orchestrator", limits_service_pb2, "LimitService"),
    ("orchestrator", meter_service_pb2, "MeterService"),
    ("orchestrator", history_service_pb2, "HistoryService"),
    ("orchestrator", insight_service_pb2, "InsightService"),
    ("event", event_service_pb2, "EventService"),
    ("event", trigger_service_pb2, "TriggerService"),
    ("event", subscription_service_pb2, "SubscriptionService"),
    ("event", broker_service_pb2, "BrokerService"),
    ("event", message_service_pb2, "MessageService"),
    ("event", queue_move_service_pb2, "QueueMoveService"),
    ("event", event_store_service_pb2, "EventStoreService"),
    ("event", event_move_service_pb2, "EventMoveService"),
    ("event", event_group_service_pb2, "EventGroupService"),
    ("event", projection_service_pb2, "ProjectionService"),
    ("worker", worker_service_pb2, "WorkerService"),
    ("registry", registry_service_pb2, "RegistryService"),
    ("identity", auth_service_pb2, "AuthService"),
    ("identity", audit_service_pb2, "AuditService"),
    ("identity", tenant_service_pb2, "TenantService"),
    ("identity", member_service_pb2, "MemberService"),
    ("identity", key_service_pb2, "KeyService"),
    ("identity", file_service_pb2, "FileService"),
    ("identity", quota_service_pb2, "QuotaService"),
    ("identity", plan_service_pb2, "PlanService"),
    ("identity", encryption_service_pb2, "EncryptionService"),
    ("identity", provider_service_pb2, "ProviderService"),
    ("identity", provisioning_service_pb2, "ProvisioningService"),
    ("identity", login_service_pb2, "LoginService"),
    ("identity", secret_service_pb2, "SecretService"),
    ("apphost", app_service_pb2, "AppService"),
    ("definition", assistant_service_pb2, "AssistantService"),
    ("fleet", fleet_service_pb2, "FleetService"),
    ("fleet", fleet_service_pb2, "AgentService"),
    ("fleet", plugin_service_pb2, "PluginService"),
    ("event", observe_service_pb2, "ObserveService"),
    ("event", dashboard_service_pb2, "DashboardService"),
)


def forward_public(runtime: Runtime) -> None:
    """Forward the calls of services that run in other processes."""
    for owner, file, name in PUBLIC:
        runtime.forward(owner, file.DESCRIPTOR.services_by_name[name])
