"""The canonical model of definitions: readers make it; checks, analyses and plans use it.

It holds no positions and no text; `path` leads from each part to its place in the source. A
workflow is one graph of nodes; a map, a group and a state machine are nodes with a body of nodes.
Graphs have no cycles; repetition is a state machine (decision 0008).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from flowmesh.contract import DEFAULT_RETRY
from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Path
from flowmesh.definitions.triggers import Trigger

# Additional names for templates in the body of a map, and in that of a state machine.
ITEM_NAMES = frozenset({"item", "index"})
VARIABLE_NAMES = frozenset({"variables"})
STATE_NAMES = frozenset({"state", "error"})
# Additional name in a task that fetches a page of items.
PAGE_NAMES = frozenset({"cursor"})
# Additional name in the input of a compensating task: `undo.input`, `undo.output`.
UNDO_NAMES = frozenset({"undo"})
UNDO_SUFFIX = ":undo"
# The executor of approvals.
APPROVAL = "approval"


class Dialect(Enum):
    """The format of a definition's document. The value is `Workflow.format` of the API."""

    NATIVE = "native"
    STEPS = "steps"
    GRAPH = "graph"
    SERVERLESS = "serverless"
    STATES = "states"


class Priority(Enum):
    LOW = 1
    NORMAL = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy; `max_attempts` counts the first attempt."""

    max_attempts: int
    initial_delay_ms: int
    multiplier: float
    max_delay_ms: int
    jitter: float = 0.0
    retry_on: tuple[str, ...] = ()
    # Failure classes that are never retried, even if listed in `retry_on`.
    never_on: tuple[str, ...] = ()
    # No retry starts after this time; 0 means no limit.
    max_elapsed_ms: int = 0


NATIVE_RETRY = Retry(*DEFAULT_RETRY)
# Defaults of a `retryPolicy` of step JSON. Without a policy there is a single attempt.
STEPS_RETRY = Retry(3, 1_000, 2.0, 30_000)
NO_RETRY = Retry(1, 0, 1.0, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on tasks even if workers are free; 0 means no limit. `rate` is per second.

    `key` is a template over `input`: each of its values has its own limit. `retries` is the number
    of retries per started task.
    """

    concurrency: int = 0
    rate: float = 0.0
    burst: int = 0
    key: str = ""
    retries: float = 0.0
    path: Path = ()


class StartConflict(Enum):
    """Handling of a start without a free slot: queue it, refuse it, replace the oldest execution,
    or return the running execution.
    """

    QUEUE = 0
    REJECT = 1
    REPLACE = 2
    JOIN = 3


@dataclass(frozen=True, slots=True)
class StartPolicy:
    """Start policy of executions that share the same `key`, a template over `input`; 0 means no
    limit and no delay.
    """

    key: str = ""
    concurrency: int = 0
    on_conflict: StartConflict = StartConflict.QUEUE
    delay_ms: int = 0
    debounce_ms: int = 0
    max_wait_ms: int = 0
    dedup_window_ms: int = 0
    path: Path = ()


class Visibility(Enum):
    """Workflows that may refer to a task: those applied with it, those of its namespace, all."""

    PRIVATE = "private"
    NAMESPACE = "namespace"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Task:
    """A unit of work: a `WorkflowTask` of the library, a built-in task, or one written into a step.

    `type` is the word of the document (`http`), `executor` the task type that runs it
    (`http.request`). `config` is passed to the executor, `config_path` is its place in the source;
    `places` maps parts whose place in the source has another name.
    """

    type: str
    executor: str
    config: dict[str, Json]
    dialect: Dialect
    name: str = ""
    input_schema: Json = None
    output_schema: Json = None
    retry: Retry | None = None
    timeout_ms: int = 0
    queue: str = ""
    permissions: tuple[str, ...] = ()
    # Secrets that its remote workers may receive in inputs.
    secrets: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    visibility: Visibility = Visibility.NAMESPACE
    path: Path = ()
    config_path: Path = ()
    places: dict[Path, Path] = field(default_factory=dict)

    def at(self, *keys: str | int) -> Path:
        """Return the path of a part of `config` in the source."""
        for end in range(len(keys), 0, -1):
            if keys[:end] in self.places:
                return (*self.places[keys[:end]], *keys[end:])
        return (*self.config_path, *keys)


@dataclass(frozen=True, slots=True)
class MapBody:
    """The body of a map, run once per item, at most `concurrency` items at a time.

    With `pages_max` it runs two nodes per page: a task that fetches the page, and a map over its
    items. `next_path` is the place of the next cursor in the output of the task.
    """

    nodes: tuple["Node", ...]
    concurrency: int
    path: Path
    # Number or share of items that may fail without failing the map.
    tolerated: int = 0
    tolerated_share: float = 0.0
    # Number of items per batch; `item` is then a list. 0 means single items.
    batch: int = 0
    pages_max: int = 0
    next_path: tuple[str, ...] = ()
    # The output holds the numbers of items and of failures instead of the item outputs.
    counted: bool = False


@dataclass(frozen=True, slots=True)
class GroupBody:
    """A graph that runs once; its output is the list of its leaves' outputs, in order.

    In a race the first leaf that completes ends it: the others are canceled and its output is that
    of the group. A `single` group returns the output of its only leaf, null if there are several.
    """

    nodes: tuple["Node", ...]
    path: Path
    race: bool = False
    single: bool = False


@dataclass(frozen=True, slots=True)
class StatesBody:
    """Nodes of a state machine: one runs at a time, `start` first; each names its successor.

    They share a value: first the input of the machine (`Node.input`), then the output of the last
    node that does not keep it. Templates read the value as `state`, and `error` (`class`,
    `message`, `node`, `details`) after a catch. The final value is the output of the machine.
    """

    nodes: tuple["Node", ...]
    start: str
    path: Path
    # Limit of started nodes; 0 means no limit.
    steps_max: int = 0


Body = MapBody | GroupBody | StatesBody


@dataclass(frozen=True, slots=True)
class Catch:
    """The successor of a node that failed with one of these classes.

    `*` matches every class.
    """

    classes: tuple[str, ...]
    next: str
    # The machine fails with this failure at the end, after the nodes that follow.
    defers: bool = False


@dataclass(frozen=True, slots=True)
class Follow:
    """The successor of a node of a state machine; an empty name ends the machine.

    The output of a node that `chooses` names the successor, one of `among`: its id, a list with its
    id, or an object with its id as `next`. A node that `keeps` leaves the value unchanged; a node
    that chooses always does.
    """

    next: str = ""
    catches: tuple[Catch, ...] = ()
    chooses: bool = False
    among: tuple[str, ...] = ()
    keeps: bool = False


class Join(Enum):
    """The condition for a node with several incoming edges to run.

    STRICT: all edges are taken, else the node is skipped. ALL: each edge is taken or cannot be
    taken anymore, and at least one was. ANY: the first edge is taken.
    """

    STRICT = "strict"
    ALL = "all"
    ANY = "any"


class FailurePolicy(Enum):
    """The reaction of a workflow to the failure of a critical node.

    Either independent nodes continue; or running tasks finish and nothing new starts; or running
    tasks are canceled.
    """

    FINISH_OTHERS = 0
    STOP = 1
    CANCEL = 2


class OnFailure(Enum):
    """The reaction to a node's failure: follow the policy of the workflow; continue with the
    fallback; wait for a manual retry; or cancel running tasks and compensate.
    """

    FAIL = 0
    CONTINUE = 1
    HOLD = 2
    COMPENSATE = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """Handling of a node's failure, and its compensation if the execution fails later.

    `undo` is the compensating task; its node has the id of this one with `UNDO_SUFFIX`.
    """

    on_failure: OnFailure = OnFailure.FAIL
    fallback: Json = None
    undo: "Node | None" = None
    total_timeout_ms: int = 0
    # Limit from a ready attempt until a worker starts it.
    start_timeout_ms: int = 0


@dataclass(frozen=True, slots=True)
class Compensation:
    """Events that trigger compensation, and whether it runs in parallel where dependencies
    allow.
    """

    on_failure: bool = True
    on_cancel: bool = True
    on_terminate: bool = False
    parallel: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """A dependency with a condition on its source node.

    Taken if `source` completed and, if a `label` is set, its output names the label (a string or a
    list of strings). With `on_failure` it is taken if `source` failed, and that failure then fails
    nothing else.
    """

    source: str
    path: Path
    label: str = ""
    on_failure: bool = False
    # The name and the condition from the document, for display.
    id: str = ""
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Cache:
    """Validity and scope of a cached result; `key` is a template over the task's input, None means
    the input itself.
    """

    ttl_ms: int
    everywhere: bool
    key: Json
    path: Path


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a graph. It holds its task or refers to it by `task_ref`, or it has a body.

    `input` is a template, valid if `has_input`; for a map it is the list of its items. `condition`
    is a CEL expression that must hold for the node to run. `dependencies` are as written:
    repetitions are kept, an invalid id is empty.
    """

    id: str
    path: Path
    name: str = ""
    task_ref: str = ""
    task: Task | None = None
    input: Json = None
    has_input: bool = False
    condition: str = ""
    dependencies: tuple[str, ...] = ()
    dependencies_key: str = ""
    retry: Retry | None = None
    timeout_ms: int = 0
    # Maximum interval between heartbeats of the worker; 0 means no limit.
    heartbeat_ms: int = 0
    critical: bool = True
    priority: Priority = Priority.NORMAL
    queue: str = ""
    body: "Body | None" = None
    # Edges from dependencies, and the join that lets this node run.
    edges: tuple[Edge, ...] = ()
    join: Join = Join.STRICT
    # For ALL and ANY: the number of edges that must be taken, and required sources.
    join_count: int = 1
    join_required: tuple[str, ...] = ()
    outcome: Outcome = Outcome()
    # Not in the document: added before, after or between its nodes.
    hidden: bool = False
    # Set for a node in the body of a state machine.
    follow: Follow | None = None
    # Additional names for its templates, from the bodies around it.
    bound: frozenset[str] = frozenset()
    # Reuse of an earlier result of its task.
    cache: "Cache | None" = None
    limits: Limits | None = None
    # Labels that its workers must have.
    requires: dict[str, str] = field(default_factory=dict)
    # Permissions that the starter of the execution needs, besides those of the task.
    permissions: tuple[str, ...] = ()
    # May run again, also with an input that is discarded: sent ahead of the commit.
    repeatable: bool = False

    @property
    def map(self) -> MapBody | None:
        return self.body if isinstance(self.body, MapBody) else None

    @property
    def input_path(self) -> Path:
        if self.map is not None:
            return (*self.map.path, "items")
        if self.task is not None and self.task.executor == APPROVAL:
            return self.task.config_path
        placed = self.task.places.get(("input",)) if self.task is not None else None
        return placed or (*self.path, "input")


def every_node(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield the nodes including those in bodies and compensating ones, each after its owner."""
    for node in nodes:
        yield node
        if node.outcome.undo is not None:
            yield node.outcome.undo
        if node.body is not None:
            yield from every_node(node.body.nodes)


@dataclass(frozen=True, slots=True)
class Callbacks:
    on_complete: str = ""
    on_failure: str = ""
    on_step: str = ""
    secret: str = ""


class SearchKind(Enum):
    """The type of a search attribute; ANY takes the type of its value."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    TIME = "time"
    ANY = ""


@dataclass(frozen=True, slots=True)
class SearchField:
    """A search attribute of executions: `attr.<name>`, or `input.<path>`.

    `template` computes it from the input; None if it is only set later.
    """

    name: str
    kind: SearchKind
    template: Json
    path: Path


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that templates read as `variables.<name>`; it can be changed while the execution
    runs.
    """

    name: str
    schema: Json
    initial: Json
    path: Path


@dataclass(frozen=True, slots=True)
class Workflow:
    """A named graph of nodes with its input and output schemas and its policies."""

    id: str
    name: str
    dialect: Dialect
    nodes: tuple[Node, ...]
    input_schema: Json = None
    output_schema: Json = None
    output: Json = None
    has_output: bool = False
    parallelism: int = 0
    timeout_ms: int = 0
    callbacks: Callbacks = field(default_factory=Callbacks)
    labels: dict[str, str] = field(default_factory=dict)
    nodes_path: Path = ()
    schema_path: Path = ()
    on_failure: FailurePolicy = FailurePolicy.FINISH_OTHERS
    compensation: Compensation = Compensation()
    # Starts of executions besides calls of the API.
    triggers: tuple[Trigger, ...] = ()
    search: tuple[SearchField, ...] = ()
    # Retention of ended executions in ms; 0 means that of the namespace.
    retention_ms: int = 0
    limits: Limits | None = None
    variables: tuple[Variable, ...] = ()

    @property
    def bound(self) -> frozenset[str]:
        """Return the roots of its templates besides those that all templates have."""
        return VARIABLE_NAMES if self.variables else frozenset()

    start: StartPolicy | None = None

    @property
    def task_refs(self) -> frozenset[str]:
        return frozenset(node.task_ref for node in every_node(self.nodes) if node.task_ref)


@dataclass(frozen=True, slots=True)
class WorkflowTemplate:
    """Resources with parameters, to make workflows from; `parameters` is their JSON Schema."""

    name: str
    description: str
    parameters: Json
    resources: tuple[dict[str, Json], ...]
    labels: dict[str, str] = field(default_factory=dict)
    path: Path = ()
    dialect: Dialect = Dialect.NATIVE
