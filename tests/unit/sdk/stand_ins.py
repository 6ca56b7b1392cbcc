"""Tiny servicers on a real gRPC server, for tests of the SDK and the CLI without a suite.

They keep what they were sent and answer from lists that a test fills; errors go through the
suite's own translation, so that a client sees what it would see there.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import orjson
import yaml

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.definition.v1 import definition_service_pb2_grpc as definition_rpc
from flowmesh.api.event.v1 import event_service_pb2 as event_pb
from flowmesh.api.event.v1 import event_service_pb2_grpc as event_rpc
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as rpc
from flowmesh.api.history.v1 import history_event_pb2 as history_pb
from flowmesh.api.history.v1 import history_service_pb2 as history_service_pb
from flowmesh.api.history.v1 import history_service_pb2_grpc as history_rpc
from flowmesh.api.registry.v1 import registry_service_pb2 as registry_pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as registry_rpc
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.api.worker.v1 import worker_service_pb2 as worker_pb
from flowmesh.api.worker.v1 import worker_service_pb2_grpc as worker_rpc
from flowmesh.errors import FlowmeshError, NotFound
from flowmesh.rpc import Handlers
from flowmesh.telemetry.metrics import Metrics

COMPLETED = execution_pb2.EXECUTION_STATUS_COMPLETED
FAILED = execution_pb2.EXECUTION_STATUS_FAILED


def payload(value: Any) -> payload_pb2.Payload:
    return payload_pb2.Payload(data=orjson.dumps(value))


def failure(error_class: str, message: str, node: str = "") -> failure_pb2.Failure:
    named: dict[str, Any] = {"class": error_class}  # a keyword of Python
    return failure_pb2.Failure(message=message, node=node, **named)


def execution(
    execution_id: str = "exec-1", status: int = COMPLETED, **fields: Any
) -> execution_pb2.Execution:
    return execution_pb2.Execution(
        execution_id=execution_id,
        workflow_id=fields.pop("workflow_id", "order"),
        status=execution_pb2.ExecutionStatus.ValueType(status),
        started_at_us=1_700_000_000_000_000,
        **fields,
    )


class Executions(rpc.ExecutionServiceServicer):
    """Answers with `known`; a start completes at once with its input as output."""

    def __init__(self) -> None:
        self.known: dict[str, execution_pb2.Execution] = {}
        self.by_request_id: dict[str, str] = {}
        self.starts: list[pb.StartExecutionRequest] = []
        self.lists: list[pb.ListExecutionsRequest] = []
        self.warnings: list[str] = []
        self.commands: list[Any] = []
        # Raised one by one by the next calls.
        self.errors: list[FlowmeshError] = []
        self.session_frames: list[pb.SessionRequest] = []
        # The reaction of a session to a frame; None breaks the stream.
        self.answer: Callable[[pb.SessionRequest], pb.SessionResponse | None] = self.complete

    def put(self, message: execution_pb2.Execution) -> None:
        self.known[message.execution_id] = message

    def _started(self, start: pb.StartExecutionRequest) -> tuple[execution_pb2.Execution, bool]:
        self.starts.append(start)
        known = self.by_request_id.get(start.request_id)
        if known:
            return self.known[known], False
        found = execution(
            f"exec-{len(self.known) + 1}",
            workflow_id=start.workflow_id,
            input=start.input,
            output=start.input,
            request_id=start.request_id,
        )
        self.by_request_id[start.request_id] = found.execution_id
        self.put(found)
        return found, True

    def _find(self, execution_id: str) -> execution_pb2.Execution:
        if self.errors:
            raise self.errors.pop(0)
        if execution_id not in self.known:
            raise NotFound("EXECUTION_NOT_FOUND", f"no execution {execution_id!r}")
        return self.known[execution_id]

    def complete(self, frame: pb.SessionRequest) -> pb.SessionResponse:
        """Acknowledges every start and answers its input as the result."""
        response = pb.SessionResponse()
        for start in frame.starts:
            found, created = self._started(start.start)
            response.started.add(
                call_id=start.call_id, execution_id=found.execution_id, created=created
            )
            response.results.add(
                call_id=start.call_id,
                execution_id=found.execution_id,
                status=COMPLETED,
                output=found.output,
            )
        for watch in frame.watches:
            response.results.add(
                call_id=watch.call_id,
                execution_id=watch.execution_id,
                status=COMPLETED,
                output=self.known[watch.execution_id].output,
            )
        return response

    async def Session(self, request_iterator: Any, context: Any) -> Any:
        async for frame in request_iterator:
            self.session_frames.append(frame)
            response = self.answer(frame)
            if response is None:
                return
            yield response

    async def StartExecution(self, request: Any, context: Any) -> Any:
        if self.errors:
            self.starts.append(request)
            raise self.errors.pop(0)
        found, created = self._started(request)
        response = pb.StartExecutionResponse(execution_id=found.execution_id, created=created)
        if request.wait_ms:
            response.execution.CopyFrom(found)
        return response

    async def GetExecution(self, request: Any, context: Any) -> Any:
        return pb.GetExecutionResponse(execution=self._find(request.execution_id))

    async def WaitExecution(self, request: Any, context: Any) -> Any:
        found = self._find(request.execution_id)
        ended = found.status in (COMPLETED, FAILED)
        return pb.WaitExecutionResponse(ended=ended, execution=found if ended else None)

    async def ListExecutions(self, request: Any, context: Any) -> Any:
        self.lists.append(request)
        start = int(request.page_token or 0)
        wanted = [
            message
            for message in self.known.values()
            if not request.workflow_id or message.workflow_id == request.workflow_id
            if not request.statuses or message.status in request.statuses
        ]
        end = start + request.page_size
        return pb.ListExecutionsResponse(
            executions=wanted[start:end],
            next_page_token=str(end) if end < len(wanted) else "",
            warnings=self.warnings,
        )

    async def CancelExecution(self, request: Any, context: Any) -> Any:
        self._find(request.execution_id)
        self.commands.append(request)
        return pb.CancelExecutionResponse()

    async def TerminateExecution(self, request: Any, context: Any) -> Any:
        self._find(request.execution_id)
        self.commands.append(request)
        return pb.TerminateExecutionResponse()

    async def SignalExecution(self, request: Any, context: Any) -> Any:
        self._find(request.execution_id)
        self.commands.append(request)
        return pb.SignalExecutionResponse(sequence=7)

    async def GetStats(self, request: Any, context: Any) -> Any:
        return pb.GetStatsResponse()


class Payloads(rpc.PayloadServiceServicer):
    """Stores what it is sent under its SHA-256."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[str, bytes]] = {}

    async def RenewPayloads(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def PutPayload(self, request_iterator: Any, context: Any) -> Any:
        encoding, data = "", b""
        async for message in request_iterator:
            encoding, data = encoding or message.encoding, data + message.chunk
        digest = hashlib.sha256(data).hexdigest()
        self.stored[digest] = encoding, data
        reference = payload_pb2.PayloadReference(digest=digest, size_bytes=len(data))
        return pb.PutPayloadResponse(payload=payload_pb2.Payload(reference=reference))

    async def GetPayload(self, request: Any, context: Any) -> Any:
        encoding, data = self.stored[request.digest]
        for start in range(0, len(data), 100_000):
            yield pb.GetPayloadResponse(encoding=encoding, chunk=data[start : start + 100_000])


class Definitions(definition_rpc.DefinitionServiceServicer):
    """Stores every source; a test sets the returned workflows."""

    def __init__(self) -> None:
        self.sources: list[bytes] = []
        self.workflows: dict[str, definition_pb2.Workflow] = {}
        self.problems: list[definition_pb2.Problem] = []
        self.errors: list[FlowmeshError] = []

    def _take(self, request: Any) -> None:
        self.sources.append(request.source)
        if self.errors:
            raise self.errors.pop(0)

    async def RegisterWorkflow(self, request: Any, context: Any) -> Any:
        self._take(request)
        return definition_pb.RegisterWorkflowResponse(
            workflow_id=orjson.loads(request.source)["id"], version=1, digest="d", created=True
        )

    async def Apply(self, request: Any, context: Any) -> Any:
        self._take(request)
        response = definition_pb.ApplyResponse()
        for document in yaml.safe_load_all(request.source):
            response.resources.add(
                kind=document["kind"], name=document["metadata"]["name"], version=1, created=True
            )
        return response

    async def ValidateWorkflow(self, request: Any, context: Any) -> Any:
        self.sources.append(request.source)
        return definition_pb.ValidateWorkflowResponse(
            valid=not self.problems, problems=self.problems
        )

    async def GetWorkflow(self, request: Any, context: Any) -> Any:
        if request.workflow_id not in self.workflows:
            raise NotFound("WORKFLOW_NOT_FOUND", f"no workflow {request.workflow_id!r}")
        return definition_pb.GetWorkflowResponse(workflow=self.workflows[request.workflow_id])

    async def ListWorkflows(self, request: Any, context: Any) -> Any:
        return definition_pb.ListWorkflowsResponse(workflows=self.workflows.values())

    async def ListTasks(self, request: Any, context: Any) -> Any:
        return definition_pb.ListTasksResponse()


class Events(event_rpc.EventServiceServicer):
    """Streams of events, one list per subscription; a list that ends early breaks the stream."""

    def __init__(self) -> None:
        self.streams: list[list[history_pb.HistoryEvent]] = []
        self.requests: list[event_pb.WatchExecutionRequest] = []

    async def WatchExecution(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        for event in self.streams.pop(0):
            yield event_pb.WatchExecutionResponse(
                event=event_pb.LifecycleEvent(
                    execution_id=request.execution_id, workflow_id="order", event=event
                )
            )


class Histories(history_rpc.HistoryServiceServicer):
    """The events of one execution, two a page."""

    def __init__(self) -> None:
        self.events: list[history_pb.HistoryEvent] = []

    async def ListHistoryEvents(self, request: Any, context: Any) -> Any:
        found = [event for event in self.events if event.sequence > request.after]
        page = found[:2]
        return history_service_pb.ListHistoryEventsResponse(
            events=page, next_after=page[-1].sequence if len(found) > 2 else 0
        )


class Registry(registry_rpc.RegistryServiceServicer):
    """One instance."""

    async def ListInstances(self, request: Any, context: Any) -> Any:
        instance = registry_pb.Instance(
            id="orchestrator-1",
            name="orchestrator",
            type="core",
            endpoint="127.0.0.1:7450",
            status=registry_pb.INSTANCE_STATUS_HEALTHY,
        )
        return registry_pb.ListInstancesResponse(instances=[instance])


class Workers(worker_rpc.WorkerServiceServicer):
    """Hands out the tasks a test puts, one stream at a time, and keeps what comes back."""

    def __init__(self) -> None:
        self.hellos: list[worker_pb.WorkHello] = []
        self.frames: list[worker_pb.WorkRequest] = []
        self.results: dict[str, task_pb2.TaskResult] = {}
        self.acknowledge = True
        self._outgoing: asyncio.Queue[worker_pb.WorkResponse | None] = asyncio.Queue()
        self._changed = asyncio.Condition()

    @property
    def sent(self) -> list[str]:
        """Tokens of all results in the order they came, repeats included."""
        return [result.token for frame in self.frames for result in frame.results]

    def send(self, response: worker_pb.WorkResponse) -> None:
        self._outgoing.put_nowait(response)

    def task(self, token: str, task_type: str, value: Any = None, **fields: Any) -> None:
        fields.setdefault("attempt", 1)
        task = task_pb2.Task(token=token, task_type=task_type, input=payload(value), **fields)
        self.send(worker_pb.WorkResponse(tasks=[task]))

    def break_stream(self) -> None:
        self._outgoing.put_nowait(None)

    async def until(self, promise: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(promise)

    async def result(self, token: str) -> task_pb2.TaskResult:
        await self.until(lambda: token in self.results)
        return self.results[token]

    async def Work(self, request_iterator: Any, context: Any) -> Any:
        reader = asyncio.create_task(self._read(request_iterator))
        try:
            while (response := await self._outgoing.get()) is not None:
                yield response
        finally:
            reader.cancel()

    async def _read(self, request_iterator: Any) -> None:
        async for frame in request_iterator:
            async with self._changed:
                self.frames.append(frame)
                if frame.HasField("hello"):
                    self.hellos.append(frame.hello)
                    self.send(worker_pb.WorkResponse(pong=True))
                for result in frame.results:
                    self.results[result.token] = result
                if frame.results and self.acknowledge:
                    self.send(worker_pb.WorkResponse(acknowledged_frame=frame.results_frame))
                self._changed.notify_all()


class StandIn:
    """All servicers on one port."""

    def __init__(self) -> None:
        self.executions = Executions()  # type: ignore[abstract]
        self.payloads = Payloads()
        self.definitions = Definitions()  # type: ignore[abstract]  # what it lacks is not called
        self.events = Events()  # type: ignore[abstract]
        self.histories = Histories()
        self.workers = Workers()
        self.registry = Registry()  # type: ignore[abstract]
        self.address = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["StandIn"]:
        handlers: Any = Handlers(Metrics())
        rpc.add_ExecutionServiceServicer_to_server(self.executions, handlers)
        rpc.add_PayloadServiceServicer_to_server(self.payloads, handlers)
        definition_rpc.add_DefinitionServiceServicer_to_server(self.definitions, handlers)
        event_rpc.add_EventServiceServicer_to_server(self.events, handlers)
        history_rpc.add_HistoryServiceServicer_to_server(self.histories, handlers)
        worker_rpc.add_WorkerServiceServicer_to_server(self.workers, handlers)
        registry_rpc.add_RegistryServiceServicer_to_server(self.registry, handlers)
        server = grpc.aio.server()
        handlers.install(server)
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield self
        finally:
            await server.stop(grace=0.1)
