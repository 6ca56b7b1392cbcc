"""Every value of the SDK fits its message."""

import pytest
from google.protobuf.message import Message

from flowmesh.api.broker.v1 import broker_service_pb2, message_service_pb2, topology_pb2
from flowmesh.api.definition.v1 import definition_pb2, version_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.api.definition.v1 import template_service_pb2 as templates
from flowmesh.api.definition.v1 import version_service_pb2 as versions
from flowmesh.api.event.v1 import subscription_service_pb2 as subscriptions
from flowmesh.api.event.v1 import trigger_service_pb2 as triggers
from flowmesh.api.eventstore.v1 import event_group_service_pb2 as groups
from flowmesh.api.eventstore.v1 import event_store_service_pb2 as streams
from flowmesh.api.eventstore.v1 import projection_service_pb2 as projections
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.api.execution.v1 import bulk_service_pb2, control_service_pb2, execution_pb2
from flowmesh.api.execution.v1 import limits_service_pb2 as limits
from flowmesh.api.execution.v1 import search_service_pb2 as searches
from flowmesh.api.registry.v1 import registry_service_pb2 as registry
from flowmesh.records import value_from
from flowmesh.sdk.client import approvals
from flowmesh.sdk.client.parts import (
    approval_links,
    bulks,
    dispatch,
    executions,
    workflows,
)
from flowmesh.sdk.client.parts import subscriptions as subscription_values
from flowmesh.sdk.client.parts import templates as template_values
from flowmesh.sdk.client.parts import triggers as trigger_values
from flowmesh.sdk.client.parts import versions as version_values
from flowmesh.sdk.values import event_streams, messages, services
from flowmesh.sdk.values.executions import Execution

PAIRS: list[tuple[type, Message]] = [
    (Execution, execution_pb2.Execution()),
    (approvals.PendingApproval, control_service_pb2.PendingApproval()),
    (approval_links.Rotated, control_service_pb2.RotateLinkKeyResponse()),
    (bulks.Bulk, bulk_service_pb2.Bulk()),
    (dispatch.Limits, limits.ListLimitsResponse()),
    (dispatch.LimitChange, limits.LimitChange()),
    (dispatch.Queue, limits.QueueStats()),
    (dispatch.AttachedWorker, limits.AttachedWorker()),
    (dispatch.UpstreamBreaker, limits.UpstreamBreaker()),
    (dispatch.DeadLetter, limits.DeadLetter()),
    (executions.Count, searches.CountExecutionsResponse()),
    (workflows.Registered, definitions.RegisterWorkflowResponse()),
    (workflows.Applied, definitions.ApplyResponse()),
    (workflows.Validation, definitions.ValidateWorkflowResponse()),
    (template_values.Template, templates.Template()),
    (template_values.Instantiated, templates.InstantiateTemplateResponse()),
    (template_values.TemplateStats, templates.GetTemplateStatsResponse()),
    (version_values.Label, version_pb2.Label()),
    (version_values.Change, version_pb2.Change()),
    (version_values.Diff, versions.DiffWorkflowResponse()),
    (version_values.Compatibility, versions.CheckCompatibilityResponse()),
    (subscription_values.SubscriptionState, subscriptions.SubscriptionState()),
    (subscription_values.Notification, subscriptions.Notification()),
    (subscription_values.TestOutcome, subscriptions.TestSubscriptionResponse()),
    (trigger_values.Trigger, triggers.TriggerState()),
    (trigger_values.Fired, triggers.FireTriggerResponse()),
    (trigger_values.Published, triggers.PublishEventResponse()),
    (trigger_values.Cause, triggers.Cause()),
    (trigger_values.Hook, triggers.Hook()),
    (event_streams.EventPage, streams.ReadEventsResponse()),
    (event_streams.Appended, streams.AppendEventsResponse()),
    (event_streams.Snapshot, stored_event_pb2.Snapshot()),
    (event_streams.StreamInfo, stored_event_pb2.StreamInfo()),
    (event_streams.EventGroup, groups.EventGroup()),
    (event_streams.ParkedEvent, groups.ParkedEvent()),
    (event_streams.ProjectionInfo, projections.Projection()),
    (messages.QueueChanges, broker_service_pb2.WatchQueuesResponse()),
    (messages.Exchange, topology_pb2.Exchange()),
    (messages.Binding, topology_pb2.Binding()),
    (messages.PublishOutcome, message_service_pb2.PublishOutcome()),
    (messages.QueueFinding, broker_service_pb2.Finding()),
    (services.ServiceInstance, registry.Instance()),
    (services.Service, registry.Instance(endpoint="http://localhost:1")),
    (services.Topology, registry.GetTopologyResponse()),
]


@pytest.mark.parametrize(("value", "message"), PAIRS)
def test_a_value_is_made_of_an_empty_message(value: type, message: Message) -> None:
    """Each field names one of the message, of a type that fits."""
    assert isinstance(value_from(value, message), value)


def test_a_stored_definition_is_made_of_a_workflow() -> None:
    """The kind is given, and the id is the name of a workflow without one."""
    workflow = definition_pb2.Workflow(workflow_id="w", definition=b'{"id": "w"}')
    stored = value_from(workflows.Stored, workflow, kind="Workflow")
    assert (stored.id, stored.name, stored.definition) == ("w", "w", {"id": "w"})
