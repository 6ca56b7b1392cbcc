"""Compiles a checked workflow and its tasks into the plan that executions run.

The planner decides the kind of each node (a task, a timer, a body of nodes, nothing), its input,
and the source of its limits. It checks nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from flowmesh.api.common.v1 import failure_pb2, priority_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.definitions.builtins import (
    DELAY,
    NO_UNDO,
    NOOP,
    NOT_FOR_UNDO,
    RECEIVE,
    SIGNAL,
    built_in,
)
from flowmesh.definitions.canonical import json_bytes, schema_bytes
from flowmesh.definitions.formats.native.links import version_of
from flowmesh.definitions.graph import levels
from flowmesh.definitions.model import (
    APPROVAL,
    NATIVE_RETRY,
    NO_RETRY,
    Body,
    Dialect,
    Follow,
    GroupBody,
    Join,
    MapBody,
    Node,
    OnFailure,
    Outcome,
    Priority,
    Retry,
    StatesBody,
    Task,
    Workflow,
)
from flowmesh.definitions.planning.specs import (
    DIALECTS,
    delay_of,
    digest_of,
    inputs_of,
    spec_of,
    timeout_ms,
)
from flowmesh.definitions.planning.workflow_settings import planned_limits, set_workflow_settings
from flowmesh.definitions.receivers import set_signal
from flowmesh.definitions.references import (
    condition_roots_of,
    decides,
    names_of,
    roots_in,
    tasks_in_condition,
    under_input,
)
from flowmesh.definitions.scopes import GATE_SUFFIX, Scope
from flowmesh.errors import Invalid, NotFound
from flowmesh.tasktypes.builtin.conditions import CONDITION

Resolve = Callable[[str], Task | None]
_PRIORITIES = {
    Priority.LOW: priority_pb2.PRIORITY_LOW,
    Priority.NORMAL: priority_pb2.PRIORITY_NORMAL,
    Priority.HIGH: priority_pb2.PRIORITY_HIGH,
    Priority.CRITICAL: priority_pb2.PRIORITY_CRITICAL,
}
_ON_CANCEL = {
    "CANCEL": plan_pb2.ON_CANCEL_CANCEL,
    "TERMINATE": plan_pb2.ON_CANCEL_TERMINATE,
    "ABANDON": plan_pb2.ON_CANCEL_ABANDON,
}
# Default retried classes of a node that starts a workflow.
_OF_CHILDREN = ("ChildFailed", "Timeout")
_JOINS = {
    Join.STRICT: plan_pb2.JOIN_UNSPECIFIED,
    Join.ALL: plan_pb2.JOIN_ALL,
    Join.ANY: plan_pb2.JOIN_ANY,
}
_ON_FAILURE = {
    OnFailure.FAIL: plan_pb2.NODE_FAILURE_POLICY_UNSPECIFIED,
    OnFailure.CONTINUE: plan_pb2.NODE_FAILURE_POLICY_CONTINUE,
    OnFailure.HOLD: plan_pb2.NODE_FAILURE_POLICY_HOLD,
    OnFailure.COMPENSATE: plan_pb2.NODE_FAILURE_POLICY_COMPENSATE,
}
_DEFAULT_OUTCOME = Outcome()
_DEADLINES = {
    "FAIL": plan_pb2.DEADLINE_UNSPECIFIED,
    "APPROVE": plan_pb2.DEADLINE_APPROVE,
    "REJECT": plan_pb2.DEADLINE_REJECT,
}


def plan_workflow(
    workflow: Workflow, resolve: Resolve, *, namespace: str, version: int, version_digest: str
) -> plan_pb2.Plan:
    """Return the plan; equal arguments give equal bytes.

    Raises NotFound TASK_NOT_FOUND if a referenced task does not exist anymore.
    """
    scope = Scope(workflow.nodes)
    plan = plan_pb2.Plan(
        namespace=namespace,
        workflow_id=workflow.id,
        name=workflow.name,
        version=version,
        version_digest=version_digest,
        dialect=DIALECTS[workflow.dialect],
        parallelism=workflow.parallelism,
        input_schema=schema_bytes(workflow.input_schema),
        output_schema=schema_bytes(workflow.output_schema),
        output_template=_output_template(workflow, scope),
        timeout_ms=workflow.timeout_ms,
    )
    set_workflow_settings(plan, workflow)
    _Planner(workflow, resolve, plan).add_nodes(scope, plan.nodes)
    plan.digest = digest_of(plan)
    return plan


def _output_template(workflow: Workflow, scope: Scope) -> bytes:
    """Return the output template: the workflow's, or that of the only leaf if a schema judges
    it.
    """
    if workflow.has_output:
        return json_bytes(workflow.output)
    judged = schema_bytes(workflow.output_schema) and scope.leaf_output
    return json_bytes(judged) if judged else b""


def task_of_node(node: Node, resolve: Resolve) -> Task | None:
    """Return the task of a node: its own, a built-in, or one of the library."""
    return node.task or built_in(node.task_ref) or resolve(node.task_ref)


class _Nodes(Protocol):
    """The repeated field of a message for the nodes of one graph."""

    def add(self, **fields: object) -> plan_pb2.PlanNode: ...

    def __getitem__(self, index: int, /) -> plan_pb2.PlanNode: ...

    def __len__(self) -> int: ...


class _Planner:
    """Builder of the nodes and specs of one plan."""

    def __init__(self, workflow: Workflow, resolve: Resolve, plan: plan_pb2.Plan) -> None:
        self._workflow = workflow
        self._resolve = resolve
        self._plan = plan
        self._specs: dict[str, int] = {}
        self._tasks: dict[str, Task] = {}

    def add_nodes(self, scope: Scope, nodes: _Nodes) -> None:
        """Add the nodes of one graph to a repeated field."""
        graph = scope.graph
        positions = _positions(scope.nodes)
        places = {name: index for index, name in enumerate(graph.ids)}
        for index, node in enumerate(scope.nodes):
            before = [positions[dependency] for dependency in graph.dependencies[index]]
            if node.condition:
                self._add_gate(node, scope, nodes, before)
                before = [len(nodes) - 1]
            planned = self._add_node(node, scope, nodes, before)
            first = nodes[len(nodes) - 2] if node.condition else planned
            first.join = _JOINS[node.join]
            first.join_count = node.join_count if node.join_count > 1 else 0
            first.join_required.extend(
                graph.dependencies[index].index(places[name]) for name in node.join_required
            )
            for edge in node.edges:
                if not (edge.label or edge.on_failure):
                    continue  # only a dependency
                first.edges.add(
                    dependency=graph.dependencies[index].index(places[edge.source]),
                    label=edge.label,
                    on_failure=edge.on_failure,
                )
            if node.follow is not None:
                _set_follow(planned, node.follow, places)
        if sum(map(len, levels(graph))) != len(graph.ids):
            raise ValueError(f"the graph of {self._workflow.id} has a circle; it was not checked")

    def _task(self, node: Node) -> Task:
        if node.task is not None:
            return node.task
        task = self._tasks.get(node.task_ref)
        if task is None:
            task = task_of_node(node, self._resolve)
            if task is None:
                message = f"task {node.task_ref!r} of {self._workflow.id} is not in the library"
                raise NotFound("TASK_NOT_FOUND", message)
            self._tasks[node.task_ref] = task
        return task

    def _add_node(
        self, node: Node, scope: Scope, nodes: _Nodes, before: list[int]
    ) -> plan_pb2.PlanNode:
        planned = _planned(node, nodes, before)
        self._set_outcome(planned, node, scope)
        if node.body is not None:
            self._set_body(planned, node, node.body, scope.bodies[node.path])
            return planned
        self._set_work(planned, node, self._task(node), scope)
        return planned

    def _set_work(self, planned: plan_pb2.PlanNode, node: Node, task: Task, scope: Scope) -> None:
        planned.queue = node.queue or task.queue
        if task.executor == NOOP:
            planned.kind = plan_pb2.NODE_KIND_NOOP
            planned.input_mode = plan_pb2.INPUT_MODE_NONE
            if node.has_input:
                planned.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
                planned.input_template = json_bytes(node.input)
        elif task.executor == DELAY:
            self._as_timer(planned, node, task)
        elif task.executor in ("subworkflow", "continueAsNew"):
            _as_link(planned, node, task)
        elif task.executor in (SIGNAL, RECEIVE):
            set_signal(planned, node, task)
            _set_wait(planned, node, task)
        elif task.executor == APPROVAL:
            _set_approval(planned, node, task)
        elif decides(node):
            self._as_task(planned, *_decision(node, task, scope), scope)
        else:
            self._as_task(planned, node, task, scope)

    def _set_outcome(self, planned: plan_pb2.PlanNode, node: Node, scope: Scope) -> None:
        outcome = node.outcome
        if outcome == _DEFAULT_OUTCOME:
            return
        planned.on_failure = _ON_FAILURE[outcome.on_failure]
        planned.total_timeout_ms = outcome.total_timeout_ms
        planned.start_timeout_ms = outcome.start_timeout_ms
        if outcome.fallback is not None:
            planned.fallback = json_bytes(outcome.fallback)
        undo = outcome.undo
        if undo is not None:
            task = self._task(undo)
            if task.executor in NOT_FOR_UNDO:
                # The task was another one when the workflow was registered.
                message = f"{undo.id}: {NO_UNDO}, and {undo.task_ref} is a {task.executor}"
                raise Invalid("DEFINITION_INVALID", message)
            planned.undo.id, planned.undo.name = undo.id, undo.name
            planned.undo.critical = True
            self._set_work(planned.undo, undo, task, scope)

    def _set_body(self, planned: plan_pb2.PlanNode, node: Node, body: Body, inner: Scope) -> None:
        planned.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
        match body:
            case MapBody():
                planned.kind = plan_pb2.NODE_KIND_MAP
                if body.pages_max:
                    planned.input_mode = plan_pb2.INPUT_MODE_NONE
                else:
                    planned.input_template = json_bytes(node.input)
                planned.map.concurrency = body.concurrency
                planned.map.pages_max, planned.map.counted = body.pages_max, body.counted
                planned.map.next_path.extend(body.next_path)
                planned.map.tolerated_failures = body.tolerated
                planned.map.tolerated_share = body.tolerated_share
                planned.map.batch = body.batch
                self.add_nodes(inner, planned.map.nodes)
            case GroupBody():
                planned.kind = plan_pb2.NODE_KIND_GROUP
                planned.input_mode = plan_pb2.INPUT_MODE_NONE
                planned.group.race, planned.group.single = body.race, body.single
                self.add_nodes(inner, planned.group.nodes)
            case StatesBody():
                planned.kind = plan_pb2.NODE_KIND_STATES
                planned.input_template = json_bytes(node.input)
                planned.states.start = inner.graph.ids.index(body.start)
                planned.states.steps_max = body.steps_max
                self.add_nodes(inner, planned.states.nodes)

    def _as_timer(self, planned: plan_pb2.PlanNode, node: Node, task: Task) -> None:
        planned.kind = plan_pb2.NODE_KIND_TIMER
        planned.delay_ms, template = delay_of(node, task)
        planned.input_mode = plan_pb2.INPUT_MODE_NONE
        if template:
            planned.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
            planned.input_template = template

    def _as_task(self, planned: plan_pb2.PlanNode, node: Node, task: Task, scope: Scope) -> None:
        planned.kind = plan_pb2.NODE_KIND_TASK
        planned.spec = self._spec(spec_of(node, task, scope.visible))
        inputs = inputs_of(node, task)
        planned.input_mode = inputs.mode
        planned.input_template = inputs.template
        planned.timeout_ms = timeout_ms(node, task)
        planned.heartbeat_timeout_ms = node.heartbeat_ms
        planned.gate = task.executor == CONDITION.name
        planned.requires.extend(f"{name}={value}" for name, value in sorted(node.requires.items()))
        planned.permissions.extend(sorted({*node.permissions, *task.permissions}))
        planned.repeatable = node.repeatable
        if node.limits is not None:
            planned.limits.CopyFrom(planned_limits(node.limits))
        # A task written into a node of a foreign format runs once by default.
        foreign = node.task is not None and self._workflow.dialect is not Dialect.NATIVE
        default = NO_RETRY if foreign else NATIVE_RETRY
        retry = node.retry or task.retry or default
        _set_retry(planned, retry)

    def _spec(self, spec: plan_pb2.TaskSpec) -> int:
        index = self._specs.get(spec.digest)
        if index is None:
            index = self._specs[spec.digest] = len(self._plan.specs)
            self._plan.specs.append(spec)
        return index

    def _add_gate(self, node: Node, scope: Scope, nodes: _Nodes, before: list[int]) -> None:
        """Add a node that evaluates the condition over the values it may read."""
        roots = condition_roots_of(node)
        read, given = _given([node.condition], node, scope)
        gate = Node(
            id=node.id + GATE_SUFFIX,
            name=f"condition of {node.name}",
            path=node.path,
            input=given,
            has_input=True,
            critical=node.critical,
            priority=node.priority,
            queue=node.queue,
            bound=node.bound,
        )
        config = {
            "expression": under_input(node.condition, roots),
            "language": "cel",
            "steps": read,
        }
        task = Task(CONDITION.name, CONDITION.name, config, Dialect.NATIVE)
        self._as_task(_planned(gate, nodes, before), gate, task, scope)


def _decision(node: Node, task: Task, scope: Scope) -> tuple[Node, Task]:
    """Return a native decision with an input that holds everything its conditions read."""
    roots = condition_roots_of(node)
    conditions = task.config["conditions"]
    read, given = _given([one["expression"] for one in conditions], node, scope)
    moved = [{**one, "expression": under_input(one["expression"], roots)} for one in conditions]
    config = {**task.config, "conditions": moved, "steps": read}
    return replace(node, input=given, has_input=True), replace(task, config=config)


def _given(conditions: Sequence[str], node: Node, scope: Scope) -> tuple[list[str], Json]:
    """Return the tasks that conditions read, and a template of everything they read."""
    roots = condition_roots_of(node)
    read = dict.fromkeys(
        name for source in conditions for name in tasks_in_condition(source, scope.visible)
    )
    needed: Iterable[str] = roots
    if node.bound:
        # Only used values in a body, because they are passed for each run of it.
        needed = dict.fromkeys(root for source in conditions for root in roots_in(source, roots))
    given: dict[str, Json] = {root: f"{{{{{root}}}}}" for root in needed}
    if "tasks" in given:
        given["tasks"] = {name: {"output": f'{{{{tasks["{name}"].output}}}}'} for name in read}
    return list(read), given


def _set_approval(planned: plan_pb2.PlanNode, node: Node, task: Task) -> None:
    planned.kind = plan_pb2.NODE_KIND_APPROVAL
    planned.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
    planned.input_template = json_bytes(node.input)
    planned.approval.needed = task.config["needed"]
    planned.approval.form = schema_bytes(task.config["form"])
    planned.approval.deadline_ms = task.config["deadline_ms"]
    planned.approval.on_deadline = _DEADLINES[task.config["on_deadline"]]
    planned.approval.goes_on_rejected = task.config["on_reject"] == "CONTINUE"


def _planned(node: Node, nodes: _Nodes, before: list[int]) -> plan_pb2.PlanNode:
    return nodes.add(
        id=node.id,
        name=node.name,
        dependencies=before,
        critical=node.critical,
        priority=_PRIORITIES[node.priority],
        queue=node.queue,
    )


def _set_retry(planned: plan_pb2.PlanNode, retry: Retry) -> None:
    planned.retry.CopyFrom(
        failure_pb2.RetryPolicy(
            max_attempts=retry.max_attempts,
            initial_delay_ms=retry.initial_delay_ms,
            multiplier=retry.multiplier,
            max_delay_ms=retry.max_delay_ms,
            jitter=retry.jitter,
            retry_on=retry.retry_on,
            never_on=retry.never_on,
            max_elapsed_ms=retry.max_elapsed_ms,
        )
    )


def _set_wait(planned: plan_pb2.PlanNode, node: Node, task: Task) -> None:
    """Set the timeout and the key of a node that waits for a signal."""
    planned.timeout_ms = node.timeout_ms
    if "onTimeout" in task.config:
        planned.on_timeout = json_bytes(task.config["onTimeout"])
    if node.task is not None and node.has_input:
        planned.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
        planned.input_template = json_bytes(node.input)


def _as_link(planned: plan_pb2.PlanNode, node: Node, task: Task) -> None:
    """Set up a node that starts another workflow, or continues as a new execution."""
    planned.timeout_ms = node.timeout_ms
    planned.input_mode = plan_pb2.INPUT_MODE_TEMPLATE
    planned.input_template = json_bytes(node.input)
    number, label = version_of(task.config)
    if task.executor == "continueAsNew":
        planned.kind = plan_pb2.NODE_KIND_CONTINUE
        if task.config["version"] is None:
            return
    else:
        planned.kind = plan_pb2.NODE_KIND_CHILD
        names = names_of(node)
        if names:
            planned.child.names_template = json_bytes(names)
        if "workflow" not in names:
            planned.child.workflow_id = task.config["workflow"]
        planned.child.detached = not task.config["wait"]
        planned.child.on_cancel = _ON_CANCEL[task.config["onCancel"]]
        planned.child.project = task.config.get("project", "")
        planned.child.credential = task.config.get("credential", "")
        retry = node.retry or NO_RETRY
        _set_retry(planned, retry if retry.retry_on else replace(retry, retry_on=_OF_CHILDREN))
    planned.child.version, planned.child.version_label = number, label
    planned.child.SetInParent()


def _set_follow(planned: plan_pb2.PlanNode, follow: Follow, places: Mapping[str, int]) -> None:
    def place(name: str) -> int:
        return places[name] + 1 if name else 0

    planned.follow.next = place(follow.next)
    planned.follow.chooses = follow.chooses
    planned.follow.keeps = follow.keeps
    for catch in follow.catches:
        planned.follow.catches.add(
            classes=catch.classes, next=place(catch.next), defers=catch.defers
        )


def _positions(nodes: Sequence[Node]) -> list[int]:
    """Return the plan index of each node; a gate stands before the node it guards."""
    positions = []
    gates = 0
    for index, node in enumerate(nodes):
        gates += bool(node.condition)
        positions.append(index + gates)
    return positions
