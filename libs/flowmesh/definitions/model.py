"""The canonical model: what every format is read into and every check, analysis and plan reads.

It holds no positions and no text; `path` leads from each part back into its source document.
A workflow is one graph of nodes; a map is a node that holds a graph of its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from flowmesh.definitions.problems import Path

Json = Any


class Dialect(Enum):
    """Which document a definition was written in. The value is `Workflow.format` of the API."""

    NATIVE = "native"
    STEPS = "steps"


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


# S0: exponential back-off 100 ms, 200 ms, 400 ms … capped at 30 s.
NATIVE_RETRY = Retry(4, 100, 2.0, 30_000)
# What a `retryPolicy` of step JSON leaves out. Without one there is a single attempt.
STEPS_RETRY = Retry(3, 1_000, 2.0, 30_000)
NO_RETRY = Retry(1, 0, 1.0, 0)


@dataclass(frozen=True, slots=True)
class Task:
    """A unit of work: a `WorkflowTask` of the library, a built-in, or one written into a step.

    `type` is the word of the document (`http`), `executor` who runs it (`http.request`).
    `config` is what the executor gets, `config_path` where it stands in the source.
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
    labels: dict[str, str] = field(default_factory=dict)
    path: Path = ()
    config_path: Path = ()


@dataclass(frozen=True, slots=True)
class MapBody:
    """What a map runs once for each of its items, at most `concurrency` of them at a time."""

    nodes: tuple["Node", ...]
    concurrency: int
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
    critical: bool = True
    priority: Priority = Priority.NORMAL
    queue: str = ""
    map: MapBody | None = None
    # Part of the body of a map, so its templates see `item` and `index` too.
    in_map: bool = False

    @property
    def input_path(self) -> Path:
        return (*self.path, "input") if self.map is None else (*self.map.path, "items")


def every_node(nodes: Iterable[Node]) -> Iterator[Node]:
    """The nodes with those of the maps among them, each map before its body."""
    for node in nodes:
        yield node
        if node.map is not None:
            yield from every_node(node.map.nodes)


@dataclass(frozen=True, slots=True)
class Callbacks:
    on_complete: str = ""
    on_failure: str = ""
    on_step: str = ""
    secret: str = ""


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

    @property
    def task_refs(self) -> frozenset[str]:
        return frozenset(node.task_ref for node in every_node(self.nodes) if node.task_ref)
