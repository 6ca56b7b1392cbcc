"""Workflows defined in code: tasks, dependencies, handlers; compiled to native resources.

    @task("charge-card", retry=Retry(attempts=3), timeout="30s")
    async def charge(input, context): ...

    @workflow("order")
    def order(flow: Workflow) -> None:
        cart = flow.task("cart", load_cart, input={"id": flow.input["orderId"]})
        flow.task("charge", charge, input={"total": cart.output["total"]})

Not here: checks. The definition service makes them all, with places in the compiled source.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, TypeVar, Unpack

import orjson

from flowmesh.errors import Invalid
from flowmesh.sdk.handlers import TaskHandler
from flowmesh.sdk.payloads import Json

API_VERSION = "workflow.io/v1"
RETRY_ANY = ("*",)

H = TypeVar("H", bound=TaskHandler)
Duration = str | int | float
"""`"500ms"`, `"30s"`, `"5m"`, or seconds as a number."""


def duration_text(duration: Duration) -> str:
    """The duration as resources write it."""
    if isinstance(duration, str):
        return duration
    milliseconds = round(duration * 1000)
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    return f"{milliseconds // 1000}s"


@dataclass(frozen=True, slots=True)
class Retry:
    """How a failed attempt is tried again; `attempts` counts the first.

    Any exception of a handler is retried unless `on` names classes.
    """

    attempts: int = 4
    initial: Duration = "100ms"
    multiplier: float = 2.0
    max: Duration = "30s"
    on: Sequence[str] = RETRY_ANY

    def as_json(self) -> dict[str, Json]:
        return {
            "maxAttempts": self.attempts,
            "initialDelay": duration_text(self.initial),
            "multiplier": self.multiplier,
            "maxDelay": duration_text(self.max),
            "retryOn": list(self.on),
        }


class Ref:
    """A reference into data that exists when the workflow runs: `cart.output["total"]`."""

    __slots__ = ("_path", "node")

    def __init__(self, path: str, node: str = "") -> None:
        self._path = path
        # The node whose output it is; empty for the workflow's input.
        self.node = node

    def __getitem__(self, key: str | int) -> "Ref":
        step = f"[{key}]" if isinstance(key, int) else f".{key}"
        return Ref(self._path + step, self.node)

    def __str__(self) -> str:
        return "{{" + self._path + "}}"

    def __repr__(self) -> str:
        return f"Ref({self._path!r})"


@dataclass(frozen=True, slots=True)
class TaskType:
    """What `@task` says of a handler."""

    name: str
    retry: Retry | None = None
    timeout: Duration | None = None
    priority: str = ""
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None


class TaskOptions(TypedDict, total=False):
    """What may be said of a task in a workflow, whatever runs it."""

    # Any JSON value; references at any depth are dependencies too.
    input: Json
    depends_on: Sequence["TaskNode | str"]
    name: str
    retry: Retry | None
    # Limit of one attempt.
    timeout: Duration | None
    # LOW, NORMAL, HIGH or CRITICAL: which ready task leaves first.
    priority: str
    # A CEL expression; false skips the task and what depends on it.
    condition: str
    queue: str
    # False: its failure does not fail the workflow.
    critical: bool


_TASK_TYPE = "__flowmesh_task__"


def task(
    name: str = "",
    *,
    retry: Retry | None = None,
    timeout: Duration | None = None,
    priority: str = "",
    input_schema: dict[str, Any] | None = None,
    output_schema: dict[str, Any] | None = None,
) -> Callable[[H], H]:
    """Decorator: the function is the handler of task type `name` (its own name by default)."""

    def mark(function: H) -> H:
        task_type = TaskType(
            name=name or _function_name(function),
            retry=retry,
            timeout=timeout,
            priority=priority,
            input_schema=input_schema,
            output_schema=output_schema,
        )
        setattr(function, _TASK_TYPE, task_type)
        return function

    return mark


def task_type_of(function: TaskHandler) -> TaskType | None:
    """What `@task` said of it; None where it was not used."""
    found = getattr(function, _TASK_TYPE, None)
    return found if isinstance(found, TaskType) else None


def _function_name(function: TaskHandler) -> str:
    name = getattr(function, "__name__", "")
    if not re.fullmatch(r"\w+", name):
        raise Invalid("ID_INVALID", f"{function!r} has no name; give one: task('name')")
    return name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class TaskNode:
    """A task of a workflow that is being built."""

    id: str
    task_ref: str
    depends_on: tuple[str, ...]
    fields: dict[str, Json] = field(default_factory=dict)

    @property
    def output(self) -> Ref:
        """What it returns, for the input of tasks behind it."""
        return Ref(f"tasks.{self.id}.output", self.id)

    def as_json(self) -> dict[str, Json]:
        document: dict[str, Json] = {"id": self.id, "taskRef": self.task_ref, **self.fields}
        if self.depends_on:
            document["dependsOn"] = list(self.depends_on)
        return document


class Workflow:
    """A workflow built step by step; `client.register(flow)` compiles and registers it."""

    def __init__(
        self,
        name: str,
        *,
        input_schema: dict[str, Any] | None = None,
        output: Json = None,
        parallelism: int = 0,
        timeout: Duration | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.handlers: dict[str, TaskHandler] = {}
        self.tasks: dict[str, TaskNode] = {}
        self.output = output
        self._input_schema = input_schema
        self._parallelism = parallelism
        self._timeout = timeout
        self._labels = dict(labels or {})
        self._resources: dict[str, dict[str, Json]] = {}

    @property
    def id(self) -> str:
        return self.name

    @property
    def input(self) -> Ref:
        """The input the workflow is started with."""
        return Ref("input")

    def task(self, id: str, run: TaskHandler | str, **options: Unpack[TaskOptions]) -> TaskNode:
        """Adds a task that `run` does: a function, or the type a worker handles.

        Without `input` it gets the workflow's input.
        """
        task_type = self._task_type(id, run)
        name = self._resource(task_type.name, _task_spec(task_type))
        given: TaskOptions = {
            "input": self.input,
            "retry": task_type.retry,
            "timeout": task_type.timeout,
            "priority": task_type.priority,
        }
        return self._add(id, name, given | options)

    def use(self, id: str, task_ref: str, **options: Unpack[TaskOptions]) -> TaskNode:
        """Adds a task of the library by its name."""
        return self._add(id, task_ref, options)

    def http(
        self,
        id: str,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Json = None,
        **options: Unpack[TaskOptions],
    ) -> TaskNode:
        """Adds an HTTP call; templates in url, headers and body see the task's `input`."""
        http: dict[str, Json] = {"method": method, "url": url}
        if headers:
            http["headers"] = dict(headers)
        if body is not None:
            http["body"] = _plain(body)
        name = self._resource(f"{self.name}.{id}", {"type": "http", "http": http})
        return self._add(id, name, options)

    def as_resources(self) -> list[dict[str, Json]]:
        """The workflow and the tasks it brings, as native resources; tasks first."""
        spec: dict[str, Json] = {"tasks": [node.as_json() for node in self.tasks.values()]}
        if self._input_schema is not None:
            spec["inputSchema"] = self._input_schema
        if self.output is not None:
            spec["output"] = _plain(self.output)
        if self._parallelism:
            spec["parallelism"] = self._parallelism
        if self._timeout is not None:
            spec["timeout"] = duration_text(self._timeout)
        metadata: dict[str, Json] = {"name": self.name}
        if self._labels:
            metadata["labels"] = self._labels
        tasks = [
            _document("WorkflowTask", {"name": name}, task_spec)
            for name, task_spec in self._resources.items()
        ]
        return [*tasks, _document("Workflow", metadata, spec)]

    def source(self) -> bytes:
        """The resources as YAML documents (each of them JSON)."""
        return b"\n---\n".join(orjson.dumps(document) for document in self.as_resources())

    # Building -------------------------------------------------------------------------------

    def _task_type(self, id: str, run: TaskHandler | str) -> TaskType:
        if isinstance(run, str):
            return TaskType(run)
        task_type = task_type_of(run) or TaskType(f"{self.name}.{id}")
        known = self.handlers.setdefault(task_type.name, run)
        if known is not run:
            raise Invalid("GRAPH_DUPLICATE_NODE", f"task type {task_type.name!r} has two handlers")
        return task_type

    def _resource(self, name: str, spec: dict[str, Json]) -> str:
        known = self._resources.setdefault(name, spec)
        if known != spec:
            raise Invalid("GRAPH_DUPLICATE_NODE", f"task {name!r} is defined in two ways")
        return name

    def _add(self, id: str, task_ref: str, options: TaskOptions) -> TaskNode:
        if id in self.tasks:
            raise Invalid("GRAPH_DUPLICATE_NODE", f"workflow {self.name} has two tasks {id!r}")
        input = options.get("input")
        before = options.get("depends_on", ())
        depends = dict.fromkeys(node.id if isinstance(node, TaskNode) else node for node in before)
        depends.update(dict.fromkeys(_referred(input)))
        node = self.tasks[id] = TaskNode(id, task_ref, tuple(depends), _fields(options))
        return node


def workflow(name: str, **options: Any) -> Callable[[Callable[[Workflow], Any]], Workflow]:
    """Decorator: the function adds the tasks; what it returns, if anything, is the output."""

    def build(function: Callable[[Workflow], Any]) -> Workflow:
        flow = Workflow(name, **options)
        output = function(flow)
        if output is not None:
            flow.output = output
        return flow

    return build


def _task_spec(task_type: TaskType) -> dict[str, Json]:
    spec: dict[str, Json] = {"type": task_type.name}
    if task_type.input_schema is not None:
        spec["inputSchema"] = task_type.input_schema
    if task_type.output_schema is not None:
        spec["outputSchema"] = task_type.output_schema
    return spec


def _fields(options: TaskOptions) -> dict[str, Json]:
    """The options as a task of a resource writes them; what is not said is left out."""
    fields: dict[str, Json] = {}
    if options.get("input") is not None:
        fields["input"] = _plain(options["input"])
    if retry := options.get("retry"):
        fields["retry"] = retry.as_json()
    if timeout := options.get("timeout"):
        fields["timeout"] = duration_text(timeout)
    for key in ("name", "priority", "condition", "queue"):
        if value := options.get(key):
            fields[key] = value
    if not options.get("critical", True):
        fields["critical"] = False
    return fields


def _document(kind: str, metadata: dict[str, Json], spec: dict[str, Json]) -> dict[str, Json]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _plain(value: Json) -> Json:
    """References as templates, at any depth."""
    match value:
        case Ref():
            return str(value)
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _referred(value: Json) -> list[str]:
    """Ids of the nodes that references in `value` are to."""
    match value:
        case Ref():
            return [value.node] if value.node else []
        case Mapping():
            return [node for item in value.values() for node in _referred(item)]
        case list() | tuple():
            return [node for item in value for node in _referred(item)]
        case _:
            return []
