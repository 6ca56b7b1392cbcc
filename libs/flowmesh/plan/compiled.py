"""The compiled form of a plan: nodes by index, successors, templates as closures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from flowmesh.api.common.v1 import priority_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.expressions import Template, compile_template

INPUT_ROOTS = frozenset({"input", "tasks", "context", "execution"})
ITEM_ROOTS = frozenset({"item", "index"})
STATE_ROOTS = frozenset({"state", "error"})
"""What templates in the body of a map, and of a state machine, may refer to besides."""

DEFAULT_QUEUE = "default"
RETRIED_BY_DEFAULT = frozenset({"Timeout", "NetworkError", "RateLimitError", "ServerError"})
VIOLATIONS_MAX = 20
NEVER_RETRIED = frozenset({"Cancelled", "POISON"})


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed attempt is followed by another. Delays in microseconds."""

    max_attempts: int
    initial_delay_us: int
    multiplier: float
    max_delay_us: int
    jitter: float
    classes: frozenset[str]

    def allows(self, failure_class: str) -> bool:
        """Whether a failure of this class may be followed by another attempt at all."""
        if failure_class in NEVER_RETRIED:
            return False
        return "*" in self.classes or failure_class in self.classes

    def delay_us(self, attempt: int, draw: float) -> int:
        """Delay after the failed `attempt` (1-based); `draw` in [0, 1) decides the jitter."""
        delay = float(self.initial_delay_us)
        if self.multiplier > 1 and attempt > 1:
            delay *= self.multiplier ** min(attempt - 1, 64)
        if self.max_delay_us:
            delay = min(delay, float(self.max_delay_us))
        return int(delay * (1 - self.jitter * draw))


@dataclass(frozen=True, slots=True)
class EdgeRule:
    """When an edge is taken; one without a rule is taken when its source has completed."""

    label: str
    on_failure: bool


@dataclass(frozen=True, slots=True)
class Follow:
    """What follows a node of a state machine, by index in its body; None ends the machine."""

    next: int | None
    catches: tuple[tuple[frozenset[str], int | None], ...]
    chooses: bool
    keeps: bool

    def caught(self, failure_class: str) -> tuple[bool, int | None]:
        """Whether a failure of this class is caught, and where it goes on."""
        for classes, place in self.catches:
            if failure_class in classes or "*" in classes:
                return True, place
        return False, None


class PlanNode:
    """One node with everything about it that running needs.

    `body` is the graph of a map, of which `concurrency` items run at once, of a group or of a state
    machine, which begins at `start`. `rules` are those of the edges to it, by the index of their
    source; `excused` says that its failure is an edge's condition and fails nothing else.
    """

    __slots__ = (
        "body",
        "concurrency",
        "critical",
        "delay_us",
        "dependencies",
        "excused",
        "follow",
        "gate",
        "heartbeat_timeout_ms",
        "id",
        "index",
        "input",
        "input_mode",
        "is_task",
        "join",
        "kind",
        "lane",
        "name",
        "priority",
        "queue",
        "race",
        "retry",
        "rules",
        "signal",
        "single",
        "spec",
        "start",
        "steps_max",
        "successors",
        "timeout_ms",
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
        self.dependencies: tuple[int, ...] = tuple(message.dependencies)
        self.successors: list[PlanNode] = []
        self.input_mode = message.input_mode
        self.input = template
        self.retry = retry
        self.critical = message.critical
        self.priority = message.priority or priority_pb2.PRIORITY_NORMAL
        self.queue = message.queue or DEFAULT_QUEUE
        self.lane = 0
        self.timeout_ms = message.timeout_ms
        self.heartbeat_timeout_ms = message.heartbeat_timeout_ms
        self.gate = message.gate
        self.delay_us = message.delay_ms * 1000
        self.body: Graph | None = None
        self.concurrency = max(message.map.concurrency, 1)
        self.race = message.group.race
        self.single = message.group.single
        self.start = message.states.start
        self.steps_max = message.states.steps_max
        self.signal = message.signal
        self.join = message.join
        self.excused = False
        self.rules: dict[int, list[EdgeRule]] = {}
        for rule in message.edges:
            source = self.dependencies[rule.dependency]
            self.rules.setdefault(source, []).append(EdgeRule(rule.label, rule.on_failure))
        self.follow = _follow(message.follow) if message.HasField("follow") else None


def _follow(message: plan_pb2.Follow) -> Follow:
    return Follow(
        next=message.next - 1 if message.next else None,
        catches=tuple(
            (frozenset(each.classes), each.next - 1 if each.next else None)
            for each in message.catches
        ),
        chooses=message.chooses,
        keeps=message.keeps,
    )


class Graph:
    """Nodes that depend on one another: those of a plan, or of a body."""

    __slots__ = ("by_id", "leaves", "nodes", "roots")

    def __init__(self, nodes: list[PlanNode]) -> None:
        self.nodes = nodes
        self.by_id = {node.id: node for node in nodes}
        self.roots = tuple(node for node in nodes if not node.dependencies)
        self.leaves = tuple(node for node in nodes if not node.successors)

    def at(self, node_id: str) -> PlanNode:
        """The node that one named as in a history is made of: `a` of `map[7]/a`."""
        first, *further = node_id.split("/")
        node = self.by_id[first.partition("[")[0]]
        for part in further:
            assert node.body is not None
            node = node.body.by_id[part.partition("[")[0]]
        return node

    def all_nodes(self) -> Iterator[PlanNode]:
        """These and those of the bodies below."""
        for node in self.nodes:
            yield node
            if node.body is not None:
                yield from node.body.all_nodes()


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """Where a value does not fit its schema, as a path below the value, and why."""

    path: str
    message: str
    schema_path: str
    """Of the keyword it fails: `#/properties/amount/minimum`."""

    def __str__(self) -> str:
        return f"{self.message} ({self.schema_path})"


class Schema:
    """A JSON Schema, compiled when it is first needed; an absent one takes any value.

    `retrieve` gives what references outside of it lead to; none are followed without.
    """

    __slots__ = ("_retrieve", "_source", "_validator")

    def __init__(self, source: bytes, retrieve: Callable[[str], Any] | None = None) -> None:
        self._source = source
        self._retrieve = retrieve or _refuse
        self._validator: jsonschema_rs.Validator | None = None

    def problems(self, value: object) -> tuple[SchemaProblem, ...]:
        """What does not fit, at most the first 20."""
        if not self._source:
            return ()
        if self._validator is None:
            self._validator = jsonschema_rs.validator_for(
                orjson.loads(self._source),
                pattern_options=jsonschema_rs.RegexOptions(),
                retriever=self._retrieve,
            )
        if self._validator.is_valid(value):
            return ()
        errors = islice(self._validator.iter_errors(value), VIOLATIONS_MAX)
        return tuple(
            SchemaProblem(_path(e.instance_path), e.message, _pointer(e.schema_path))
            for e in errors
        )


def _refuse(uri: str, /) -> Any:
    raise ValueError(f"remote reference {uri}")


def _path(parts: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _pointer(parts: Iterable[str | int]) -> str:
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "#" + "".join(f"/{part}" for part in escaped)


class Plan(Graph):
    """A plan that can be run. `message` is as stored; `body` its bytes.

    `lanes` are the pairs of queue and priority its tasks wait in, `PlanNode.lane` one of them.
    """

    __slots__ = (
        "body",
        "callbacks",
        "digest",
        "input_schema",
        "lanes",
        "message",
        "name",
        "namespace",
        "output",
        "output_schema",
        "parallelism",
        "timeout_us",
        "version",
        "workflow_id",
    )

    def __init__(
        self, message: plan_pb2.Plan, nodes: list[PlanNode], output: Template | None
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
        self.output = output
        self.input_schema = Schema(message.input_schema)
        self.output_schema = Schema(message.output_schema)
        self.parallelism = message.parallelism
        self.timeout_us = message.timeout_ms * 1000
        self.callbacks = message.callbacks if message.HasField("callbacks") else None


def _assign_lanes(nodes: Iterable[PlanNode]) -> tuple[tuple[str, int], ...]:
    lanes: dict[tuple[str, int], int] = {}
    for node in nodes:
        if node.is_task:
            node.lane = lanes.setdefault((node.queue, node.priority), len(lanes))
    return tuple(lanes)


def compile_plan(message: plan_pb2.Plan) -> Plan:
    """Compiles a plan that the definition service made; its templates have been checked there."""
    nodes = _Compiler(message).nodes(message.nodes, INPUT_ROOTS)
    output = None
    if message.output_template:
        output = compile_template(orjson.loads(message.output_template), INPUT_ROOTS)
    return Plan(message, nodes, output)


class _Compiler:
    """Compiles the graphs of one plan; equal templates and policies are made once."""

    def __init__(self, message: plan_pb2.Plan) -> None:
        self._specs = message.specs
        self._templates: dict[tuple[bytes, frozenset[str]], Template] = {}
        self._retries: dict[bytes, Retry] = {}

    def nodes(self, messages: Sequence[plan_pb2.PlanNode], roots: frozenset[str]) -> list[PlanNode]:
        nodes = [self._node(index, each, roots) for index, each in enumerate(messages)]
        for node in nodes:
            for dependency in node.dependencies:
                nodes[dependency].successors.append(node)
            for source, rules in node.rules.items():
                nodes[source].excused |= any(rule.on_failure for rule in rules)
        return nodes

    def _node(self, index: int, message: plan_pb2.PlanNode, roots: frozenset[str]) -> PlanNode:
        policy = message.retry.SerializeToString(deterministic=True)
        retry = self._retries.get(policy)
        if retry is None:
            retry = self._retries[policy] = _retry(message)
        spec = self._specs[message.spec] if message.kind == plan_pb2.NODE_KIND_TASK else None
        node = PlanNode(index, message, spec, self._template(message.input_template, roots), retry)
        match message.kind:
            case plan_pb2.NODE_KIND_MAP:
                node.body = Graph(self.nodes(message.map.nodes, roots | ITEM_ROOTS))
            case plan_pb2.NODE_KIND_GROUP:
                node.body = Graph(self.nodes(message.group.nodes, roots))
            case plan_pb2.NODE_KIND_STATES:
                node.body = Graph(self.nodes(message.states.nodes, roots | STATE_ROOTS))
        return node

    def _template(self, source: bytes, roots: frozenset[str]) -> Template | None:
        if not source:
            return None
        template = self._templates.get((source, roots))
        if template is None:
            template = compile_template(orjson.loads(source), roots)
            self._templates[source, roots] = template
        return template


def _retry(node: plan_pb2.PlanNode) -> Retry:
    policy = node.retry
    return Retry(
        max_attempts=max(policy.max_attempts, 1),
        initial_delay_us=policy.initial_delay_ms * 1000,
        multiplier=policy.multiplier or 1.0,
        max_delay_us=policy.max_delay_ms * 1000,
        jitter=policy.jitter,
        classes=frozenset(policy.retry_on) or RETRIED_BY_DEFAULT,
    )
