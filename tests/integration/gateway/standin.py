"""Stand-ins in memory for the services behind the gateway.

They use the guarded handlers and the in-process channel of the real services, so errors, streams
and cancellation are realistic; their logic is only that of the tests.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definition
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as definition_grpc
from flowmesh.api.event.v1 import event_service_pb2 as event
from flowmesh.api.event.v1 import event_service_pb2_grpc as event_grpc
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as execution
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.api.history.v1 import history_service_pb2 as history
from flowmesh.api.history.v1 import history_service_pb2_grpc as history_grpc
from flowmesh.api.registry.v1 import registry_service_pb2 as registry
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as registry_grpc
from flowmesh.errors import (
    Gone,
    Invalid,
    NotFound,
    Overloaded,
    Unavailable,
    Violation,
    WrongState,
)

# No double holds it exactly.
HUGE = 12345678901234567891
STARTED_US = 1_700_000_000_000_000


async def _never_called(*_: Any) -> Any:
    """A method that the generated base class requires and the gateway does not call."""
    raise AssertionError


NEVER_CALLED: Any = _never_called


def json_payload(value: Any) -> payload_pb2.Payload:
    return payload_pb2.Payload(data=json.dumps(value).encode())


class Definitions(definition_grpc.DefinitionServiceServicer):
    """Stores JSON documents with an `id`; one that holds `problem` has a cycle."""

    DryRunWorkflow = NEVER_CALLED
    GetWorkflowSource = NEVER_CALLED
    GetPlan = NEVER_CALLED
    ListPublicNodes = NEVER_CALLED
    ListTaskVersions = NEVER_CALLED
    OptimizeWorkflow = NEVER_CALLED

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], list[definition_pb2.Workflow]] = {}
        self.requests: list[Any] = []

    async def RegisterWorkflow(self, request: Any, _context: Any) -> Any:
        workflow, created = self._put(request)
        return definition.RegisterWorkflowResponse(
            workflow_id=workflow.workflow_id,
            version=workflow.version,
            digest=workflow.digest,
            created=created,
        )

    async def Apply(self, request: Any, _context: Any) -> Any:
        workflow, created = self._put(request)
        resource = definition.AppliedResource(
            kind="Workflow",
            name=workflow.workflow_id,
            version=workflow.version,
            digest=workflow.digest,
            created=created,
        )
        return definition.ApplyResponse(resources=[resource])

    async def ValidateWorkflow(self, request: Any, _context: Any) -> Any:
        self.requests.append(request)
        problem = definition_pb2.Problem(
            code="GRAPH_CYCLE",
            severity=definition_pb2.SEVERITY_ERROR,
            message="Circular dependency: a → b → a",
            path="steps[0].dependencies",
            line=3,
        )
        return definition.ValidateWorkflowResponse(valid=False, problems=[problem])

    async def GetWorkflow(self, request: Any, _context: Any) -> Any:
        versions = self._versions(request)
        return definition.GetWorkflowResponse(workflow=versions[(request.version or 0) - 1])

    async def ListWorkflows(self, request: Any, _context: Any) -> Any:
        self.requests.append(request)
        newest = [
            versions[-1]
            for (namespace, _), versions in self.versions.items()
            if namespace == (request.namespace or "default")
        ]
        return definition.ListWorkflowsResponse(workflows=newest)

    async def CountWorkflows(self, request: Any, _context: Any) -> Any:
        namespace = request.namespace or "default"
        found = sum(named == namespace for named, _ in self.versions)
        return definition.CountWorkflowsResponse(count=found)

    async def ListWorkflowVersions(self, request: Any, _context: Any) -> Any:
        return definition.ListWorkflowVersionsResponse(versions=self._versions(request)[::-1])

    async def DeleteWorkflow(self, request: Any, _context: Any) -> Any:
        self._versions(request)
        del self.versions[(request.namespace or "default", request.workflow_id)]
        return definition.DeleteWorkflowResponse()

    async def AnalyzeWorkflow(self, request: Any, _context: Any) -> Any:
        self._versions(request)
        analysis = definition_pb2.Analysis(
            roots=["a"],
            leaves=["b"],
            nodes=[
                definition_pb2.NodeEdges(id="a", successors=["b"]),
                definition_pb2.NodeEdges(id="b", dependencies=["a"]),
            ],
            paths=[definition_pb2.NodePath(nodes=["a", "b"])],
            path_count=1,
            groups=[definition_pb2.NodeGroup(nodes=["a"]), definition_pb2.NodeGroup(nodes=["b"])],
            critical_path=["a", "b"],
            depth=2,
        )
        return definition.AnalyzeWorkflowResponse(
            workflow_id=request.workflow_id, version=1, analysis=analysis
        )

    async def GetTask(self, request: Any, _context: Any) -> Any:
        if request.name != "fetch-user":
            raise NotFound("TASK_NOT_FOUND", f"no task {request.name}")
        return definition.GetTaskResponse(task=self._task())

    async def ListTasks(self, _request: Any, _context: Any) -> Any:
        return definition.ListTasksResponse(tasks=[self._task()])

    async def ListTaskUsages(self, _request: Any, _context: Any) -> Any:
        used = definition.WorkflowReference(name="user-orders", version=2)
        return definition.ListTaskUsagesResponse(workflows=[used])

    async def ListNamespaces(self, _request: Any, _context: Any) -> Any:
        return definition.ListNamespacesResponse(namespaces=["default"])

    async def DeleteTask(self, request: Any, _context: Any) -> Any:
        raise WrongState("TASK_IN_USE", f"{request.name} is used by user-orders")

    def _task(self) -> definition_pb2.Task:
        return definition_pb2.Task(
            name="fetch-user", version=1, digest="d" * 64, type="http", definition=b'{"kind":"x"}'
        )

    def _versions(self, request: Any) -> list[definition_pb2.Workflow]:
        key = (request.namespace or "default", request.workflow_id)
        if key not in self.versions:
            raise NotFound("WORKFLOW_NOT_FOUND", f"no workflow {request.workflow_id}")
        return self.versions[key]

    def _put(self, request: Any) -> tuple[definition_pb2.Workflow, bool]:
        self.requests.append(request)
        if b"problem" in request.source:
            text = "Circular dependency: a → b → a"
            place = Violation("steps[0].dependencies", text, "GRAPH_CYCLE", 3, 7)
            raise Invalid("GRAPH_CYCLE", text, violations=(place,))
        document = json.loads(request.source)
        if document["id"] == "broken":
            raise RuntimeError("secret text of ours")
        if document["id"] == "away":
            raise Unavailable("STORAGE_UNAVAILABLE", "the database did not answer")
        key = (request.namespace or "default", document["id"])
        versions = self.versions.setdefault(key, [])
        digest = hashlib.sha256(request.source).hexdigest()
        if versions and versions[-1].digest == digest:
            return versions[-1], False
        versions.append(
            definition_pb2.Workflow(
                namespace=key[0],
                workflow_id=document["id"],
                name=document.get("name", document["id"]),
                version=len(versions) + 1,
                digest=digest,
                format="steps",
                definition=request.source,
            )
        )
        return versions[-1], True


class Executions(execution_grpc.ExecutionServiceServicer):
    """Ends executions at once, except of the workflow `slow`; `failing` fails."""

    GetStats = NEVER_CALLED
    PauseExecution = NEVER_CALLED
    ResumeExecution = NEVER_CALLED
    Session = NEVER_CALLED
    SignalByKey = NEVER_CALLED
    WaitExecution = NEVER_CALLED

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self.executions: dict[str, execution_pb2.Execution] = {}
        self.events: dict[str, list[history_event_pb2.HistoryEvent]] = {}
        self.by_request_id: dict[str, str] = {}
        self.starts: list[Any] = []
        self.waiting = asyncio.Event()
        self.left = asyncio.Event()
        self.appended = asyncio.Condition()

    async def StartExecution(self, request: Any, _context: Any) -> Any:
        self.starts.append(request)
        if known := self.by_request_id.get(request.request_id):
            return execution.StartExecutionResponse(execution_id=known)
        if request.workflow_id == "busy":
            raise Overloaded("OVERLOADED", "the inbox is full", retry_after_ms=1_500)
        if request.workflow_id == "strict":
            place = Violation("input.amount", "is missing", "INPUT_INVALID")
            raise Invalid("INPUT_INVALID", "input.amount is missing", violations=(place,))
        key = (request.namespace or "default", request.workflow_id)
        if key not in self._definitions.versions:
            raise NotFound("WORKFLOW_NOT_FOUND", f"no workflow {request.workflow_id}")
        made = self._made(request, key[0])
        if request.request_id:
            self.by_request_id[request.request_id] = made.execution_id
        if request.wait_ms and not made.ended_at_us:
            await self._wait(request.wait_ms)
        ended = made if request.wait_ms and made.ended_at_us else None
        return execution.StartExecutionResponse(
            execution_id=made.execution_id, created=True, execution=ended
        )

    async def GetExecution(self, request: Any, _context: Any) -> Any:
        return execution.GetExecutionResponse(execution=self._of(request))

    async def ListExecutions(self, request: Any, _context: Any) -> Any:
        found = [
            each
            for each in reversed(self.executions.values())
            if request.workflow_id in ("", each.workflow_id)
            and (not request.statuses or each.status in request.statuses)
        ]
        return execution.ListExecutionsResponse(executions=found)

    async def CancelExecution(self, request: Any, _context: Any) -> Any:
        await self._stop(request, execution_pb2.EXECUTION_STATUS_CANCELED)
        return execution.CancelExecutionResponse()

    async def TerminateExecution(self, request: Any, _context: Any) -> Any:
        await self._stop(request, execution_pb2.EXECUTION_STATUS_TERMINATED)
        return execution.TerminateExecutionResponse()

    async def SignalExecution(self, request: Any, _context: Any) -> Any:
        if self._of(request).ended_at_us:
            raise WrongState("EXECUTION_ENDED", "the execution has ended: completed")
        received = history_event_pb2.SignalReceived(name=request.name, payload=request.payload)
        return execution.SignalExecutionResponse(
            sequence=await self.append(request.execution_id, signal_received=received)
        )

    async def append(self, execution_id: str, **event: Any) -> int:
        """Add an event to a history and wake its subscribers."""
        events = self.events[execution_id]
        made = history_event_pb2.HistoryEvent(
            sequence=len(events) + 1, at_us=STARTED_US + len(events), **event
        )
        events.append(made)
        async with self.appended:
            self.appended.notify_all()
        return made.sequence

    async def beyond(self, execution_id: str, known: int) -> None:
        """Return when the history holds more than `known` events."""
        events = self.events[execution_id]
        async with self.appended:
            await self.appended.wait_for(lambda: len(events) > known)

    async def _wait(self, wait_ms: int) -> None:
        self.waiting.set()
        try:
            await asyncio.wait_for(asyncio.Event().wait(), wait_ms / 1_000)
        except TimeoutError:
            return
        except asyncio.CancelledError:
            self.left.set()
            raise

    async def _stop(self, request: Any, status: execution_pb2.ExecutionStatus.ValueType) -> None:
        found = self._of(request)
        if found.ended_at_us:
            raise WrongState("EXECUTION_ENDED", "the execution has ended: completed")
        found.status = status
        found.ended_at_us = STARTED_US + 5_000
        canceled = history_event_pb2.WorkflowCanceled(reason=request.reason)
        await self.append(request.execution_id, workflow_canceled=canceled)

    def _of(self, request: Any) -> execution_pb2.Execution:
        found = self.executions.get(request.execution_id)
        if found is None or found.namespace != (request.namespace or "default"):
            raise NotFound("EXECUTION_NOT_FOUND", f"no execution {request.execution_id}")
        return found

    def _made(self, request: Any, namespace: str) -> execution_pb2.Execution:
        execution_id = f"exec-{len(self.executions) + 1}"
        slow, failing = request.workflow_id == "slow", request.workflow_id == "failing"
        node = execution_pb2.Node(
            id="charge",
            name="Charge",
            attempts=2,
            scheduled_at_us=STARTED_US,
            started_at_us=STARTED_US + 1_000,
            status=execution_pb2.NODE_STATUS_RUNNING,
        )
        made = execution_pb2.Execution(
            namespace=namespace,
            execution_id=execution_id,
            workflow_id=request.workflow_id,
            workflow_version=1,
            status=execution_pb2.EXECUTION_STATUS_RUNNING,
            started_at_us=STARTED_US,
            input=request.input,
            format="steps",
        )
        started = history_event_pb2.WorkflowStarted(workflow_id=request.workflow_id)
        events = [history_event_pb2.HistoryEvent(sequence=1, workflow_started=started)]
        if not slow:
            made.ended_at_us = node.ended_at_us = STARTED_US + 4_000
            made.status = execution_pb2.EXECUTION_STATUS_COMPLETED
            node.status = execution_pb2.NODE_STATUS_COMPLETED
            node.output.CopyFrom(json_payload({"paid": HUGE}))
            done = history_event_pb2.WorkflowCompleted()
            events.append(history_event_pb2.HistoryEvent(sequence=2, workflow_completed=done))
        if failing:
            made.status = execution_pb2.EXECUTION_STATUS_FAILED
            node.status = execution_pb2.NODE_STATUS_FAILED
            node.ClearField("output")
            failure = failure_pb2.Failure(message="card refused", node="charge")
            setattr(failure, "class", "ClientError")
            node.failure.CopyFrom(failure)
            made.failure.CopyFrom(failure)
        made.nodes.append(node)
        self.executions[execution_id] = made
        self.events[execution_id] = events
        return made


class Histories(history_grpc.HistoryServiceServicer):
    def __init__(self, executions: Executions) -> None:
        self._executions = executions

    async def ListHistoryEvents(self, request: Any, _context: Any) -> Any:
        events = self._executions.events.get(request.execution_id)
        if events is None:
            raise NotFound("EXECUTION_NOT_FOUND", f"no execution {request.execution_id}")
        size = request.page_size or 1_000
        page = [each for each in events if each.sequence > request.after][:size]
        more = bool(page) and page[-1].sequence < len(events)
        return history.ListHistoryEventsResponse(
            events=page, next_after=page[-1].sequence if more else 0, ended=not more
        )


class Events(event_grpc.EventServiceServicer):
    """Streams histories as they grow; the cursor `old` has expired."""

    ListDeliveries = NEVER_CALLED

    def __init__(self, executions: Executions) -> None:
        self._executions = executions
        self.watchers = 0
        self.nobody = asyncio.Event()

    async def WatchExecution(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        events = self._executions.events[request.execution_id]
        known = request.after
        self.watchers += 1
        try:
            while True:
                for each in events[known:]:
                    known = each.sequence
                    yield event.WatchExecutionResponse(event=self._lifecycle(request, each))
                    if (each.WhichOneof("event") or "").startswith("workflow_") and known > 1:
                        return
                await self._executions.beyond(request.execution_id, known)
        finally:
            self.watchers -= 1
            self.nobody.set()

    async def WatchEvents(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        if request.cursor == "old":
            raise Gone("CURSOR_EXPIRED", "the stream begins later")
        yield event.WatchEventsResponse(subscribed=True)
        for execution_id, events in self._executions.events.items():
            for each in events:
                asked = event.WatchExecutionRequest(execution_id=execution_id)
                lifecycle = self._lifecycle(asked, each)
                cursor = f"{execution_id}/{each.sequence}"
                yield event.WatchEventsResponse(event=lifecycle, cursor=cursor)
        raise Overloaded("SLOW_CONSUMER", "the stream was not read fast enough")

    def _lifecycle(
        self, request: Any, happened: history_event_pb2.HistoryEvent
    ) -> event.LifecycleEvent:
        workflow_id = self._executions.executions[request.execution_id].workflow_id
        return event.LifecycleEvent(
            execution_id=request.execution_id, workflow_id=workflow_id, event=happened
        )


class Payloads(execution_grpc.PayloadServiceServicer):
    RenewPayloads = NEVER_CALLED

    def __init__(self) -> None:
        self.stored: dict[str, tuple[str, bytes]] = {}
        self.cancelled = asyncio.Event()

    async def PutPayload(self, requests: AsyncIterator[Any], _context: Any) -> Any:
        encoding, data = "", bytearray()
        try:
            async for request in requests:
                encoding = encoding or request.encoding
                data += request.chunk
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        digest = hashlib.sha256(data).hexdigest()
        self.stored[digest] = (encoding, bytes(data))
        reference = payload_pb2.PayloadReference(digest=digest, size_bytes=len(data))
        payload = payload_pb2.Payload(encoding=encoding, reference=reference)
        return execution.PutPayloadResponse(payload=payload)

    async def GetPayload(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        if request.digest not in self.stored:
            raise NotFound("PAYLOAD_NOT_FOUND", "no such payload")
        encoding, data = self.stored[request.digest]
        for start in range(0, len(data), 100_000):
            chunk = data[start : start + 100_000]
            yield execution.GetPayloadResponse(encoding=encoding, chunk=chunk)


class Registry(registry_grpc.RegistryServiceServicer):
    DeregisterInstance = NEVER_CALLED
    DrainInstance = NEVER_CALLED
    GetTopology = NEVER_CALLED
    Heartbeat = NEVER_CALLED
    RegisterInstance = NEVER_CALLED
    ReportCalls = NEVER_CALLED
    WatchInstances = NEVER_CALLED

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self._instance = registry.Instance(
            id="worker-1",
            name="worker",
            type="core",
            endpoint="127.0.0.1:7450",
            status=registry.INSTANCE_STATUS_HEALTHY,
            registered_at_us=STARTED_US,
            heartbeat_at_us=STARTED_US,
        )

    async def ListInstances(self, request: Any, _context: Any) -> Any:
        self.requests.append(request)
        return registry.ListInstancesResponse(instances=[self._instance])

    async def GetInstance(self, request: Any, _context: Any) -> Any:
        if request.id != "worker-1":
            raise NotFound("INSTANCE_NOT_FOUND", f"no instance {request.id}")
        return registry.GetInstanceResponse(instance=self._instance)
