"""What the graph of a workflow looks like: roots, leaves, paths, groups, the critical path."""

from flowmesh.api.definition.v1 import definition_pb2 as pb
from flowmesh.definitions.graph import Graph, levels
from flowmesh.definitions.limits import INT64_MAX, PATHS_DEFAULT, PATHS_MAX
from flowmesh.definitions.model import Workflow
from flowmesh.definitions.scopes import Scope


def analyse(workflow: Workflow, path_count_max: int = 0) -> pb.Analysis:
    """The analysis of a checked workflow; at most `path_count_max` paths are spelled out.

    A map is one node of the graph it stands in; its body is analysed as a graph of its own.
    """
    most = min(path_count_max or PATHS_DEFAULT, PATHS_MAX)
    return _analysis(Scope(workflow.nodes), most)


def _analysis(scope: Scope, path_count_max: int) -> pb.Analysis:
    graph = scope.graph
    groups = levels(graph)
    names = graph.ids
    count = path_count(graph, groups)
    critical = critical_path(graph, groups)
    return pb.Analysis(
        roots=[names[node] for node in graph.roots],
        leaves=[names[node] for node in graph.leaves],
        nodes=[
            pb.NodeEdges(
                id=name,
                successors=[names[after] for after in graph.successors[node]],
                dependencies=[names[before] for before in graph.dependencies[node]],
                map=_analysis(body, path_count_max) if body is not None else None,
            )
            for node, name in enumerate(names)
            for body in (scope.bodies.get(scope.nodes[node].path),)
        ],
        paths=[
            pb.NodePath(nodes=[names[node] for node in path])
            for path in paths(graph, path_count_max)
        ],
        path_count=count if count <= INT64_MAX else -1,
        branch_points=[names[n] for n, after in enumerate(graph.successors) if len(after) > 1],
        convergence_points=[
            names[n] for n, before in enumerate(graph.dependencies) if len(before) > 1
        ],
        groups=[pb.NodeGroup(nodes=[names[node] for node in group]) for group in groups],
        critical_path=[names[node] for node in critical],
        depth=len(groups),
    )


def path_count(graph: Graph, groups: list[list[int]]) -> int:
    """How many ways lead from a root to a leaf: exact, by adding up level by level."""
    ways = [0] * len(graph.ids)
    for group in groups:
        for node in group:
            ways[node] = sum(ways[before] for before in graph.dependencies[node]) or 1
    return sum(ways[leaf] for leaf in graph.leaves)


def paths(graph: Graph, most: int) -> list[list[int]]:
    """The first ways from a root to a leaf, in definition order."""
    found: list[list[int]] = []
    for root in graph.roots:
        way = [root]
        following = [iter(graph.successors[root])]
        while following and len(found) < most:
            after = next(following[-1], None)
            if after is not None:
                way.append(after)
                following.append(iter(graph.successors[after]))
                continue
            if not graph.successors[way[-1]]:
                found.append(list(way))
            way.pop()
            following.pop()
    return found


def critical_path(graph: Graph, groups: list[list[int]]) -> list[int]:
    """The longest chain by node count; of equal ones the first in definition order."""
    depth = {node: level for level, group in enumerate(groups) for node in group}
    way = [groups[-1][0]] if groups else []
    while way and depth[way[-1]]:
        level = depth[way[-1]] - 1
        way.append(next(n for n in graph.dependencies[way[-1]] if depth[n] == level))
    return way[::-1]
