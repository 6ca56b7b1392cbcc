"""The Python SDK: start and watch executions, run task handlers, define workflows in code.

Talks gRPC to one address and needs neither NATS nor a database. Async first; `Client.sync`
gives the same with blocking calls.
"""

from importlib import import_module
from typing import TYPE_CHECKING

import flowmesh.rpc.fork_support  # noqa: F401

if TYPE_CHECKING:
    from flowmesh.sdk.agents.orchestrator import AgentOrchestrator
    from flowmesh.sdk.client.client import Client
    from flowmesh.sdk.client.handle import Handle
    from flowmesh.sdk.client.parts.templates import Instantiated, Template, TemplateStats
    from flowmesh.sdk.client.parts.triggers import (
        Cause,
        ChangeSlot,
        Fired,
        Hook,
        Published,
        Trigger,
    )
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
    from flowmesh.sdk.durable import (
        CallFailed,
        DurableContext,
        NonDeterministic,
        StepFailed,
        step_key,
    )
    from flowmesh.sdk.eventsourcing.aggregates import Loaded, Repository, aggregate
    from flowmesh.sdk.eventsourcing.consumer import consume_events
    from flowmesh.sdk.eventsourcing.projector import (
        Projection,
        Projector,
        SqlProjector,
        projection,
    )
    from flowmesh.sdk.messaging.broker import MessageBroker
    from flowmesh.sdk.messaging.subscription import Subscription
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
    from flowmesh.sdk.transport.credentials import Login, Tokens
    from flowmesh.sdk.transport.endpoint import Tls
    from flowmesh.sdk.values.agents import AgentDecision, AgentInstance, AgentStatus
    from flowmesh.sdk.values.event_streams import (
        Appended,
        EventGroup,
        NewEvent,
        Park,
        ProjectionInfo,
        Snapshot,
        StoredEvent,
        StreamInfo,
    )
    from flowmesh.sdk.values.events import Event
    from flowmesh.sdk.values.executions import (
        Execution,
        Items,
        Node,
        NodeStatus,
        Status,
        StoredValue,
    )
    from flowmesh.sdk.values.failures import (
        ExecutionFailed,
        Failure,
        NonRetryable,
        TaskCancelled,
        TaskFailure,
    )
    from flowmesh.sdk.values.messages import (
        Message,
        Outgoing,
        PublishOutcome,
        QueueChanges,
        QueueState,
        Reject,
    )
    from flowmesh.sdk.values.sealing import Codec, SealingKeys
    from flowmesh.sdk.values.services import (
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
else:
    _NAMES = {
        "sdk.agents.orchestrator": "AgentOrchestrator",
        "sdk.client.client": "Client",
        "sdk.client.handle": "Handle",
        "sdk.client.parts.templates": "Instantiated Template TemplateStats",
        "sdk.client.parts.triggers": "Cause ChangeSlot Fired Hook Published Trigger",
        "sdk.client.parts.versions": "Change Compatibility Diff Difference Label",
        "sdk.client.parts.workflows": "Applied Problem Registered Stored User Validation",
        "sdk.client.session": "Session SessionCall",
        "sdk.discovery.service_discovery": "CacheInfo ServiceDiscovery",
        "sdk.durable": "CallFailed DurableContext NonDeterministic StepFailed step_key",
        "sdk.eventsourcing.aggregates": "Loaded Repository aggregate",
        "sdk.eventsourcing.consumer": "consume_events",
        "sdk.eventsourcing.projector": "Projection Projector SqlProjector projection",
        "sdk.messaging.broker": "MessageBroker",
        "sdk.messaging.subscription": "Subscription",
        "sdk.sagas.manager": "SagaHandle SagaManager",
        "sdk.sagas.provisioning": "AgentProvisioningSaga",
        "sdk.sagas.saga": "NO_EFFECT Saga SagaCall SagaState Step StepStatus",
        "sdk.sagas.task_workflow": "TaskWorkflowSaga",
        "sdk.transport.credentials": "Login Tokens",
        "sdk.transport.endpoint": "Tls",
        "sdk.values.agents": "AgentDecision AgentInstance AgentStatus",
        "sdk.values.event_streams": """
            Appended EventGroup NewEvent Park ProjectionInfo Snapshot StoredEvent StreamInfo
        """,
        "sdk.values.events": "Event",
        "sdk.values.executions": "Execution Items Node NodeStatus Status StoredValue",
        "sdk.values.failures": "ExecutionFailed Failure NonRetryable TaskCancelled TaskFailure",
        "sdk.values.messages": "Message Outgoing PublishOutcome QueueChanges QueueState Reject",
        "sdk.values.sealing": "Codec SealingKeys",
        "sdk.values.services": """
            HealthCheck Service ServiceChange ServiceEndpoint ServiceInstance ServiceStatus
            ServiceType Topology TopologyEdge TopologyNode
        """,
        "sdk.worker.context": "TaskContext",
        "sdk.worker.step_context": "StepContext",
        "sdk.worker.worker": "Worker",
        "sdk.workflows.backfill": "Backfill BackfillItem items_of run_backfill",
        "sdk.workflows.declarations": "Retry task",
        "sdk.workflows.flow": "MapNode TaskNode Workflow workflow",
        "sdk.workflows.refs": "Ref",
        "sdk.workflows.resources": "WorkflowTask",
        "sdk.workflows.workflow_engine": """
            EngineTask EngineWorkflow Priority TaskStatus WorkflowEngine WorkflowStatus
        """,
        "sdk_sync": "SyncClient SyncHandle",
    }
    HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"flowmesh.{HOMES[name]}"), name)


__all__ = [
    "NO_EFFECT",
    "AgentDecision",
    "AgentInstance",
    "AgentOrchestrator",
    "AgentProvisioningSaga",
    "AgentStatus",
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
    "Codec",
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
    "SealingKeys",
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
