"""The Python SDK: start and watch executions, run task handlers, define workflows in code.

Talks gRPC to one address and needs neither NATS nor a database. Async first; `Client.sync`
gives the same with blocking calls.
"""

import flowmesh.rpc.fork_support  # noqa: F401
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.client.credentials import Login, Tokens
from flowmesh.sdk.client.endpoint import Tls
from flowmesh.sdk.client.handle import Handle
from flowmesh.sdk.client.parts.templates import Instantiated, Template, TemplateStats
from flowmesh.sdk.client.parts.triggers import Cause, ChangeSlot, Fired, Hook, Published, Trigger
from flowmesh.sdk.client.parts.versions import Change, Compatibility, Diff, Difference, Label
from flowmesh.sdk.client.parts.workflows import (
    Applied,
    Problem,
    Registered,
    Stored,
    User,
    Validation,
)
from flowmesh.sdk.client.session import Session, SessionCall
from flowmesh.sdk.discovery.service_discovery import CacheInfo, ServiceDiscovery
from flowmesh.sdk.discovery.values import (
    HealthCheck,
    Service,
    ServiceChange,
    ServiceEndpoint,
    ServiceInstance,
    ServiceStatus,
    ServiceType,
    Topology,
    TopologyEdge,
    TopologyNode,
)
from flowmesh.sdk.durable import CallFailed, DurableContext, NonDeterministic, StepFailed, step_key
from flowmesh.sdk.events import Event
from flowmesh.sdk.eventsourcing.aggregates import Loaded, Repository, aggregate
from flowmesh.sdk.eventsourcing.consumer import consume_events
from flowmesh.sdk.eventsourcing.projector import (
    Projection,
    Projector,
    SqlProjector,
    projection,
)
from flowmesh.sdk.eventsourcing.values import (
    Appended,
    EventGroup,
    NewEvent,
    Park,
    ProjectionInfo,
    Snapshot,
    StoredEvent,
    StreamInfo,
)
from flowmesh.sdk.executions import Execution, Items, Node, NodeStatus, Status, StoredValue
from flowmesh.sdk.failures import (
    ExecutionFailed,
    Failure,
    NonRetryable,
    TaskCancelled,
    TaskFailure,
)
from flowmesh.sdk.messaging.broker import MessageBroker
from flowmesh.sdk.messaging.subscription import Subscription
from flowmesh.sdk.messaging.values import (
    Message,
    Outgoing,
    PublishOutcome,
    QueueChanges,
    QueueState,
    Reject,
)
from flowmesh.sdk.sagas.manager import SagaHandle, SagaManager
from flowmesh.sdk.sagas.provisioning import AgentProvisioningSaga
from flowmesh.sdk.sagas.saga import (
    NO_EFFECT,
    Saga,
    SagaCall,
    SagaState,
    Step,
    StepStatus,
)
from flowmesh.sdk.sagas.task_workflow import TaskWorkflowSaga
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.step_context import StepContext
from flowmesh.sdk.worker.worker import Worker
from flowmesh.sdk.workflows.backfill import Backfill, BackfillItem, items_of, run_backfill
from flowmesh.sdk.workflows.declarations import Retry, task
from flowmesh.sdk.workflows.flow import MapNode, TaskNode, Workflow, workflow
from flowmesh.sdk.workflows.refs import Ref
from flowmesh.sdk.workflows.resources import WorkflowTask
from flowmesh.sdk.workflows.workflow_engine import (
    EngineTask,
    EngineWorkflow,
    Priority,
    TaskStatus,
    WorkflowEngine,
    WorkflowStatus,
)
from flowmesh.sdk_sync import SyncClient, SyncHandle

__all__ = [
    "NO_EFFECT",
    "AgentProvisioningSaga",
    "Appended",
    "Applied",
    "Backfill",
    "BackfillItem",
    "CacheInfo",
    "CallFailed",
    "Cause",
    "Change",
    "ChangeSlot",
    "Client",
    "Compatibility",
    "Diff",
    "Difference",
    "DurableContext",
    "EngineTask",
    "EngineWorkflow",
    "Event",
    "EventGroup",
    "Execution",
    "ExecutionFailed",
    "Failure",
    "Fired",
    "Handle",
    "HealthCheck",
    "Hook",
    "Instantiated",
    "Items",
    "Label",
    "Loaded",
    "Login",
    "MapNode",
    "Message",
    "MessageBroker",
    "NewEvent",
    "Node",
    "NodeStatus",
    "NonDeterministic",
    "NonRetryable",
    "Outgoing",
    "Park",
    "Priority",
    "Problem",
    "Projection",
    "ProjectionInfo",
    "Projector",
    "PublishOutcome",
    "Published",
    "QueueChanges",
    "QueueState",
    "Ref",
    "Registered",
    "Reject",
    "Repository",
    "Retry",
    "Saga",
    "SagaCall",
    "SagaHandle",
    "SagaManager",
    "SagaState",
    "Service",
    "ServiceChange",
    "ServiceDiscovery",
    "ServiceEndpoint",
    "ServiceInstance",
    "ServiceStatus",
    "ServiceType",
    "Session",
    "SessionCall",
    "Snapshot",
    "SqlProjector",
    "Status",
    "Step",
    "StepContext",
    "StepFailed",
    "StepStatus",
    "Stored",
    "StoredEvent",
    "StoredValue",
    "StreamInfo",
    "Subscription",
    "SyncClient",
    "SyncHandle",
    "TaskCancelled",
    "TaskContext",
    "TaskFailure",
    "TaskNode",
    "TaskStatus",
    "TaskWorkflowSaga",
    "Template",
    "TemplateStats",
    "Tls",
    "Tokens",
    "Topology",
    "TopologyEdge",
    "TopologyNode",
    "Trigger",
    "User",
    "Validation",
    "Worker",
    "Workflow",
    "WorkflowEngine",
    "WorkflowStatus",
    "WorkflowTask",
    "aggregate",
    "consume_events",
    "items_of",
    "projection",
    "run_backfill",
    "step_key",
    "task",
    "workflow",
]
