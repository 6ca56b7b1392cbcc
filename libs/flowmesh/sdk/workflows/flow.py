"""Workflows built in code from tasks, dependencies and handlers; compiled to resources.

    @task("charge-card", retry=Retry(attempts=3), timeout="30s")
    async def charge(input, context): ...

    @workflow("order")
    def order(flow: Workflow) -> None:
        cart = flow.task("cart", load_cart, input={"id": flow.input["orderId"]})
        flow.task("charge", charge, input={"total": cart.output["total"]})
        each = flow.map("each", cart.output["parcels"], concurrency=50)
        each.task("ship", ship, input={"parcel": each.item, "position": each.index})

The definition service validates them, with positions in the compiled source.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack, overload

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.sdk.worker.handlers import TaskHandler
from flowmesh.sdk.workflows.declarations import (
    Duration,
    TaskType,
    duration_text,
    name_of,
    task_type_of,
)
from flowmesh.sdk.workflows.node_options import (
    OPTIONS,
    After,
    MapOptions,
    TaskOptions,
    map_fields,
    task_fields,
)
from flowmesh.sdk.workflows.refs import Ref, output_of, plain, refs_in
from flowmesh.sdk.workflows.resources import WorkflowTask, resource, source_text

_OPTIONS_SHOWN = ", ".join(sorted(OPTIONS))


class _Node:
    """A node that other nodes refer to and depend on."""

    __slots__ = ()
    id: str

    @property
    def output(self) -> Ref:
        """A reference to its output, for the inputs of its successors.

        The output of a map is the list of the outputs of its last task for each item, in order.
        """
        return output_of(self.id)

    def on(self, outcome: str) -> After:
        """Return a dependency on its failure, its success, or a label of its output."""
        return After(self.id, outcome)


@dataclass(frozen=True, slots=True)
class TaskNode(_Node):
    """A task of a workflow."""

    id: str
    task_ref: str
    depends_on: tuple[str, ...]
    fields: dict[str, Json] = field(default_factory=dict)
    # Nodes outside of its map whose output it reads.
    outside: tuple[str, ...] = ()
    # The required outcomes of its dependencies, if given.
    outcomes: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        document: dict[str, Json] = {"id": self.id, **self.fields}
        if self.task_ref:
            document["taskRef"] = self.task_ref
        return document | _dependencies_json(self.depends_on, self.outcomes)


class Graph:
    """A graph of tasks and maps: a workflow or the body of a map."""

    def __init__(
        self,
        name: str,
        handlers: dict[str, TaskHandler],
        resources: dict[str, WorkflowTask],
    ) -> None:
        self.name = name
        self.handlers = handlers
        self.tasks: dict[str, TaskNode | MapNode] = {}
        self._resources = resources

    @property
    def input(self) -> Ref:
        """A reference to the input of the execution."""
        return Ref("input")

    @property
    def variables(self) -> Ref:
        """A reference to the declared variables: `flow.variables["limit"]`."""
        return Ref("variables")

    def task(self, id: str, run: TaskHandler | str, **options: Unpack[TaskOptions]) -> TaskNode:
        """Add a task with a handler function or the task type of a worker.

        `input` defaults to the input of the workflow, or to the item in a map.
        """
        task_type = self._task_type(id, run)
        name = self._add_resource(WorkflowTask(task_type.name, _task_spec(task_type)))
        given: TaskOptions = {
            "input": self._given,
            "retry": task_type.retry,
            "timeout": task_type.timeout,
            "priority": task_type.priority,
        }
        return self._add(id, name, given | options)

    def use(self, id: str, task_ref: str, **options: Unpack[TaskOptions]) -> TaskNode:
        """Add a reusable task by its name."""
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
        """Add an HTTP call; templates in url, headers and body can use the `input` of the task."""
        http: dict[str, Json] = {"method": method, "url": url}
        if headers:
            http["headers"] = dict(headers)
        if body is not None:
            http["body"] = plain(body)
        name = self._add_resource(WorkflowTask(f"{self.name}.{id}", {"type": "http", "http": http}))
        return self._add(id, name, options)

    def transform(
        self,
        id: str,
        source: Json,
        *operations: Mapping[str, Json],
        **options: Unpack[TaskOptions],
    ) -> TaskNode:
        """Add a pipeline of operations on a value, such as `{"operation": "limit", "count": 3}`."""
        given: TaskOptions = {"input": {"source": source, "pipeline": list(operations)}}
        return self._add(id, "transform", options | given)

    def subworkflow(
        self,
        id: str,
        workflow: str,
        *,
        version: int | str = "latest",
        wait: bool = True,
        on_cancel: str = "",
        child_id: Json = None,
        project: str = "",
        credential: str = "",
        **options: Unpack[TaskOptions],
    ) -> TaskNode:
        """Add a task that starts another workflow with its `input` and returns the output.

        Without `wait`, it completes once the child has started. A `child_id` starts the child at
        most once. `on_cancel` applies to the child if the task is canceled: CANCEL (the default),
        TERMINATE or ABANDON. `workflow` and `child_id` may be templates. The workflow of another
        `project` is started with the API key in the secret that `credential` names, such as
        `secret://bank-key`.
        """
        fields: dict[str, Json] = {"workflow": workflow, "version": version, "wait": wait}
        if on_cancel:
            fields["onCancel"] = on_cancel
        if child_id is not None:
            fields["id"] = plain(child_id)
        for key, value in (("project", project), ("credential", credential)):
            if value:
                fields[key] = value
        return self._add_kind(id, "subworkflow", fields, "input", options)

    def continue_as_new(self, id: str, **options: Unpack[TaskOptions]) -> TaskNode:
        """Add the end of a run: the workflow continues as a new execution with this `input`."""
        return self._add_kind(id, "continueAsNew", {}, "input", options)

    def wait_for(self, id: str, event: str, **options: Unpack[TaskOptions]) -> TaskNode:
        """Add a wait for a signal; `input` is its correlation key, if any."""
        return self._add_kind(id, "wait", {"event": event}, "correlate", options)

    def node(self, id: str, does: Mapping[str, Json], **options: Unpack[TaskOptions]) -> TaskNode:
        """Add a node in the form of resources: `{"decision": ...}`, an approval, a group, a race,
        a loop, a try, or a `taskRef` with any fields.
        """
        before = self._before(id, options, [dict(does), options.get("input")])
        return self._add_node(id, "", before, plain(does) | task_fields(options), options)

    def map(
        self,
        id: str,
        items: Json = None,
        *,
        pages: Mapping[str, Json] | None = None,
        counted: bool = False,
        concurrency: int = 0,
        batch: int = 0,
        tolerate: Mapping[str, Json] | None = None,
        **options: Unpack[MapOptions],
    ) -> "MapNode":
        """Add a map: its tasks run once for each of `items`, a list or a reference to a list.

        At most `concurrency` items run at a time, 100 by default. Instead of `items`, `pages` names
        a task that returns them page by page: `{"taskRef": "list-orders"}`. With `counted` the
        output is the count of items. With `batch` an item is a list of that many items. `tolerate`
        limits the failed items, as in `{"count": 3}`.
        """
        before = self._before(id, options, items if pages is None else dict(pages))
        body: dict[str, Json] = {"items": plain(items)}
        if pages is not None:
            body = {"pages": plain(pages)}
        if concurrency:
            body["concurrency"] = concurrency
        if batch:
            body["batch"] = batch
        if tolerate:
            body["tolerate"] = dict(tolerate)
        if counted:
            body["results"] = "COUNT"
        node = MapNode(self, id, body, before, map_fields(options), self._outcomes(id, options))
        self.tasks[id] = node
        return node

    def holds(self, id: str) -> bool:
        """Return whether a node is part of this graph, so that its nodes can depend on it."""
        return True

    # Building -------------------------------------------------------------------------------

    @property
    def _given(self) -> Ref:
        return self.input

    def _task_type(self, id: str, run: TaskHandler | str) -> TaskType:
        if isinstance(run, str):
            return TaskType(run)
        task_type = task_type_of(run) or TaskType(f"{self.name}.{id}")
        known = self.handlers.setdefault(task_type.name, run)
        if known is not run:
            raise Invalid("GRAPH_DUPLICATE_NODE", f"task type {task_type.name!r} has two handlers")
        return task_type

    def _add_resource(self, task: WorkflowTask) -> str:
        known = self._resources.setdefault(task.name, task)
        if known.spec != task.spec:
            raise Invalid("GRAPH_DUPLICATE_NODE", f"task {task.name!r} is defined in two ways")
        return task.name

    def _add(self, id: str, task_ref: str, options: TaskOptions) -> TaskNode:
        before = self._before(id, options, options.get("input"))
        return self._add_node(id, task_ref, before, task_fields(options), options)

    def _add_node(
        self,
        id: str,
        task_ref: str,
        before: tuple[str, ...],
        fields: dict[str, Json],
        options: MapOptions,
    ) -> TaskNode:
        own = tuple(name for name in before if self.holds(name))
        outside = tuple(name for name in before if not self.holds(name))
        outcomes = self._outcomes(id, options)
        node = self.tasks[id] = TaskNode(id, task_ref, own, fields, outside, outcomes)
        return node

    def _outcomes(self, id: str, options: MapOptions) -> dict[str, str]:
        found = {n.id: n.outcome for n in options.get("depends_on", ()) if isinstance(n, After)}
        for name in found:
            if not self.holds(name):
                message = f"{id!r} cannot depend on an outcome of {name!r}: only {self.name} can"
                raise Invalid("GRAPH_UNKNOWN_NODE", message)
        return found

    def _add_kind(
        self, id: str, kind: str, fields: dict[str, Json], key: str, options: TaskOptions
    ) -> TaskNode:
        """Add a task of a kind that has its own field in resources."""
        node = self._add(id, "", options)
        if "input" in node.fields:
            fields[key] = node.fields.pop("input")
        node.fields[kind] = fields
        return node

    def _before(self, id: str, options: MapOptions, given: Json) -> tuple[str, ...]:
        """Return the dependencies of a new node: the given ones and those of its references."""
        if id in self.tasks:
            raise Invalid("GRAPH_DUPLICATE_NODE", f"workflow {self.name} has two tasks {id!r}")
        for name in options.keys() - OPTIONS:
            message = f"{id!r} of {self.name} has no option {name!r}; there are {_OPTIONS_SHOWN}"
            raise TypeError(message)
        names = [n if isinstance(n, str) else n.id for n in options.get("depends_on", ())]
        for ref in refs_in(given):
            if ref.item_of and ref.item_of != self.name:
                message = f"{id!r} of {self.name} cannot see the items of {ref.item_of}"
                raise Invalid("TEMPLATE_UNKNOWN_REFERENCE", message)
            names += [ref.node] if ref.node else []
        return tuple(dict.fromkeys(names))


class MapNode(Graph, _Node):
    """A map of a workflow; tasks are added to it as to the workflow."""

    def __init__(
        self,
        outer: Graph,
        id: str,
        body: dict[str, Json],
        before: tuple[str, ...],
        fields: dict[str, Json],
        outcomes: Mapping[str, str],
    ) -> None:
        super().__init__(f"{outer.name}.{id}", outer.handlers, outer._resources)
        self.id = id
        self._outer = outer
        self._body = body
        self._named = before
        self._fields = fields
        self._outcomes_of = outcomes

    @property
    def item(self) -> Ref:
        """A reference to the current item."""
        return Ref("item", item_of=self.name)

    @property
    def index(self) -> Ref:
        """A reference to the position of the item, from 0."""
        return Ref("index", item_of=self.name)

    @property
    def depends_on(self) -> tuple[str, ...]:
        return tuple(name for name in self._dependencies() if self._outer.holds(name))

    @property
    def outside(self) -> tuple[str, ...]:
        return tuple(name for name in self._dependencies() if not self._outer.holds(name))

    def holds(self, id: str) -> bool:
        return id in self.tasks

    def as_json(self) -> dict[str, Json]:
        tasks = [node.as_json() for node in self.tasks.values()]
        document: dict[str, Json] = {
            "id": self.id,
            "map": {**self._body, "tasks": tasks},
            **self._fields,
        }
        return document | _dependencies_json(self.depends_on, self._outcomes_of)

    @property
    def _given(self) -> Ref:
        return self.item

    def _dependencies(self) -> dict[str, None]:
        """Return its given dependencies and the outside nodes that its tasks read."""
        inner = (name for node in self.tasks.values() for name in node.outside)
        return dict.fromkeys((*self._named, *inner))


Builder = Callable[["Workflow"], Any]
"""A function that adds the tasks of a workflow and may return its output."""
_START_TIMES = frozenset({"delay", "debounce", "maxWait", "dedupWindow"})


class Workflow(Graph):
    """A workflow built in code; `client.register(flow)` compiles and registers it."""

    def __init__(
        self,
        name: str,
        *,
        input_schema: dict[str, Any] | None = None,
        output: Json = None,
        parallelism: int = 0,
        timeout: Duration | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, Json] | None = None,
        namespace: str | None = None,
        start: Mapping[str, Json] | None = None,
        variables: Mapping[str, Json] | None = None,
        brings: Sequence[WorkflowTask] = (),
        also: Mapping[str, Json] | None = None,
    ) -> None:
        """`start` is the start policy and `variables` the variables that can be changed during a
        run, both in the form of resources; times may be seconds. `brings` are reusable tasks that
        are registered with it. `also` holds further fields of the resource: limits, onFailure,
        compensation, triggers …
        """
        super().__init__(name, {}, {})
        for task in brings:
            self._add_resource(task)
        self.output = output
        self._input_schema = input_schema
        self._parallelism = parallelism
        self._timeout = timeout
        self._labels = labels
        self._annotations = annotations
        self._namespace = namespace
        self._start = dict(start or {})
        self._variables = dict(variables or {})
        self._also = dict(also or {})

    @property
    def id(self) -> str:
        return self.name

    def as_resources(self) -> list[dict[str, Json]]:
        """Return the workflow and its own tasks as native resources, tasks first."""
        spec: dict[str, Json] = {"tasks": [node.as_json() for node in self.tasks.values()]}
        if self._input_schema is not None:
            spec["inputSchema"] = self._input_schema
        if self.output is not None:
            spec["output"] = plain(self.output)
        if self._parallelism:
            spec["parallelism"] = self._parallelism
        if self._timeout is not None:
            spec["timeout"] = duration_text(self._timeout)
        if self._start:
            spec["start"] = {
                name: duration_text(value) if name in _START_TIMES else value
                for name, value in self._start.items()
            }
        if self._variables:
            spec["variables"] = self._variables
        spec |= plain(self._also)
        tasks = [each for task in self._resources.values() for each in task.as_resources()]
        more = (self._labels, self._annotations, self._namespace)
        return [*tasks, resource("Workflow", self.name, spec, *more)]

    def source(self) -> bytes:
        """Encode the resources as YAML documents, each of which is JSON."""
        return source_text(self.as_resources())


@overload
def workflow(name: Builder, /) -> Workflow: ...
@overload
def workflow(name: str = "", **options: Any) -> Callable[[Builder], Workflow]: ...
def workflow(name: str | Builder = "", **options: Any) -> Callable[[Builder], Workflow] | Workflow:
    """Return a decorator of a function that adds the tasks and may return the output.

    `@workflow` without parentheses, or without a name, gives it the name of the function.
    """
    if not isinstance(name, str):
        return workflow()(name)

    def build(function: Builder) -> Workflow:
        flow = Workflow(name or name_of(function), **options)
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


def _dependencies_json(names: Sequence[str], outcomes: Mapping[str, str]) -> dict[str, Json]:
    """Return the field `dependsOn`, or no field without dependencies."""
    dependencies = [{"task": n, "on": outcomes[n]} if n in outcomes else n for n in names]
    return {"dependsOn": dependencies} if dependencies else {}
