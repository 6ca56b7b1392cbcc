"""Whether the nodes of a workflow are a graph that can run: unique, known, without circles."""

import difflib

from flowmesh.definitions.graph import circle, graph_of
from flowmesh.definitions.limits import EDGES_MAX
from flowmesh.definitions.model import Node, Workflow
from flowmesh.definitions.planner import GATE_SUFFIX
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.references import Templates

ARROW = " → "
_CIRCLE_SHOWN_MAX = 50
_SUGGESTED_FROM_MAX = 1_000


def check_size(workflow: Workflow, problems: Problems) -> bool:
    """Whether the graph is small enough to look at any closer."""
    edges = sum(len(node.dependencies) for node in workflow.nodes)
    if edges > EDGES_MAX:
        message = f"a workflow has at most {EDGES_MAX:,} dependencies, this one {edges:,}"
        problems.add("GRAPH_TOO_LARGE", message, workflow.nodes_path)
        return False
    return True


def check_graph(workflow: Workflow, templates: Templates, problems: Problems) -> None:
    _check_unique(workflow, problems)
    ids = frozenset(node.id for node in workflow.nodes)
    for node in workflow.nodes:
        for number, name in enumerate(node.dependencies):
            if name and name not in ids and not problems.full:
                message = f"{node.id or 'a node'} depends on {name!r}, which does not exist"
                path = (*node.path, node.dependencies_key, number)
                problems.add("GRAPH_UNKNOWN_NODE", message + nearest(name, ids), path)
    _check_circles(workflow, templates, problems)


def nearest(name: str, known: frozenset[str]) -> str:
    """`; did you mean …?` where something is close."""
    if len(known) > _SUGGESTED_FROM_MAX:
        return ""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _check_unique(workflow: Workflow, problems: Problems) -> None:
    first: dict[str, Path] = {}
    guarded = {node.id + GATE_SUFFIX for node in workflow.nodes if node.condition}
    for node in workflow.nodes:
        if not node.id:
            continue
        if node.id in first or node.id in guarded:
            message = f"the id {node.id!r} is taken by another node"
            problems.add("GRAPH_DUPLICATE_NODE", message, (*node.path, "id"))
        first.setdefault(node.id, node.path)


def _check_circles(workflow: Workflow, templates: Templates, problems: Problems) -> None:
    graph = graph_of(workflow, templates.implied)
    for index, node in enumerate(workflow.nodes):
        if index in graph.dependencies[index]:
            message = f"Circular dependency: {node.id}{ARROW}{node.id}"
            problems.add("GRAPH_CYCLE", message, _edge_path(node, node.id))
            return
    way = circle(graph)
    if way:
        names = [graph.ids[index] for index in way]
        first = workflow.nodes[way[0]]
        problems.add(
            "GRAPH_CYCLE", f"Circular dependency: {_shown(names)}", _edge_path(first, names[1])
        )


def _shown(names: list[str]) -> str:
    if len(names) > _CIRCLE_SHOWN_MAX:
        half = _CIRCLE_SHOWN_MAX // 2
        left_out = f"… ({len(names) - 2 * half} more) …"
        names = [*names[:half], left_out, *names[-half:]]
    return ARROW.join(names)


def _edge_path(node: Node, dependency: str) -> Path:
    """Where a node says that it depends on another; its input where a template says so."""
    if dependency in node.dependencies:
        number = node.dependencies.index(dependency)
        return (*node.path, node.dependencies_key, number)
    return (*node.path, "input") if node.has_input else node.path
