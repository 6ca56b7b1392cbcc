"""Checks of a graph: unique ids, known dependencies, no cycles."""

from flowmesh.definitions.graph import circle
from flowmesh.definitions.limits import EDGES_MAX, NODES_MAX
from flowmesh.definitions.model import Node, Workflow, every_node
from flowmesh.definitions.problems import Path, Problems, nearest
from flowmesh.definitions.references import decides
from flowmesh.definitions.scopes import GATE_SUFFIX, Scope

ARROW = " → "
_CIRCLE_SHOWN_MAX = 50


def check_size(workflow: Workflow, problems: Problems) -> bool:
    """Return whether the graph, including its maps, is small enough for the other checks."""
    dependencies = [len(node.dependencies) for node in every_node(workflow.nodes)]
    for count, most, what in (
        (len(dependencies), NODES_MAX, "nodes"),
        (sum(dependencies), EDGES_MAX, "dependencies"),
    ):
        if count > most:
            message = f"a workflow has at most {most:,} {what}, this one {count:,}"
            problems.add("GRAPH_TOO_LARGE", message, workflow.nodes_path)
            return False
    return True


def check_graph(scope: Scope, problems: Problems) -> None:
    """Check one graph; the graphs of its maps are checked separately."""
    _check_unique(scope, problems)
    for node in scope.nodes:
        if all(map(scope.ids.__contains__, node.dependencies)):
            continue
        for number, name in enumerate(node.dependencies):
            if name and name not in scope.ids and not problems.full:
                message = f"{node.id or 'a node'} depends on {name!r}, which "
                if name in scope.visible and scope.owner is not None:
                    message += f"is outside the map; let the map {scope.owner.id!r} depend on it"
                else:
                    message += "does not exist" + nearest(name, scope.ids)
                path = (*node.path, node.dependencies_key, number)
                problems.add("GRAPH_UNKNOWN_NODE", message, path)
    _check_labels(scope, problems)
    _check_circles(scope, problems)


def _check_labels(scope: Scope, problems: Problems) -> None:
    """Refuse labels of edges that the decision cannot return."""
    for node in scope.nodes:
        for edge in node.edges:
            source = scope.ids.get(edge.source)
            if not edge.label or source is None or not decides(source) or source.task is None:
                continue
            config = source.task.config
            labels = [*(one["id"] for one in config["conditions"]), *config["default"]]
            if edge.label not in labels:
                message = f"{source.id} has no condition {edge.label!r}"
                message += nearest(edge.label, labels)
                key = "outcome" if edge.id else "on"
                problems.add("GRAPH_UNKNOWN_NODE", message, (*edge.path, key))


def _check_unique(scope: Scope, problems: Problems) -> None:
    first: set[str] = set()
    for node in scope.nodes:
        if not node.id:
            continue
        path = (*node.path, "id")
        if node.id in first or node.id in scope.gates:
            message = f"the id {node.id!r} is taken by another node"
            problems.add("GRAPH_DUPLICATE_NODE", message, path)
        elif _taken_around(scope, node):
            message = (
                f"the id {node.id!r} is taken by a node around the map, "
                f"so tasks.{node.id} could mean either; choose another"
            )
            problems.add("GRAPH_DUPLICATE_NODE", message, path)
        first.add(node.id)


def _taken_around(scope: Scope, node: Node) -> bool:
    names = {node.id, node.id + GATE_SUFFIX} if node.condition else {node.id}
    return any(
        not names.isdisjoint(around.ids) or not names.isdisjoint(around.gates)
        for around in scope.around()
    )


def _check_circles(scope: Scope, problems: Problems) -> None:
    graph = scope.graph
    for index, node in enumerate(scope.nodes):
        if index in graph.dependencies[index]:
            message = f"Circular dependency: {node.id}{ARROW}{node.id}"
            problems.add("GRAPH_CYCLE", message, _edge_path(scope, index, node.id))
            return
    way = circle(graph)
    if way:
        names = [graph.ids[index] for index in way]
        path = _edge_path(scope, way[0], names[1])
        problems.add("GRAPH_CYCLE", f"Circular dependency: {_shown(names)}", path)


def _shown(names: list[str]) -> str:
    if len(names) > _CIRCLE_SHOWN_MAX:
        half = _CIRCLE_SHOWN_MAX // 2
        left_out = f"… ({len(names) - 2 * half} more) …"
        names = [*names[:half], left_out, *names[-half:]]
    return ARROW.join(names)


def _edge_path(scope: Scope, index: int, dependency: str) -> Path:
    """Return the path of a dependency: the list, or the input if a template implies it."""
    node = scope.nodes[index]
    for edge in node.edges:
        if edge.source == dependency:
            return edge.path
    if dependency in node.dependencies:
        number = node.dependencies.index(dependency)
        return (*node.path, node.dependencies_key, number)
    body = scope.bodies.get(node.path)
    if body is not None:
        for inner, names in body.implied.items():
            if dependency in names:
                return _edge_path(body, inner, dependency)
    return node.input_path if node.has_input else node.path
