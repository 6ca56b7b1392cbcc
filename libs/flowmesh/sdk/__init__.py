"""The Python SDK: start and watch executions, run task handlers, define workflows in code.

Talks gRPC to one address and needs neither NATS nor a database. Async first; `Client.sync`
gives the same with blocking calls.
"""

from flowmesh.sdk.client import Client
from flowmesh.sdk.context import TaskContext
from flowmesh.sdk.events import Event
from flowmesh.sdk.executions import Execution, Node, NodeStatus, Status, StoredValue
from flowmesh.sdk.failures import ExecutionFailed, Failure, TaskCancelled, TaskFailure
from flowmesh.sdk.handle import Handle
from flowmesh.sdk.session import Session, SessionCall
from flowmesh.sdk.worker import Worker

__all__ = [
    "Client",
    "Event",
    "Execution",
    "ExecutionFailed",
    "Failure",
    "Handle",
    "Node",
    "NodeStatus",
    "Session",
    "SessionCall",
    "Status",
    "StoredValue",
    "TaskCancelled",
    "TaskContext",
    "TaskFailure",
    "Worker",
]
