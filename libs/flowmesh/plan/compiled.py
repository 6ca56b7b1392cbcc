"""The compiled form of a plan: nodes by index, successors, templates as closures."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from flowmesh.api.common.v1 import journal_pb2, payload_pb2, priority_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.expressions import Template, compile_template
from flowmesh.plan.defaults import defaults_of, misfits, with_defaults, without
from flowmesh.plan.policies import Retry, limits_of, retry_of, start_policy_of
from flowmesh.plan.schemas import Schema
from flowmesh.schemas.sensitive import sensitive_paths
from flowmesh.tasktypes import TASK_TYPES, timeout_of

INPUT_ROOTS = frozenset({"input", "tasks", "context", "execution", "variables"})
ITEM_ROOTS = frozenset({"item", "index"})
PAGE_ROOTS = frozenset({"cursor"})
STATE_ROOTS = frozenset({"state", "error"})
UNDO_ROOTS = frozenset({"undo"})
"""Additional template roots in the body of a map, of a map by pages, of a state machine, and in a
node that undoes another.
"""

DEFAULT_QUEUE = "default"
_NO_FORM = Schema(b"")
_STARTING = (plan_pb2.NODE_KIND_CHILD, plan_pb2.NODE_KIND_CONTINUE)


@dataclass(frozen=True, slots=True)
class EdgeRule:
    """The condition of an edge. An edge without a rule is taken after its source completes."""

    label: str
    on_failure: bool


@dataclass(frozen=True, slots=True)
class Follow:
    """The successors of a node of a state machine, by index; None ends the machine."""

    next: int | None
    catches: tuple[tuple[frozenset[str], int | None, bool], ...]
    chooses: bool
    keeps: bool

    def caught(self, failure_class: str) -> tuple[bool, int | None, bool]:
        """Return whether a failure class is caught, the next node, and whether the machine still
        fails with it at its end.
        """
        for classes, place, defers in self.catches:
            if failure_class in classes or "*" in classes:
                return True, place, defers
        return False, None, False


class PlanNode:
    """A compiled node.

    `body` is the graph of a map, which runs `concurrency` items at once, of a group, or of a state
    machine, which begins at `start`. `rules` are those of the incoming edges by index of their
    source. The failure of an `excused` node is the condition of an edge and fails nothing else.
    `required` are the sources that a join needs in any case. `undo` is the node that undoes this
    one, with the same id and a suffix; its `undoes` refers back. A node that `waits` starts an
    execution, or waits for a signal with a key or a timeout (`engine.children`). `names` is the
    template of the names of its child, `first_priority` the priority of its first node. `sensitive`
    and `sensitive_input` are the pointers to the masked members of its output and input.
    """

    __slots__ = (
        "approval",
        "batch",
        "body",
        "child",
        "concurrency",
        "counted",
        "critical",
        "delay_us",
        "dependencies",
        "excused",
        "fallback",
        "first_priority",
        "follow",
        "form",
        "gate",
        "given",
        "heartbeat_timeout_ms",
        "id",
        "index",
        "input",
        "input_mode",
        "is_task",
        "join",
        "join_count",
        "kind",
        "lane",
        "limits",
        "name",
        "names",
        "next_path",
        "on_failure",
        "on_timeout",
        "pages_max",
        "permissions",
        "priority",
        "queue",
        "race",
        "receiver",
        "repeatable",
        "required",
        "requires",
        "retry",
        "rules",
        "sensitive",
        "sensitive_input",
        "signal",
        "single",
        "spec",
        "start",
        "start_timeout_us",
        "steps_max",
        "successors",
        "timeout_ms",
        "tolerated",
        "tolerated_share",
        "total_timeout_us",
        "undo",
        "undoes",
        "waits",
    )

    def __init__(
        self,
        index: int,
        message: plan_pb2.PlanNode,
        spec: plan_pb2.TaskSpec | None,
        template: Template | None,
        retry: Retry,
    ) -> None:
        self.index = index
        self.id = message.id
        self.name = message.name or message.id
        self.kind = message.kind
        self.is_task = message.kind == plan_pb2.NODE_KIND_TASK
        self.spec = spec
        self.sensitive = sensitive_paths(spec.output_schema) if spec is not None else ()
        self.sensitive_input = sensitive_paths(spec.input_schema) if spec is not None else ()
        self.dependencies: tuple[int, ...] = tuple(message.dependencies)
        self.successors: list[PlanNode] = []
        self.input_mode = message.input_mode
        self.input = template
        self.retry = retry
        self.critical = message.critical
        self.priority = message.priority or priority_pb2.PRIORITY_NORMAL
        self.first_priority: int = self.priority
        self.queue = message.queue or DEFAULT_QUEUE
        self.lane = 0
        self.timeout_ms = message.timeout_ms
        self.heartbeat_timeout_ms = message.heartbeat_timeout_ms
        self.gate = message.gate
        self.repeatable = message.repeatable or _is_repeatable(spec)
        self.delay_us = message.delay_ms * 1000
        self.body: Graph | None = None
        mapped, group, states = message.map, message.group, message.states
        self.concurrency = max(mapped.concurrency, 1)
        self.race = group.race
        self.single = group.single
        self.start, self.steps_max = states.start, states.steps_max
        self.signal = message.signal
        self.receiver = message.receiver if message.HasField("receiver") else None
        self.join = message.join
        self.join_count = max(message.join_count, 1)
        self.required = frozenset(self.dependencies[i] for i in message.join_required)
        self.excused = False
        self.on_failure = message.on_failure
        self.fallback = message.fallback
        self.total_timeout_us = message.total_timeout_ms * 1000
        self.start_timeout_us = message.start_timeout_ms * 1000
        self.tolerated = mapped.tolerated_failures
        self.tolerated_share = mapped.tolerated_share
        self.batch = mapped.batch
        self.pages_max = mapped.pages_max
        self.next_path = tuple(mapped.next_path)
        self.counted = mapped.counted
        self.approval = message.approval if message.HasField("approval") else None
        self.form = _NO_FORM if self.approval is None else Schema(self.approval.form)
        self.undo: PlanNode | None = None
        self.undoes: PlanNode | None = None
        self.rules: dict[int, list[EdgeRule]] = {}
        for rule in message.edges:
            source = self.dependencies[rule.dependency]
            self.rules.setdefault(source, []).append(EdgeRule(rule.label, rule.on_failure))
        self.follow = _follow(message.follow) if message.HasField("follow") else None
        self.given: payload_pb2.Payload | None = None
        self.limits = limits_of(message.limits) if message.HasField("limits") else None
        self.requires = ",".join(message.requires)
        self.permissions: tuple[str, ...] = tuple(message.permissions)
        self.child = message.child if message.HasField("child") else None
        self.names: Template | None = None
        self.on_timeout = message.on_timeout
        self.waits = _waits(message, has_input=template is not None)


def _is_repeatable(spec: plan_pb2.TaskSpec | None) -> bool:
    built_in = TASK_TYPES.get(spec.task_type) if spec is not None else None
    return built_in is not None and built_in.is_repeatable


def _waits(message: plan_pb2.PlanNode, *, has_input: bool) -> bool:
    return (
        message.kind in _STARTING
        or (message.kind == plan_pb2.NODE_KIND_NOOP and has_input)
        or bool(message.signal and (has_input or message.timeout_ms))
    )


def _follow(message: plan_pb2.Follow) -> Follow:
    return Follow(
        next=message.next - 1 if message.next else None,
        catches=tuple(
            (frozenset(each.classes), each.next - 1 if each.next else None, each.defers)
            for each in message.catches
        ),
        chooses=message.chooses,
        keeps=message.keeps,
    )


class Graph:
    """The nodes of a plan or of a body.

    `undos` are the nodes that undo one of them, with the indices after `nodes`.
    """

    __slots__ = ("_depths", "by_id", "leaves", "nodes", "roots", "undos")

    def __init__(self, nodes: list[PlanNode]) -> None:
        self._depths: list[int] | None = None
        self.nodes = nodes
        self.undos = [node.undo for node in nodes if node.undo is not None]
        self.by_id = {node.id: node for node in (*nodes, *self.undos)}
        self.roots = tuple(node for node in nodes if not node.dependencies)
        self.leaves = tuple(node for node in nodes if not node.successors)

    def depth(self, index: int) -> int:
        """Return the number of nodes after a node on the longest path; 0 for an undo node."""
        if self._depths is None:
            depths = [0] * len(self.nodes)
            left = [len(node.successors) for node in self.nodes]
            ends = [node.index for node in self.leaves]
            while ends:
                ended = ends.pop()
                for before in self.nodes[ended].dependencies:
                    depths[before] = max(depths[before], depths[ended] + 1)
                    left[before] -= 1
                    if not left[before]:
                        ends.append(before)
            self._depths = depths
        return self._depths[index] if index < len(self._depths) else 0

    def node(self, index: int) -> PlanNode:
        """Return a node or an undo node by its index."""
        count = len(self.nodes)
        return self.nodes[index] if index < count else self.undos[index - count]

    def at(self, node_id: str) -> PlanNode:
        """Return the planned node of an id in a history: `a` of `map[7]/a`.

        For a task called by a handler only the type is known.
        """
        first, *further = node_id.split("/")
        node = self.by_id[first.partition("[")[0]]
        for part in further:
            name = part.partition("[")[0]
            if node.body is None:
                node = single_task(node, name, journal_pb2.JournalCall()).nodes[0]
            else:
                node = node.body.by_id[name]
        return node

    def all_nodes(self) -> Iterator[PlanNode]:
        """Yield the nodes, their undo nodes and those of all bodies."""
        for node in self.nodes:
            yield node
            if node.undo is not None:
                yield node.undo
            if node.body is not None:
                yield from node.body.all_nodes()


@dataclass(frozen=True, slots=True)
class SearchAttribute:
    """A search attribute; `template` is None if only a command sets it."""

    name: str
    type: int
    template: Template | None


class Plan(Graph):
    """A compiled plan. `message` is the stored plan, `body` its bytes.

    `lanes` are the pairs of queue and priority of its tasks, indexed by `PlanNode.lane`.
    `variables` are initial values by name, `variable_schemas` their schemas.
    With `prioritizes` ready tasks get the slots of `parallelism` by priority.
    With `marks_outputs` outputs of nodes have sensitive members.
    `start_shared` is true if starts with the same key affect one another.
    """

    __slots__ = (
        "body",
        "callbacks",
        "compensation",
        "digest",
        "input_defaults",
        "input_schema",
        "lanes",
        "limits",
        "marks_outputs",
        "message",
        "name",
        "namespace",
        "on_failure",
        "output",
        "output_schema",
        "parallelism",
        "prioritizes",
        "repeatable",
        "search",
        "start",
        "start_shared",
        "timeout_us",
        "variable_schemas",
        "variables",
        "version",
        "workflow_id",
    )

    def __init__(
        self,
        message: plan_pb2.Plan,
        nodes: list[PlanNode],
        output: Template | None,
        search: tuple[SearchAttribute, ...] = (),
    ) -> None:
        super().__init__(nodes)
        self.message = message
        self.body = message.SerializeToString(deterministic=True)
        self.digest = message.digest
        self.namespace = message.namespace
        self.workflow_id = message.workflow_id
        self.name = message.name or message.workflow_id
        self.version = message.version
        self.lanes = _assign_lanes(self.all_nodes())
        self.marks_outputs = any(node.sensitive for node in self.all_nodes())
        self.repeatable = any(node.repeatable for node in self.all_nodes())
        self.output = output
        self.input_schema = Schema(message.input_schema)
        self.input_defaults = defaults_of(message.input_schema)
        for path, _ in list(misfits(self.input_defaults, self.input_schema.problems)):
            self.input_defaults = without(self.input_defaults, path)
        self.output_schema = Schema(message.output_schema)
        self.parallelism = message.parallelism
        self.prioritizes = self.parallelism > 0 and len({each for _, each in self.lanes}) > 1
        self.timeout_us = message.timeout_ms * 1000
        self.callbacks = message.callbacks if message.HasField("callbacks") else None
        self.on_failure = message.on_failure
        self.compensation = message.compensation
        self.limits = limits_of(message.limits) if message.HasField("limits") else None
        self.start = start_policy_of(message.start) if message.HasField("start") else None
        of = message.start
        self.start_shared = bool(of.concurrency or of.debounce_ms or of.dedup_window_ms)
        self.search = search
        self.variables = {
            each.name: msgspec.json.decode(each.initial) for each in message.variables
        }
        self.variable_schemas = {each.name: Schema(each.schema) for each in message.variables}

    def whole_input(self, given: Any) -> Any:
        """Return an input with the defaults of the input schema for absent members."""
        return with_defaults(given, self.input_defaults)


def _search_attribute(message: plan_pb2.SearchAttribute) -> SearchAttribute:
    template = None
    if message.template:
        template = compile_template(orjson.loads(message.template), INPUT_ROOTS)
    return SearchAttribute(message.name, message.type, template)


def _first_priority(node: PlanNode, body: Graph) -> int:
    """Return the highest priority of the first nodes of a container."""
    machine = node.kind == plan_pb2.NODE_KIND_STATES
    first = body.nodes[node.start : node.start + 1] if machine else body.roots
    return max((each.first_priority for each in first), default=node.priority)


def _assign_lanes(nodes: Iterable[PlanNode]) -> tuple[tuple[str, int], ...]:
    lanes: dict[tuple[str, int], int] = {}
    for node in nodes:
        if node.is_task:
            node.lane = lanes.setdefault((node.queue, node.priority), len(lanes))
    return tuple(lanes)


def compile_plan(message: plan_pb2.Plan) -> Plan:
    """Compile a plan of the definition service, which has checked its templates."""
    nodes = _Compiler(message).nodes(message.nodes, INPUT_ROOTS)
    output = None
    if message.output_template:
        output = compile_template(orjson.loads(message.output_template), INPUT_ROOTS)
    return Plan(message, nodes, output, tuple(map(_search_attribute, message.search)))


class _Compiler:
    """A compiler of the graphs of one plan; equal templates and policies are shared."""

    def __init__(self, message: plan_pb2.Plan) -> None:
        self._specs = message.specs
        self._templates: dict[tuple[bytes, frozenset[str]], Template] = {}
        self._retries: dict[tuple[bytes, str], Retry] = {}

    def nodes(self, messages: Sequence[plan_pb2.PlanNode], roots: frozenset[str]) -> list[PlanNode]:
        nodes = [self._node(index, each, roots) for index, each in enumerate(messages)]
        for node in nodes:
            for dependency in node.dependencies:
                nodes[dependency].successors.append(node)
            for source, rules in node.rules.items():
                nodes[source].excused |= any(rule.on_failure for rule in rules)
        self._add_undos(messages, nodes, roots)
        return nodes

    def _add_undos(
        self, messages: Sequence[plan_pb2.PlanNode], nodes: list[PlanNode], roots: frozenset[str]
    ) -> None:
        index = len(nodes)
        for message, node in zip(messages, nodes, strict=True):
            if message.HasField("undo"):
                node.undo = self._node(index, message.undo, roots | UNDO_ROOTS)
                node.undo.undoes = node
                index += 1

    def _node(self, index: int, message: plan_pb2.PlanNode, roots: frozenset[str]) -> PlanNode:
        spec = self._specs[message.spec] if message.kind == plan_pb2.NODE_KIND_TASK else None
        task_type = "" if spec is None else spec.task_type
        policy = message.retry.SerializeToString(deterministic=True), task_type
        retry = self._retries.get(policy)
        if retry is None:
            retry = self._retries[policy] = retry_of(message.retry, task_type)
        node = PlanNode(index, message, spec, self._template(message.input_template, roots), retry)
        node.names = self._template(message.child.names_template, roots)
        match message.kind:
            case plan_pb2.NODE_KIND_MAP:
                inside = PAGE_ROOTS if message.map.pages_max else ITEM_ROOTS
                node.body = Graph(self.nodes(message.map.nodes, roots | inside))
            case plan_pb2.NODE_KIND_GROUP:
                node.body = Graph(self.nodes(message.group.nodes, roots))
            case plan_pb2.NODE_KIND_STATES:
                node.body = Graph(self.nodes(message.states.nodes, roots | STATE_ROOTS))
        if node.body is not None:
            node.first_priority = _first_priority(node, node.body)
        return node

    def _template(self, source: bytes, roots: frozenset[str]) -> Template | None:
        if not source:
            return None
        template = self._templates.get((source, roots))
        if template is None:
            template = compile_template(orjson.loads(source), roots)
            self._templates[source, roots] = template
        return template


def single_task(around: PlanNode, task_type: str, call: journal_pb2.JournalCall) -> Graph:
    """Return the graph of a task called by the durable handler of node `around`."""
    spec = plan_pb2.TaskSpec(task_type=task_type, config=call.config)
    spec.digest = hashlib.sha256(spec.SerializeToString(deterministic=True)).hexdigest()
    message = plan_pb2.PlanNode(
        id=task_type,
        kind=plan_pb2.NODE_KIND_TASK,
        critical=True,
        retry=call.retry,
        priority=around.priority,
        queue=around.queue,
        timeout_ms=call.timeout_ms or timeout_of(task_type),
    )
    node = PlanNode(0, message, spec, None, retry_of(message.retry, task_type))
    node.lane = around.lane
    node.given = call.input
    return Graph([node])
