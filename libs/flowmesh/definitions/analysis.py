"""Analysis of a workflow's graph: roots, leaves, paths, groups, the critical path.

Linear in nodes and edges. Hidden nodes are left out: an edge through them connects the nodes of the
document.
"""

from collections.abc import Iterator, Mapping, Sequence

from flowmesh.api.definition.v1 import definition_pb2 as pb
from flowmesh.definitions.builtins import DELAY
from flowmesh.definitions.graph import Graph, graph_of, levels
from flowmesh.definitions.limits import INT64_MAX, PATH_NODES_MAX, PATHS_DEFAULT, PATHS_MAX
from flowmesh.definitions.model import Edge, Node, Workflow
from flowmesh.definitions.planning.specs import delay_of
from flowmesh.definitions.scopes import Scope

_NODES_BITS = 20
_NO_DURATIONS: Mapping[str, int] = {}


def analyse(
    workflow: Workflow, path_count_max: int = 0, durations_ms: Mapping[str, int] = _NO_DURATIONS
) -> pb.Analysis:
    """Return the analysis of a checked workflow with at most `path_count_max` paths.

    A body counts as one node of its graph and is analyzed as a graph of its own. `durations_ms`
    holds measured times of nodes; a node without one counts with its declared time.
    """
    analysis = pb.Analysis()
    most = min(path_count_max or PATHS_DEFAULT, PATHS_MAX)
    _analyse(Scope(workflow.nodes), most, durations_ms, analysis)
    return analysis


def _analyse(
    scope: Scope, path_count_max: int, durations_ms: Mapping[str, int], into: pb.Analysis
) -> None:
    nodes, graph = shown(scope)
    groups = levels(graph)
    names = graph.ids
    count = path_count(graph, groups)
    listed = paths(graph, path_count_max)
    costs = [declared_ms(node) for node in nodes]
    if durations_ms:
        costs = [durations_ms.get(node.id, cost) for node, cost in zip(nodes, costs, strict=True)]
    critical = critical_path(graph, groups, costs)
    _add_nodes(scope, nodes, graph, into)
    for shown_node, added in zip(nodes, into.nodes, strict=True) if scope.bodies else ():
        body = scope.bodies.get(shown_node.path)
        if body is not None and shown_node.body is not None:
            _analyse(body, path_count_max, durations_ms, added.map)
    into.roots.extend([names[node] for node in graph.roots])
    into.leaves.extend([names[node] for node in graph.leaves])
    for path in listed:
        into.paths.add(nodes=[names[node] for node in path])
    into.path_count = count if count <= INT64_MAX else -1
    into.path_count_text = str(count)
    into.paths_capped = count > len(listed)
    into.branch_points.extend(
        [name for name, after in zip(names, graph.successors, strict=True) if len(after) > 1]
    )
    into.convergence_points.extend(
        [name for name, before in zip(names, graph.dependencies, strict=True) if len(before) > 1]
    )
    add = into.groups.add
    for group in groups:
        append = add().nodes.append
        for node in group:
            append(names[node])
    into.critical_path.extend([names[node] for node in critical])
    into.critical_path_ms = sum(costs[node] for node in critical)
    into.depth = len(groups)


def _add_nodes(scope: Scope, nodes: Sequence[Node], graph: Graph, into: pb.Analysis) -> None:
    names, add = graph.ids, into.nodes.add
    for node, name, after, before in zip(
        nodes, names, graph.successors, graph.dependencies, strict=True
    ):
        # Assign fields one by one: keyword arguments and lists take 50% longer.
        one = add()
        one.id = name
        if node.name != name:
            one.name = node.name
        one.type = type_of(node)
        append = one.successors.append
        for number in after:
            append(names[number])
        append = one.dependencies.append
        for number in before:
            append(names[number])
    edges = leaving(scope)
    if not edges:
        return
    for number, one in enumerate(into.nodes):
        by_target: dict[str, str] = {}
        for target, edge in edges.get(names[number], ()):
            by_target.setdefault(target, edge.id)
            if edge.label or edge.on_failure:
                text = edge.condition or edge.label
                one.edges.add(
                    target=target,
                    condition=text,
                    on_failure=edge.on_failure,
                    label=edge.label,
                    decided_by=edge.source if edge.label else "",
                )
        one.edge_ids.extend([by_target.get(names[after], "") for after in graph.successors[number]])


def shown(scope: Scope) -> tuple[Sequence[Node], Graph]:
    """Return the nodes of the document and their graph without the hidden nodes between them."""
    hidden = {index for index, node in enumerate(scope.nodes) if node.hidden}
    if not hidden:
        return scope.nodes, scope.graph
    before: dict[int, tuple[str, ...]] = {}
    names = scope.graph.ids
    nodes: list[Node] = []
    for index, node in enumerate(scope.nodes):
        if index not in hidden:
            found = _through(scope.graph, index, hidden)
            before[len(nodes)] = tuple(names[number] for number in found)
            nodes.append(node)
    bare = [Node(node.id, node.path) for node in nodes]
    return nodes, graph_of(bare, before)


def _through(graph: Graph, index: int, hidden: set[int]) -> list[int]:
    waiting, found = list(graph.dependencies[index]), []
    while waiting:
        number = waiting.pop()
        if number in hidden:
            waiting.extend(graph.dependencies[number])
        else:
            found.append(number)
    return found


def leaving(scope: Scope) -> dict[str, list[tuple[str, Edge]]]:
    """Return the outgoing edges of each node by its id, with their targets."""
    found: dict[str, list[tuple[str, Edge]]] = {}
    for node in scope.nodes:
        if node.edges and not node.hidden:
            for edge in _written(scope, node):
                found.setdefault(_origin(scope, edge.source), []).append((node.id, edge))
    return found


def _written(scope: Scope, node: Node) -> Iterator[Edge]:
    """Yield the edges to a node as the document has them, including those of hidden nodes before
    it.
    """
    for edge in node.edges:
        source = scope.ids.get(edge.source)
        if source is not None and source.hidden and not edge.label:
            yield from _written(scope, source)
        else:
            yield edge


def _origin(scope: Scope, name: str) -> str:
    """Return the source of an edge in the document; a hidden node may stand behind it."""
    node = scope.ids.get(name)
    while node is not None and node.hidden:
        name = node.dependencies[0]
        node = scope.ids.get(name)
    return name


def type_of(node: Node) -> str:
    """Return the type of a node in one word."""
    if node.body is not None:
        return type(node.body).__name__.removesuffix("Body").lower()
    return node.task.type if node.task is not None else node.task_ref


def declared_ms(node: Node) -> int:
    """Return the declared time of a node in ms: the wait of a timer, or the node's own limit."""
    if node.task is not None and node.task.executor == DELAY:
        return delay_of(node, node.task)[0]
    return node.timeout_ms or (node.task.timeout_ms if node.task is not None else 0)


def path_count(graph: Graph, groups: list[list[int]]) -> int:
    """Return the exact number of paths from a root to a leaf, added up level by level."""
    ways = [0 if before else 1 for before in graph.dependencies]
    for group in groups:
        for node in group:
            ways_here = ways[node]
            for after in graph.successors[node]:
                ways[after] += ways_here
    return sum(ways[leaf] for leaf in graph.leaves)


def paths(graph: Graph, most: int) -> list[list[int]]:
    """Return the first paths from a root to a leaf, in definition order."""
    found: list[list[int]] = []
    left = PATH_NODES_MAX
    for root in graph.roots:
        way = [root]
        following = [iter(graph.successors[root])]
        while following and len(found) < most and left >= len(way):
            after = next(following[-1], None)
            if after is not None:
                way.append(after)
                following.append(iter(graph.successors[after]))
                continue
            if not graph.successors[way[-1]]:
                found.append(list(way))
                left -= len(way)
            way.pop()
            following.pop()
    return found


def critical_path(graph: Graph, groups: list[list[int]], costs: Sequence[int]) -> list[int]:
    """Return the most expensive path; ties go to more nodes, then to the first in the document."""
    if not groups:
        return []
    # Milliseconds in the high part, nodes in the low one: compared as one number.
    weights = [(cost << _NODES_BITS) + 1 for cost in costs]
    longest = [0] * len(costs)
    back = [-1] * len(costs)
    for group in groups:
        for node in group:
            best, chosen = 0, -1
            for before in graph.dependencies[node]:
                if longest[before] > best:
                    best, chosen = longest[before], before
            longest[node] = best + weights[node]
            back[node] = chosen
    node = max(graph.leaves, key=lambda leaf: (longest[leaf], -leaf))
    way = []
    while node >= 0:
        way.append(node)
        node = back[node]
    return way[::-1]
