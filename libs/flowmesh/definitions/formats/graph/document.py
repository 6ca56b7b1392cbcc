"""Graph JSON: `nodes[]` of eight types with positions and data, `edges[]` with conditions.

Unknown members are kept and returned, with a warning outside of `data`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.formats.common import callbacks_of, node_list
from flowmesh.definitions.formats.graph.edges import (
    Decision,
    Drawn,
    Wiring,
    read_decision,
    read_edges,
    wire,
)
from flowmesh.definitions.formats.graph.nodes import (
    AFTER_SUFFIX,
    BEFORE_SUFFIX,
    CONTEXT,
    NATIVE_KEYS,
    NODE_TYPES,
    NodeTask,
    Place,
    read_node_task,
)
from flowmesh.definitions.formats.native import bodies as native_bodies
from flowmesh.definitions.formats.native import calls
from flowmesh.definitions.formats.native.outcomes import (
    read_compensation,
    read_outcome,
    read_policy,
)
from flowmesh.definitions.formats.native.resources import read_task
from flowmesh.definitions.formats.search_attributes import read_retention, read_search
from flowmesh.definitions.formats.start_policy import read_start
from flowmesh.definitions.formats.steps import read_retry, read_timeout
from flowmesh.definitions.formats.task_limits import read_limits, read_permissions, read_requires
from flowmesh.definitions.formats.triggers import read_triggers, receiving_node, trigger_node
from flowmesh.definitions.formats.variables import read_variables
from flowmesh.definitions.model import (
    NATIVE_RETRY,
    VARIABLE_NAMES,
    Dialect,
    Edge,
    Join,
    Node,
    Priority,
    Workflow,
)
from flowmesh.definitions.problems import Path, nearest
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.definitions.triggers import Trigger

_PRIORITIES = tuple(priority.name for priority in Priority)
_JOINS = tuple(join.value for join in Join)
N_OF_M = "n-of-m"
_INVALID = "DEFINITION_INVALID"
# Types of nodes that start runs, if a graph has one.
_ENTRANCES = frozenset({"trigger", "webhook"})
# Types of nodes without an output for a following transformation.
_WITHOUT_OUTPUT = frozenset({"", "decision", "trigger", "delay"})
# Members of a node, also known to a native task, that the task may not repeat.
_NODE_MEMBERS = ("critical", "priority", "queue", "limits", "requires", "permissions", "repeatable")
_EDGE_MEMBERS = ("dependsOn", "join")


@dataclass(slots=True)
class _Found:
    """A node as written, before the edges are read."""

    id: str
    kind: str
    reader: Reader
    data: Reader
    decision: Decision | None = None


@dataclass(slots=True)
class _Graph:
    """The graph of a document that is being read."""

    reader: Reader
    workflow_id: str
    # Additional names for the templates of its nodes.
    bound: frozenset[str]
    found: list[_Found] = field(default_factory=list)
    paths: dict[str, Path] = field(default_factory=dict)


def load(reader: Reader) -> Workflow:
    workflow_id = reader.identifier("id", "the id of the workflow")
    reader.text("description", most=limits.DESCRIPTION_CHARACTERS_MAX)
    for key in ("version", "metadata", "processedGraph"):
        reader.has(key)
    if reader.raw("metadata") is not None:
        _metadata(reader.object("metadata"))
    webhooks = reader.object("webhooks")
    variables = read_variables(reader)
    graph = _Graph(reader, workflow_id, VARIABLE_NAMES if variables else frozenset())
    nodes = _nodes(graph)
    workflow = Workflow(
        id=workflow_id,
        name=reader.text("name") or workflow_id,
        dialect=Dialect.GRAPH,
        nodes=nodes,
        input_schema=reader.raw("inputSchema"),
        output_schema=reader.raw("outputSchema"),
        output=reader.raw("output"),
        has_output=reader.has("output"),
        parallelism=reader.integer("maxConcurrency", 0, 0, limits.NODES_MAX),
        timeout_ms=read_timeout(reader),
        callbacks=callbacks_of(webhooks),
        labels=reader.labels(),
        nodes_path=("nodes",),
        on_failure=read_policy(reader),
        compensation=read_compensation(reader),
        triggers=(*_triggers(graph, nodes), *read_triggers(reader, workflow_id)),
        search=read_search(reader),
        retention_ms=read_retention(reader),
        start=read_start(reader),
        limits=read_limits(reader),
        variables=variables,
    )
    webhooks.warn_of_unknown()
    reader.warn_of_unknown()
    return workflow


def _triggers(graph: _Graph, nodes: tuple[Node, ...]) -> Iterator[Trigger]:
    """Yield the triggers: trigger nodes, and receivers without a predecessor."""
    first = {node.id.removesuffix(BEFORE_SUFFIX) for node in nodes if not node.dependencies}
    for each in graph.found:
        if each.kind == "trigger" and each.id:
            yield from trigger_node(each.id, each.data)
        elif each.kind == "webhook" and each.id in first and graph.workflow_id:
            yield receiving_node(each.id, each.data, graph.workflow_id)


def _metadata(metadata: Reader) -> None:
    for key in ("createdAt", "updatedAt", "createdBy", "category"):
        metadata.text(key)
    for index, tag in enumerate(metadata.items("tags")):
        if not isinstance(tag, str):
            path = (*metadata.path, "tags", index)
            metadata.problems.add(_INVALID, f"a tag is a string, not {kind_of(tag)}", path)
    metadata.flag("isPublic", False)


def _nodes(graph: _Graph) -> tuple[Node, ...]:
    """Return the nodes of a graph in order, hidden ones next to their owners."""
    _read_nodes(graph)
    problems = graph.reader.problems
    drawn = read_edges(graph.reader, graph.paths)
    decisions = {each.id: each.decision for each in graph.found if each.decision is not None}
    wiring = wire(drawn, decisions, graph.paths, problems)
    _check_entrances(graph, drawn)
    kinds = {each.id: each.kind for each in graph.found}
    nodes: list[Node] = []
    for each in graph.found:
        nodes += _made(each, wiring, kinds, graph.bound)
    return tuple(nodes)


def _read_nodes(graph: _Graph) -> None:
    problems = graph.reader.problems
    for index, value in enumerate(node_list(graph.reader, "nodes")):
        path: Path = (*graph.reader.path, "nodes", index)
        if not isinstance(value, dict):
            problems.add(_INVALID, f"a node is an object, not {kind_of(value)}", path)
            continue
        reader = Reader(value, path, problems)
        node_id = reader.identifier("id", "the name of the node")
        if node_id in graph.paths:
            message = f"the id {node_id!r} is taken by another node"
            problems.add("GRAPH_DUPLICATE_NODE", message, (*path, "id"))
            node_id = ""
        kind = _kind(reader)
        _descriptive(reader, graph)
        each = _Found(node_id, kind, reader, reader.object("data"))
        if kind == "decision":
            each.decision = read_decision(each.data)
        graph.found.append(each)
        if node_id:
            graph.paths[node_id] = each.data.path


def _kind(reader: Reader) -> str:
    kind = reader.raw("type")
    if isinstance(kind, str) and kind in NODE_TYPES:
        return kind
    if not reader.has("type"):
        reader.missing("type", "one of " + ", ".join(NODE_TYPES))
    else:
        hint = nearest(str(kind)[:64], NODE_TYPES) or f"; there are {', '.join(NODE_TYPES)}"
        message = f"{str(kind)[:64]!r} is no node type{hint}"
        reader.problems.add(_INVALID, message, (*reader.path, "type"))
    return ""


def _descriptive(reader: Reader, graph: _Graph) -> None:
    """Read the descriptive members of a node, which have no effect."""
    reader.text("description", most=limits.DESCRIPTION_CHARACTERS_MAX)
    owner = reader.raw("workflowId")
    if owner is not None and owner != graph.workflow_id:
        message = f"workflowId is {str(owner)[:64]!r}, and the workflow's id {graph.workflow_id!r}"
        reader.problems.add(_INVALID, message, (*reader.path, "workflowId"))
    reader.has("version")
    if reader.raw("position") is not None:
        position = reader.object("position")
        for key in ("x", "y"):
            if not position.has(key):
                position.missing(key, "a number")
            position.number(key, 0, -1e12, 1e12)
    if reader.raw("metadata") is not None:
        _metadata(reader.object("metadata"))


def _made(each: _Found, wiring: Wiring, kinds: dict[str, str], bound: frozenset[str]) -> list[Node]:
    """Return a node with the hidden ones before it, after it and on its edges."""
    edges = tuple(wiring.edges.get(each.id, ())) if each.id else ()
    previous = edges[0].source.removesuffix(AFTER_SUFFIX) if len(edges) == 1 else ""
    if kinds.get(previous, "") in _WITHOUT_OUTPUT:
        previous = ""
    node_task = NodeTask()
    native = each.kind == "custom" and any(key in each.data.value for key in NATIVE_KEYS)
    if each.kind and not native:
        node_task = read_node_task(each.kind, Place(each.id, each.data, previous))
    node = _native(each, bound) if native else _node(each, node_task, bound)
    node = replace(
        node,
        dependencies=tuple(edge.source for edge in edges),
        dependencies_key="edges",
        edges=edges,
        join=_join(each.reader, edges),
    )
    node = _with_count(node, each.reader)
    if each.id in wiring.configs and node.task is not None:
        config, places = wiring.configs[each.id]
        node = replace(node, task=replace(node.task, config=config, places=places))
    each.reader.warn_of_unknown()
    if each.kind != "custom":
        each.data.warn_of_misspelt()
    hidden = list(wiring.between.get(each.id, ())) if each.id else []
    if node_task.before is not None:
        first = replace(
            node_task.before,
            dependencies=node.dependencies,
            edges=node.edges,
            join=node.join,
            join_count=node.join_count,
            join_required=node.join_required,
        )
        after = Edge(first.id, node.path)
        node = replace(
            node,
            dependencies=(first.id,),
            edges=(after,),
            join=Join.STRICT,
            join_count=1,
            join_required=(),
        )
        hidden.append(first)
    behind = wiring.behind.get(each.id) if each.id else None
    return [*hidden, node, *([behind] if behind is not None else [])]


def _node(each: _Found, node_task: NodeTask, bound: frozenset[str]) -> Node:
    """Return a node of one of the types, without its edges."""
    reader, data = each.reader, each.data
    return Node(
        id=each.id,
        path=data.path,
        name=reader.text("name") or each.id,
        task=node_task.task,
        input=node_task.input,
        has_input=node_task.has_input,
        retry=read_retry(data),
        timeout_ms=read_timeout(data),
        critical=reader.flag("critical", True),
        priority=Priority[reader.choice("priority", _PRIORITIES, Priority.NORMAL.name)],
        queue=reader.identifier("queue", "", required=False),
        outcome=read_outcome(reader, each.id, frozenset()),
        bound=CONTEXT | bound if node_task.has_input else frozenset(),
        cache=calls.read_cache(reader, Reader.integer),
        limits=read_limits(reader),
        requires=read_requires(reader),
        permissions=read_permissions(reader),
        repeatable=reader.flag("repeatable", False),
    )


def _native(each: _Found, bound: frozenset[str]) -> Node:
    """Return a custom node whose data is a native task."""
    reader, data = each.reader, each.data
    members = {key: reader.raw(key) for key in ("name", *_NODE_MEMBERS) if reader.has(key)}
    value = {**data.value, **members, "id": each.id or "unknown"}
    for key in _EDGE_MEMBERS:
        if value.pop(key, None) is not None:
            message = f"{key} is set by edges and by the join of the node"
            data.problems.add(_INVALID, message, (*data.path, key), at_key=True)
    task = Reader(value, data.path, data.problems)
    node = read_task(task, native_bodies.Place(bound=bound))
    task.warn_of_unknown()
    return _with_native_retries(replace(node, id=each.id))


def _with_native_retries(node: Node) -> Node:
    """Return the node with the default retries of native workflows."""
    if node.body is not None:
        nodes = tuple(_with_native_retries(inner) for inner in node.body.nodes)
        return replace(node, body=replace(node.body, nodes=nodes))
    # A started workflow runs once, as there.
    if node.task is None or node.retry is not None or node.task.executor == "subworkflow":
        return node
    return replace(node, retry=NATIVE_RETRY)


def _join(reader: Reader, edges: tuple[Edge, ...]) -> Join:
    value: Json = reader.raw("join")
    if isinstance(value, dict):
        value = value.get("type", N_OF_M)
    default = Join.ALL if len(edges) > 1 else Join.STRICT
    if value is None:
        return default
    if value == N_OF_M:
        return Join.ANY
    if isinstance(value, str) and value.lower() in _JOINS:
        return Join(value.lower())
    message = f"the join {str(value)[:64]!r}; there are {', '.join((*_JOINS, N_OF_M))}"
    reader.problems.add("FEATURE_UNSUPPORTED", message, (*reader.path, "join"))
    return default


def _with_count(node: Node, reader: Reader) -> Node:
    """Return the node with the count and the required sources of its join, if the join is an
    object.
    """
    if not isinstance(reader.raw("join"), dict):
        return node
    members = reader.object("join")
    members.text("type")
    sources = dict.fromkeys(node.dependencies)
    count = members.integer("count", 1, 1, max(1, len(sources)))
    required = members.identifiers("required")
    for number, name in enumerate(required):
        if name and not _sources_of(name, sources):
            message = f"no edge leads here from {name!r}{nearest(name, sources)}"
            path = (*members.path, "required", number)
            members.problems.add("GRAPH_UNKNOWN_NODE", message, path)
    members.refuse_unknown()
    known = (source for name in required for source in _sources_of(name, sources))
    return replace(node, join_count=count, join_required=tuple(known))


def _sources_of(name: str, sources: Iterable[str]) -> list[str]:
    """Return the sources of the edges from a node, hidden ones behind it included."""
    return [source for source in sources if source in (name, name + AFTER_SUFFIX)]


def _check_entrances(graph: _Graph, drawn: list[Drawn]) -> None:
    """Refuse nodes that no trigger leads to, if the graph has triggers."""
    problems = graph.reader.problems
    after: dict[str, list[str]] = {}
    for edge in drawn:
        after.setdefault(edge.source, []).append(edge.target)
    targets = {edge.target for edge in drawn}
    kinds = {each.id: each.kind for each in graph.found if each.id}
    for edge in drawn:
        if kinds.get(edge.target) == "trigger":
            message = f"{edge.id} leads to the trigger {edge.target}; runs start at triggers"
            problems.add(_INVALID, message, (*edge.path, "target"))
    if "trigger" not in kinds.values():
        return
    waiting = [name for name, kind in kinds.items() if kind in _ENTRANCES and name not in targets]
    reached = set(waiting)
    while waiting:
        for name in after.get(waiting.pop(), ()):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    circles = _only_in_circles(kinds, drawn)
    for name in kinds:
        if name not in reached and name not in circles:
            message = f"no trigger leads to {name}, so it never runs"
            path = (*graph.paths[name][:-1], "id")
            problems.add("GRAPH_UNREACHABLE_NODE", message, path)


def _only_in_circles(kinds: dict[str, str], drawn: list[Drawn]) -> set[str]:
    """Return nodes in a cycle or behind one, which another check reports."""
    before = dict.fromkeys(kinds, 0)
    after: dict[str, list[str]] = {}
    for edge in drawn:
        before[edge.target] += 1
        after.setdefault(edge.source, []).append(edge.target)
    waiting = [name for name, count in before.items() if not count]
    while waiting:
        for target in after.get(waiting.pop(), ()):
            before[target] -= 1
            if not before[target]:
                waiting.append(target)
    return {name for name, count in before.items() if count}
