"""WorkflowEngine: build a workflow task by task, run it and watch its progress.

The handlers run in this process, at most `max_concurrent_tasks` at once. The suite handles order,
priorities, retries, timeouts and progress. Ids are derived from names, so a restarted program finds
its unfinished work and continues it.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, NotFound
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.client.parts.workflows import Definition, Registered
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.events import Event
from flowmesh.sdk.values.executions import Execution, StoredValue, duration_ms
from flowmesh.sdk.values.failures import ExecutionFailed
from flowmesh.sdk.worker.handlers import TaskHandler
from flowmesh.sdk.worker.step_context import with_shared_data
from flowmesh.sdk.worker.worker import Worker
from flowmesh.sdk.workflows.declarations import Duration, Retry
from flowmesh.sdk.workflows.flow import Workflow
from flowmesh.sdk.workflows.node_options import TaskOptions
from flowmesh.sdk.workflows.refs import Ref

MAX_CONCURRENT_TASKS = 10
DEFAULT_RETRY = Retry(attempts=3, initial="200ms", max="10s")
DEFAULT_TIMEOUT = "5m"


class WorkflowStatus(StrEnum):
    """The status of a workflow."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class TaskStatus(StrEnum):
    """The status of a task; a task that is never reached stays PENDING."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class Priority(StrEnum):
    """The priority of a task among ready tasks."""

    LOW = "LOW"
    NORMAL = "NORMAL"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


@dataclass(slots=True)
class EngineTask:
    """A task with its status."""

    id: str
    name: str
    handler: TaskHandler | str
    dependencies: tuple[str, ...]
    priority: Priority
    timeout: Duration
    retry: Retry
    status: TaskStatus = TaskStatus.PENDING
    attempts: int = 0
    result: Json = None
    error: str = ""

    def reset(self) -> None:
        """Reset the status for another run."""
        self.status, self.attempts, self.result, self.error = TaskStatus.PENDING, 0, None, ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a workflow, as counts of tasks."""

    total: int
    pending: int
    running: int
    completed: int
    failed: int

    @property
    def percentage(self) -> float:
        """The share of ended tasks in percent."""
        return 100.0 * (self.completed + self.failed) / self.total if self.total else 0.0


@dataclass(slots=True)
class EngineWorkflow:
    """A workflow with its status."""

    id: str
    name: str
    tasks: dict[str, EngineTask] = field(default_factory=dict)
    status: WorkflowStatus = WorkflowStatus.CREATED
    execution_id: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def progress(self) -> Progress:
        counts = dict.fromkeys(TaskStatus, 0)
        for task in self.tasks.values():
            counts[task.status] += 1
        return Progress(
            total=len(self.tasks),
            pending=counts[TaskStatus.PENDING],
            running=counts[TaskStatus.RUNNING],
            completed=counts[TaskStatus.COMPLETED],
            failed=counts[TaskStatus.FAILED],
        )


@dataclass(slots=True)
class EngineMetrics:
    """Totals of this engine; times in seconds."""

    workflows_completed: int = 0
    workflows_failed: int = 0
    tasks_completed: int = 0
    total_execution_time: float = 0.0


class WorkflowEngine:
    """`async with WorkflowEngine() as engine: ...`; connects at the first `execute`.

    A handler is called with `{"input": <the workflow's input>, "results": {task id: output}}`,
    with the results of its dependencies, and a TaskContext if it takes two arguments.
    A handler given as text is a name (see `register_handler`) or an `http(s)://` address, which
    receives the same by POST. `on_progress` is called after each event of a workflow.
    """

    def __init__(
        self,
        client: Client | str = "",
        *,
        max_concurrent_tasks: int = MAX_CONCURRENT_TASKS,
        namespace: str = "",
        on_progress: Callable[[EngineWorkflow], None] | None = None,
    ) -> None:
        self._on_progress = on_progress
        self.max_concurrent_tasks = max_concurrent_tasks
        self.metrics = EngineMetrics()
        self._given_client = client if isinstance(client, Client) else None
        self._client = client if isinstance(client, Client) else None
        self._address = client.address if isinstance(client, Client) else client
        self._namespace = namespace
        self._handlers: dict[str, TaskHandler] = {}
        self._executors: dict[str, TaskHandler] = {}
        self._workflows: dict[str, EngineWorkflow] = {}
        self._followed: set[str] = set()
        self._worker: Worker | None = None
        self._worker_lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for running tasks, then disconnect."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()
        client, self._client = self._client, self._given_client
        if client is not None and client is not self._given_client:
            await client.close()

    # Building -------------------------------------------------------------------------------

    def register_handler(self, name: str, handler: TaskHandler) -> None:
        """Register a handler under the name that tasks use."""
        self._handlers[name] = handler

    def create_workflow(self, name: str) -> EngineWorkflow:
        """Create an empty workflow."""
        workflow = EngineWorkflow(_free_id(name, self._workflows), name)
        self._workflows[workflow.id] = workflow
        return workflow

    def add_task_to_workflow(
        self,
        workflow_id: str,
        name: str,
        handler: TaskHandler | str,
        dependencies: Sequence[str] = (),
        *,
        priority: Priority | str = Priority.NORMAL,
        timeout: Duration = DEFAULT_TIMEOUT,
        retry: Retry = DEFAULT_RETRY,
    ) -> EngineTask:
        """Add a task that depends on the tasks with the ids `dependencies`."""
        workflow = self.get_workflow(workflow_id)
        for dependency in dependencies:
            if dependency not in workflow.tasks:
                known = ", ".join(workflow.tasks) or "none yet"
                raise Invalid(
                    "GRAPH_UNKNOWN_NODE",
                    f"task {name!r} depends on {dependency!r}, which is not a task of"
                    f" {workflow.name!r} (tasks: {known})",
                )
        task = EngineTask(
            id=_free_id(name, workflow.tasks),
            name=name,
            handler=handler,
            dependencies=tuple(dependencies),
            priority=Priority(priority),
            timeout=timeout,
            retry=retry,
        )
        workflow.tasks[task.id] = task
        return task

    def get_workflow(self, workflow_id: str) -> EngineWorkflow:
        try:
            return self._workflows[workflow_id]
        except KeyError:
            message = f"this engine has no workflow {workflow_id!r}"
            raise NotFound("WORKFLOW_NOT_FOUND", message) from None

    def progress(self, workflow_id: str) -> Progress:
        return self.get_workflow(workflow_id).progress

    # Custom executors and other definitions -------------------------------------------------

    def register_executor(self, action: str, handler: TaskHandler) -> None:
        """Register the handler of a step action: `async (params, context) -> result`."""

        async def describe(execution_id: str) -> Execution:
            return await (await self._connected({})).get_execution(execution_id)

        async def fetch(value: StoredValue) -> Json:
            return await (await self._connected({})).fetch(value)

        self._executors[action] = with_shared_data(action, handler, describe, fetch)

    async def register_workflow(self, definition: Definition) -> Registered:
        """Register a definition (step JSON, resources, YAML) and run its custom actions here."""
        client = await self._connected(self._executors)
        return await client.register(definition)

    async def run(
        self, workflow_id: str, input: Json = None, *, timeout: float = limits.RUN_TIMEOUT_S
    ) -> dict[str, Json]:
        """Run a registered definition and return the outputs of its steps by id."""
        client = await self._connected(self._executors)
        handle = await client.start(workflow_id, input)
        await handle.result(timeout)
        return await handle.outputs()

    # Running --------------------------------------------------------------------------------

    async def execute(
        self, workflow_id: str, input: Json = None, *, request_id: str = ""
    ) -> dict[str, Json]:
        """Run a workflow and return the outputs of its tasks by id; raises ExecutionFailed."""
        workflow = self.get_workflow(workflow_id)
        if workflow.id in self._followed:
            raise Invalid("REQUEST_INVALID", f"workflow {workflow.name!r} is running already")
        self._followed.add(workflow.id)
        try:
            return await self._follow(workflow, input, request_id)
        finally:
            self._followed.discard(workflow.id)

    async def _follow(
        self, workflow: EngineWorkflow, input: Json, request_id: str
    ) -> dict[str, Json]:
        flow = self.compile(workflow.id)
        client = await self._connected(flow.handlers)
        await client.register(flow)
        for task in workflow.tasks.values():
            task.reset()
        workflow.started_at = workflow.ended_at = None
        handle = await client.start(workflow.id, input, request_id=request_id)
        workflow.execution_id = handle.id
        workflow.status = WorkflowStatus.RUNNING
        try:
            async for event in handle.events():
                self._update(workflow, event)
                if self._on_progress is not None:
                    self._on_progress(workflow)
            await handle.result()
        except ExecutionFailed:
            self.metrics.workflows_failed += 1
            workflow.status = WorkflowStatus.FAILED
            raise
        finally:
            taken_ms = duration_ms(workflow.started_at, workflow.ended_at)
            self.metrics.total_execution_time += (taken_ms or 0.0) / 1000
        self.metrics.workflows_completed += 1
        workflow.status = WorkflowStatus.COMPLETED
        outputs = await handle.outputs()
        for task in workflow.tasks.values():
            task.result = outputs.get(task.id)
        return outputs

    def compile(self, workflow_id: str) -> Workflow:
        """Compile the workflow; raises Invalid if a handler is missing."""
        workflow = self.get_workflow(workflow_id)
        if not workflow.tasks:
            raise Invalid("GRAPH_EMPTY", f"workflow {workflow.name!r} has no tasks")
        flow = Workflow(workflow.id)
        for task in workflow.tasks.values():
            options: TaskOptions = {
                "name": task.name,
                "depends_on": task.dependencies,
                "priority": task.priority.value,
                "timeout": task.timeout,
                "retry": task.retry,
                "input": {
                    "input": flow.input,
                    "results": {name: _output(name) for name in task.dependencies},
                },
            }
            if isinstance(task.handler, str) and task.handler.startswith(("http://", "https://")):
                body = {"input": Ref("input.input"), "results": Ref("input.results")}
                flow.http(task.id, task.handler, method="POST", body=body, **options)
            else:
                flow.task(task.id, self._handler(workflow, task), **options)
        return flow

    def _handler(self, workflow: EngineWorkflow, task: EngineTask) -> TaskHandler:
        if not isinstance(task.handler, str):
            return task.handler
        handler = self._handlers.get(task.handler)
        if handler is None:
            known = ", ".join(sorted(self._handlers)) or "none"
            raise Invalid(
                "HANDLER_MISSING",
                f"task {task.name!r} of workflow {workflow.name!r} uses handler"
                f" {task.handler!r}, which is not registered (registered: {known});"
                f" call engine.register_handler({task.handler!r}, function)",
            )
        return handler

    async def _connected(self, handlers: Mapping[str, TaskHandler]) -> Client:
        """Return the client, with a running worker that has at least these handlers."""
        async with self._worker_lock:
            if self._client is None:
                self._client = await Client.connect(self._address, self._namespace)
            await self._serve(self._client, handlers)
            return self._client

    async def _serve(self, client: Client, handlers: Mapping[str, TaskHandler]) -> None:
        if self._worker is None:
            if not handlers:
                return
            worker = Worker(client, handlers, slots=self.max_concurrent_tasks)
            await worker.start()
            self._worker = worker
            return
        known = self._worker.task_types
        new = {name: handler for name, handler in handlers.items() if name not in known}
        if new:
            await self._worker.add(new)

    def _update(self, workflow: EngineWorkflow, event: Event) -> None:
        """Update the status of the workflow and its tasks by an event."""
        if event.type == "WorkflowStarted":
            workflow.started_at = event.at
        elif event.last:
            workflow.ended_at = event.at
        task = workflow.tasks.get(event.node)
        if task is None:
            return
        task.attempts = max(task.attempts, event.attempt)
        match event.type:
            case "TaskStarted" | "TaskRetrying":
                task.status = TaskStatus.RUNNING
            case "TaskCompleted":
                task.status = TaskStatus.COMPLETED
                self.metrics.tasks_completed += 1
            case "TaskFailed" | "TaskCanceled":
                task.status = TaskStatus.FAILED
                error = event.data.get("error") or {"class": "Cancelled", "message": ""}
                task.error = f"{error['class']}: {error['message']}"


def _output(task_id: str) -> Ref:
    return Ref(f"tasks.{task_id}.output", task_id)


def _free_id(name: str, taken: Mapping[str, object]) -> str:
    """Return a readable id from the name, with a number if it is taken."""
    base = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:100] or "task"
    found, number = base, 1
    while found in taken:
        number += 1
        found = f"{base}-{number}"
    return found
