"""The canonical model: what every format is read into and every check, analysis and plan reads.

It holds no positions and no text; `path` leads from each part back into its source document.
A workflow is one graph of nodes; a map, a group and a state machine are nodes with a body of nodes.
Graphs have no circles; what comes back to where it was is a state machine (decision 0008).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from flowmesh.contract import DEFAULT_RETRY
from flowmesh.definitions.problems import Path
from flowmesh.definitions.triggers import Trigger

Json = Any


# What templates see besides the usual names in the body of a map, and in that of a state machine.
ITEM_NAMES = frozenset({"item", "index"})
VARIABLE_NAMES = frozenset({"variables"})
STATE_NAMES = frozenset({"state", "error"})
# And in that of a task that fetches a page of items.
PAGE_NAMES = frozenset({"cursor"})
# And in the input of what undoes another node: `undo.input`, `undo.output`.
UNDO_NAMES = frozenset({"undo"})
UNDO_SUFFIX = ":undo"
# The executor of tasks that ask people.
APPROVAL = "approval"


class Dialect(Enum):
    """Which document a definition was written in. The value is `Workflow.format` of the API."""

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
    """How often and when a failed attempt is tried again; `max_attempts` counts the first."""

    max_attempts: int
    initial_delay_ms: int
    multiplier: float
    max_delay_ms: int
    jitter: float = 0.0
    retry_on: tuple[str, ...] = ()
    # Failure classes that are not, whatever `retry_on` says; 0 is no limit.
    never_on: tuple[str, ...] = ()
    max_elapsed_ms: int = 0


NATIVE_RETRY = Retry(*DEFAULT_RETRY)
# What a `retryPolicy` of step JSON leaves out. Without one there is a single attempt.
STEPS_RETRY = Retry(3, 1_000, 2.0, 30_000)
NO_RETRY = Retry(1, 0, 1.0, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds tasks back although workers are free; 0 is no limit. `rate` is by second.

    `key` is a template over `input`: each of its values is limited by itself. `retries` are those
    made per task that began, as a share.
    """

    concurrency: int = 0
    rate: float = 0.0
    burst: int = 0
    key: str = ""
    retries: float = 0.0
    path: Path = ()


class StartConflict(Enum):
    """What becomes of a start for which there is no room: it waits for its turn, is refused, takes
    the place of the oldest, or is answered with the execution that runs.
    """

    QUEUE = 0
    REJECT = 1
    REPLACE = 2
    JOIN = 3


@dataclass(frozen=True, slots=True)
class StartPolicy:
    """When executions begin, by what else was started with the same `key`, a template over `input`;
    0 is no limit and no time.
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
    """Who may refer to a task: workflows applied with it, those of its namespace, everybody."""

    PRIVATE = "private"
    NAMESPACE = "namespace"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Task:
    """A unit of work: a `WorkflowTask` of the library, a built-in, or one written into a step.

    `type` is the word of the document (`http`), `executor` who runs it (`http.request`).
    `config` is what the executor gets, `config_path` where it stands in the source; `places` says
    where parts of it stand that the document calls something else.
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
    labels: dict[str, str] = field(default_factory=dict)
    visibility: Visibility = Visibility.NAMESPACE
    path: Path = ()
    config_path: Path = ()
    places: dict[Path, Path] = field(default_factory=dict)

    def at(self, *keys: str | int) -> Path:
        """Where a part of `config` stands in the source."""
        for end in range(len(keys), 0, -1):
            if keys[:end] in self.places:
                return (*self.places[keys[:end]], *keys[end:])
        return (*self.config_path, *keys)


@dataclass(frozen=True, slots=True)
class MapBody:
    """What a map runs once for each of its items, at most `concurrency` of them at a time.

    One with `pages_max` runs two nodes once for each page: a task that fetches it, and a map over
    its items, whose `next_path` says where the output of the task has the cursor of the next.
    """

    nodes: tuple["Node", ...]
    concurrency: int
    path: Path
    # So many items, or this share of them, may fail without the map failing.
    tolerated: int = 0
    tolerated_share: float = 0.0
    # `item` is a list of so many; 0 is the item itself.
    batch: int = 0
    pages_max: int = 0
    next_path: tuple[str, ...] = ()
    # Its output says how many items there were and how many failed, and not what they gave.
    counted: bool = False


@dataclass(frozen=True, slots=True)
class GroupBody:
    """A graph that runs once; its output is the list of its leaves' outputs, in order.

    In a race the first leaf that completes ends it: the others are canceled and its output is that
    of the group. A `single` one answers the output of its only leaf, null where there are several.
    """

    nodes: tuple["Node", ...]
    path: Path
    race: bool = False
    single: bool = False


@dataclass(frozen=True, slots=True)
class StatesBody:
    """Nodes of which one runs at a time, first `start`; each names the one that follows.

    They share a value: the input of the machine (`Node.input`) to begin with, then the output of
    the last node that does not keep it. Templates in it see the value as `state`, and `error`
    (`class`, `message`, `node`, `details`) behind a catch. The value at the end is the output of
    the machine.
    """

    nodes: tuple["Node", ...]
    start: str
    path: Path
    # How many may begin, one after the other; 0 is no limit.
    steps_max: int = 0


Body = MapBody | GroupBody | StatesBody


@dataclass(frozen=True, slots=True)
class Catch:
    """Where a state machine goes on when a node of it has failed with one of these classes.

    `*` is every class.
    """

    classes: tuple[str, ...]
    next: str
    # The machine fails with it in the end, whatever comes between.
    defers: bool = False


@dataclass(frozen=True, slots=True)
class Follow:
    """What follows a node of a state machine; an empty name ends the machine.

    The output of a node that `chooses` says what follows, one of `among`: its id, a list with its
    id, or an object with its id as `next`. One that `keeps` leaves the value as it is; one that
    chooses always does.
    """

    next: str = ""
    catches: tuple[Catch, ...] = ()
    chooses: bool = False
    among: tuple[str, ...] = ()
    keeps: bool = False


class Join(Enum):
    """When a node with several edges to it runs.

    STRICT is that of dependencies: all are taken, else the node is skipped. ALL waits until each is
    taken or cannot be any more, and runs if one was; ANY runs at the first that is taken.
    """

    STRICT = "strict"
    ALL = "all"
    ANY = "any"


class FailurePolicy(Enum):
    """What a workflow does once a critical node has failed.

    What does not depend on it goes on; or what workers have is let end, and nothing begins; or what
    runs is canceled.
    """

    FINISH_OTHERS = 0
    STOP = 1
    CANCEL = 2


class OnFailure(Enum):
    """What a node's failure means: as the workflow says; nodes behind it go on with its fallback;
    it waits for somebody; or all that runs is canceled and what was done is undone.
    """

    FAIL = 0
    CONTINUE = 1
    HOLD = 2
    COMPENSATE = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows when a node fails, or when it completed and the execution fails later.

    `undo` is the task that undoes it; its node has the id of this one with `UNDO_SUFFIX`.
    """

    on_failure: OnFailure = OnFailure.FAIL
    fallback: Json = None
    undo: "Node | None" = None
    total_timeout_ms: int = 0
    # From when an attempt is ready until a worker begins it.
    start_timeout_ms: int = 0


@dataclass(frozen=True, slots=True)
class Compensation:
    """When what was done is undone, and whether at once where the dependencies allow it."""

    on_failure: bool = True
    on_cancel: bool = True
    on_terminate: bool = False
    parallel: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """A dependency with a condition of its own on the node it comes from.

    Taken when `source` completed and, where there is a `label`, its output names it (a string or a
    list of strings); with `on_failure`, when `source` has failed, which then fails nothing else.
    """

    source: str
    path: Path
    label: str = ""
    on_failure: bool = False
    # As the document has them: its name, and its condition for people to read.
    id: str = ""
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Cache:
    """How long a result is good, and for whom; `key` is a template over the task's input, and
    None is the input itself.
    """

    ttl_ms: int
    everywhere: bool
    key: Json
    path: Path


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a graph. Its task is written into it or found by `task_ref`, or it is a map.

    `input` is a template, meaningful where `has_input`, and of a map the list of its items;
    `condition` a CEL expression that must hold for the node to run. `dependencies` are as
    written: repeated ones included, an empty one for what was no id.
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
    # A worker that has the task is to be heard of this often; 0 is no limit.
    heartbeat_ms: int = 0
    critical: bool = True
    priority: Priority = Priority.NORMAL
    queue: str = ""
    body: "Body | None" = None
    # Edges from nodes that are dependencies too, and when they let this node run.
    edges: tuple[Edge, ...] = ()
    join: Join = Join.STRICT
    # Of ALL and ANY: how many edges must be taken, and those that must be among them.
    join_count: int = 1
    join_required: tuple[str, ...] = ()
    outcome: Outcome = Outcome()
    # Not in the document: what stands before, behind or between those that are.
    hidden: bool = False
    # Of a node in the body of a state machine.
    follow: Follow | None = None
    # Names its templates see besides the usual ones, of the bodies it is in.
    bound: frozenset[str] = frozenset()
    # When an earlier result may stand for that of its task.
    cache: "Cache | None" = None
    limits: Limits | None = None
    # Labels that its workers must have.
    requires: dict[str, str] = field(default_factory=dict)
    # What whoever starts the execution must be permitted, besides what its task asks for.
    permissions: tuple[str, ...] = ()

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
    """The nodes with those in bodies among them and those that undo one, each behind its own."""
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
    """What a search attribute holds; ANY is whatever its value is."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    TIME = "time"
    ANY = ""


@dataclass(frozen=True, slots=True)
class SearchField:
    """Something executions are found by: `attr.<name>`, or `input.<path>`.

    `template` computes it from the input; None of an attribute that is only set later.
    """

    name: str
    kind: SearchKind
    template: Json
    path: Path


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that templates read as `variables.<name>` and people change while it runs."""

    name: str
    schema: Json
    initial: Json
    path: Path


@dataclass(frozen=True, slots=True)
class Workflow:
    """A named graph of nodes with what it takes and answers."""

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
    # What starts executions besides calls of the API.
    triggers: tuple[Trigger, ...] = ()
    search: tuple[SearchField, ...] = ()
    # How long ended executions are kept; 0 is as long as the namespace says.
    retention_ms: int = 0
    limits: Limits | None = None
    variables: tuple[Variable, ...] = ()

    @property
    def bound(self) -> frozenset[str]:
        """What its templates may begin with beside what all may."""
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
