"""Tasks of native workflows with a body: a map, a group, a race, a loop, a try.

Loops and tries are state machines: nodes that evaluate, run the tasks, or handle failures. Nodes
that are not in the document are named after the one that is: `poll:while`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.formats.native.outcomes import read_outcome
from flowmesh.definitions.formats.native.times import read_retry, read_timeout
from flowmesh.definitions.model import (
    ITEM_NAMES,
    PAGE_NAMES,
    STATE_NAMES,
    Catch,
    Dialect,
    Edge,
    Follow,
    GroupBody,
    Join,
    MapBody,
    Node,
    StatesBody,
    Task,
)
from flowmesh.definitions.problems import Path, nearest
from flowmesh.definitions.reading.reader import Reader, kind_of

KINDS = ("map", "group", "race", "loop", "try")
# Outputs of a map.
RESULTS = ("LIST", "COUNT")
# Default input of the task that fetches a page.
CURSOR_INPUT = {"cursor": "{{cursor}}"}
_PATH = re.compile(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*\Z", re.ASCII)
# Members that belong to the tasks in a body, with the place to write them instead.
_NOT_OF_A_BODY = {
    "taskRef": "what runs goes into {kind}.tasks",
    "input": "inputs go to the tasks in {kind}.tasks",
    "retry": "write it at the tasks in {kind}.tasks",
    "timeout": "write it at the tasks in {kind}.tasks",
    "queue": "write it at the tasks in {kind}.tasks",
    "priority": "write it at the tasks in {kind}.tasks",
    "permissions": "write it at the tasks in {kind}.tasks",
    "repeatable": "write it at the tasks in {kind}.tasks",
}
_NOT_OF_A_MAP = {
    "taskRef": "what runs for each item goes into map.tasks",
    "input": "the list goes into map.items, inputs to the tasks in map.tasks",
}
_JOINS = tuple(join.name for join in Join)
_ROUNDS_DEFAULT = 1_000
_FAILURE, _SUCCESS = "failure", "success"


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a graph: its depth in bodies, and the names that these bind."""

    depth: int = 0
    bound: frozenset[str] = frozenset()

    def inside(self, names: frozenset[str] = frozenset()) -> "Place":
        return Place(self.depth + 1, self.bound | names)


@dataclass(frozen=True, slots=True)
class Edges:
    """The dependencies of a node and their join."""

    dependencies: tuple[str, ...]
    edges: tuple[Edge, ...]
    join: Join
    count: int = 1
    required: tuple[str, ...] = ()


ReadNodes = Callable[[Reader, str, Place], tuple[Node, ...]]


def body_kind(reader: Reader) -> str:
    """Return the kind of body of a task; empty if it has none."""
    return next((kind for kind in KINDS if kind in reader.value), "")


def read_body(reader: Reader, kind: str, place: Place, read_nodes: ReadNodes) -> Node:
    """Return a task with a body."""
    node_id = reader.identifier("id", f"the name of the {kind} in this workflow")
    elsewhere = _NOT_OF_A_BODY | (_NOT_OF_A_MAP if kind == "map" else {})
    for key, instead in elsewhere.items():
        if reader.has(key):
            message = f"{key} does not belong to a {kind}; {instead.format(kind=kind)}"
            reader.problems.add("DEFINITION_INVALID", message, (*reader.path, key), at_key=True)
    edges = read_edges(reader)
    node = Node(
        id=node_id,
        path=reader.path,
        name=reader.text("name") or node_id,
        condition=reader.text("condition", most=limits.CODE_CHARACTERS_MAX),
        dependencies=edges.dependencies,
        dependencies_key="dependsOn",
        critical=reader.flag("critical", True),
        edges=edges.edges,
        join=edges.join,
        join_count=edges.count,
        join_required=edges.required,
        outcome=read_outcome(reader, node_id, place.bound),
        bound=place.bound,
    )
    body = reader.object(kind)
    if place.depth >= limits.BODY_DEPTH_MAX:
        message = f"bodies may be nested {limits.BODY_DEPTH_MAX} deep"
        body.problems.add("NESTING_TOO_DEEP", message, body.path)
        return node
    made = _READERS[kind](node, body, place, read_nodes)
    body.refuse_unknown()
    return made


def read_edges(reader: Reader) -> Edges:
    """Return the edges of `dependsOn` (ids, or objects with an outcome) and their join."""
    edges: list[Edge] = []

    def edge(one: Reader) -> str:
        name = one.identifier("task", "the task to wait for")
        outcome = one.required_text("on", "failure, success, or the label that a decision names")
        one.refuse_unknown()
        if name and outcome and outcome != _SUCCESS:
            failed = outcome == _FAILURE
            label = "" if failed else outcome
            edges.append(Edge(name, one.path, label=label, on_failure=failed))
        return name

    names = reader.identifiers("dependsOn", edge)
    if not isinstance(reader.raw("join"), dict):
        join = reader.choice("join", _JOINS, Join.STRICT.name)
        return Edges(names, tuple(edges), Join[join])
    return _joined(reader.object("join"), names, tuple(edges))


def _joined(members: Reader, names: tuple[str, ...], edges: tuple[Edge, ...]) -> Edges:
    """Return a join by the number of taken edges, or with required edges."""
    join = Join[members.choice("mode", ("ANY", "ALL"), "ANY")]
    count = members.integer("count", 1, 1, max(1, len(set(names))), "DEFINITION_INVALID")
    required = members.identifiers("required")
    for number, name in enumerate(required):
        if name and name not in names:
            message = f"{name!r} is required but not in dependsOn"
            path = (*members.path, "required", number)
            members.problems.add("GRAPH_UNKNOWN_NODE", message + nearest(name, names), path)
    members.refuse_unknown()
    return Edges(names, edges, join, count, tuple(name for name in required if name in names))


def read_decision(reader: Reader) -> Task:
    """Return a node whose output is the ids of the conditions that hold."""
    body = reader.object("decision")
    conditions: list[Json] = []
    if not body.has("conditions"):
        body.missing("conditions", "a list of {id, expression}")
    for index, item in enumerate(body.items("conditions") if body.has("conditions") else ()):
        path: Path = (*body.path, "conditions", index)
        if not isinstance(item, dict):
            message = f"a condition is an object with id and expression, not {kind_of(item)}"
            body.problems.add("DEFINITION_INVALID", message, path)
            continue
        one = Reader(item, path, body.problems)
        label = one.identifier("id", "what edges name as their on")
        expression = one.required_text("expression", "a CEL expression over input and tasks")
        one.refuse_unknown()
        conditions.append({"id": label, "expression": expression, "language": "cel"})
    config: dict[str, Json] = {
        "conditions": conditions,
        "default": list(body.identifiers("default")),
        "match": body.choice("match", ("FIRST", "ALL"), "FIRST").lower(),
    }
    body.refuse_unknown()
    return Task("decision", "decision", config, Dialect.NATIVE, config_path=body.path)


def _map(node: Node, body: Reader, place: Place, read_nodes: ReadNodes) -> Node:
    if body.has("pages"):
        return _by_pages(node, body, place, read_nodes)
    if not body.has("items"):
        body.missing("items", 'the list to run for, such as "{{input.orders}}", or pages')
    made = _over_items(body, place, read_nodes)
    return replace(node, input=body.raw("items"), has_input=body.has("items"), body=made)


def _over_items(body: Reader, place: Place, read_nodes: ReadNodes) -> MapBody:
    tolerated, share = _tolerated(body)
    return MapBody(
        nodes=read_nodes(body, "map", place.inside(ITEM_NAMES)),
        concurrency=body.integer(
            "concurrency", limits.MAP_CONCURRENCY_DEFAULT, 1, limits.MAP_CONCURRENCY_MAX
        ),
        path=body.path,
        tolerated=tolerated,
        tolerated_share=share,
        batch=body.integer("batch", 0, 1, limits.MAP_BATCH_MAX),
        counted=body.choice("results", RESULTS, RESULTS[0]) == "COUNT",
    )


def _by_pages(node: Node, body: Reader, place: Place, read_nodes: ReadNodes) -> Node:
    """Return a map over pages: a task fetches each page, and a map runs for its items."""
    if body.has("items"):
        message = "items is the whole list, pages fetches it in parts; write one of them"
        body.problems.add("DEFINITION_INVALID", message, (*body.path, "items"), at_key=True)
    inside = place.inside()
    over = _over_items(body, inside, read_nodes)
    pages = body.object("pages")
    items, following = _path(pages, "items"), _path(pages, "next")
    page = Node(
        id=f"{node.id}:page",
        path=pages.path,
        task_ref=pages.task_ref("taskRef"),
        input=pages.raw("input") if pages.has("input") else CURSOR_INPUT,
        has_input=True,
        retry=read_retry(pages),
        timeout_ms=read_timeout(pages),
        queue=pages.identifier("queue", "", required=False),
        bound=inside.bound | PAGE_NAMES,
    )
    each = Node(
        id=f"{node.id}:items",
        path=(*body.path, "tasks"),
        input=f'{{{{tasks["{page.id}"].output.{".".join(items)}}}}}',
        has_input=True,
        body=replace(over, path=pages.path, next_path=following),
        bound=inside.bound,
    )
    most = pages.integer("maxPages", limits.MAP_PAGES_DEFAULT, 1, limits.MAP_PAGES_MAX)
    pages.refuse_unknown()
    made = MapBody((page, each), over.concurrency, body.path, pages_max=most, counted=over.counted)
    return replace(node, body=made)


def _path(pages: Reader, key: str) -> tuple[str, ...]:
    """Return the path of a member in the output of the fetching task: `data.orders`."""
    text = pages.text(key) or key
    if not _PATH.match(text):
        pages.wrong(key, "member names separated by dots, such as data.orders")
        return (key,)
    return tuple(text.split("."))


def _tolerated(body: Reader) -> tuple[int, float]:
    """Return the number or the share of items that may fail."""
    if body.raw("tolerate") is None:
        return 0, 0.0
    members = body.object("tolerate")
    count = members.integer("count", 0, 0, limits.MAP_ITEMS_MAX)
    share = members.number("share", 0.0, 0, 1)
    members.refuse_unknown()
    return count, share


def _group(node: Node, body: Reader, place: Place, read_nodes: ReadNodes) -> Node:
    nodes = read_nodes(body, "group", place.inside())
    return replace(node, body=GroupBody(nodes, body.path))


def _race(node: Node, body: Reader, place: Place, read_nodes: ReadNodes) -> Node:
    nodes = read_nodes(body, "race", place.inside())
    return replace(node, body=GroupBody(nodes, body.path, race=True))


def _loop(node: Node, body: Reader, place: Place, read_nodes: ReadNodes) -> Node:
    """Return a loop: it tests the condition and runs the tasks; their output is the state of the
    next round.
    """
    inside = place.inside(STATE_NAMES)
    when = body.required_text("while", "a CEL expression over state, input and tasks")
    config: dict[str, Json] = {
        "conditions": [{"id": f"{node.id}:tasks", "expression": when, "language": "cel"}],
        "default": [],
        "match": "first",
    }
    rounds = body.integer("rounds", _ROUNDS_DEFAULT, 1, limits.LOOP_ROUNDS_MAX)
    task = Task("decision", "decision", config, Dialect.NATIVE, config_path=body.path)
    test = Node(
        id=f"{node.id}:while",
        path=(*body.path, "while"),
        task=task,
        follow=Follow(chooses=True, among=(f"{node.id}:tasks", "")),
        bound=inside.bound,
    )
    tasks = Node(
        id=f"{node.id}:tasks",
        path=(*body.path, "tasks"),
        body=GroupBody(read_nodes(body, "loop", inside), body.path, single=True),
        follow=Follow(next=test.id),
        bound=inside.bound,
    )
    machine = StatesBody((test, tasks), test.id, body.path, steps_max=2 * rounds + 1)
    return replace(node, input=body.raw("state"), has_input=True, body=machine)


def _try(node: Node, body: Reader, place: Place, read_nodes: ReadNodes) -> Node:
    """Return a try: its tasks, handlers by failure class, and tasks that always run at the end."""
    inside = place.inside(STATE_NAMES)
    catches: list[Catch] = []
    handlers: list[Node] = []
    if not body.has("catch") and not body.has("finally"):
        body.missing("catch", "a list of {errors, tasks}, or finally with tasks")
    last = _finally(node, body, inside, read_nodes) if body.has("finally") else None
    then = last.id if last is not None else ""
    again = (Catch(("*",), then, defers=True),) if last is not None else ()
    for index, item in enumerate(body.items("catch") if body.has("catch") else ()):
        path: Path = (*body.path, "catch", index)
        if not isinstance(item, dict):
            message = f"a catch is an object with tasks, not {kind_of(item)}"
            body.problems.add("DEFINITION_INVALID", message, path)
            continue
        one = Reader(item, path, body.problems)
        classes = one.identifiers("errors") if one.has("errors") else ("*",)
        handler = Node(
            id=f"{node.id}:catch{index}",
            path=path,
            body=GroupBody(read_nodes(one, "catch", inside), path, single=True),
            follow=Follow(next=then, catches=again),
            bound=inside.bound,
        )
        one.refuse_unknown()
        handlers.append(handler)
        catches.append(Catch(classes, handler.id))
    tried = Node(
        id=f"{node.id}:tasks",
        path=(*body.path, "tasks"),
        body=GroupBody(read_nodes(body, "try", inside), body.path, single=True),
        follow=Follow(next=then, catches=(*catches, *again)),
        bound=inside.bound,
    )
    end = (last,) if last is not None else ()
    machine = StatesBody((tried, *handlers, *end), tried.id, body.path)
    return replace(node, input=None, has_input=True, body=machine)


def _finally(node: Node, body: Reader, inside: Place, read_nodes: ReadNodes) -> Node:
    members = body.object("finally")
    nodes = read_nodes(members, "finally", inside)
    members.refuse_unknown()
    return Node(
        id=f"{node.id}:finally",
        path=members.path,
        body=GroupBody(nodes, members.path, single=True),
        follow=Follow(keeps=True),
        bound=inside.bound,
    )


_Read = Callable[[Node, Reader, Place, ReadNodes], Node]
_READERS: dict[str, _Read] = {
    "map": _map,
    "group": _group,
    "race": _race,
    "loop": _loop,
    "try": _try,
}
