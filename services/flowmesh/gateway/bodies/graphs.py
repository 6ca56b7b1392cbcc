"""The graph of a workflow in responses: the keys of a processed workflow, and more."""

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.gateway.bodies.answers import Answer


class NodeRelationship(Answer, kw_only=True):
    """A node and its neighbours."""

    id: str
    successors: list[str]
    dependencies: list[str]


class GraphNode(NodeRelationship, kw_only=True):
    """A node of the graph; `type` is the type in its document or the referenced task."""

    name: str
    type: str


class Edge(Answer, kw_only=True):
    """An edge of the graph, with its id in the document if present."""

    id: str
    source: str
    target: str
    condition: str | UnsetType = UNSET
    on_failure: bool | UnsetType = UNSET


class Forest(Answer, kw_only=True):
    """The root nodes, and the successors of each node."""

    roots: list[str]
    adjacency_list: dict[str, NodeRelationship]


class GraphExecution(Answer, kw_only=True):
    """The data for scheduling the graph."""

    branch_points: list[str]
    leaf_nodes: list[str]
    convergence_points: list[str]
    parallel_execution_groups: list[list[str]]


class GraphPath(Answer, kw_only=True):
    """A path from a root to a leaf."""

    nodes: list[str]


class AnalysisAnswer(Answer, kw_only=True):
    """A graph, with the graphs of its maps. `pathCount` counts all paths, listed or not.

    Above 2^63 it is -1, and `pathCountText` holds it. `criticalPathMs` uses the known durations:
    those of timers and time limits, or observed ones.
    """

    name: str
    version: int
    forest: Forest
    nodes: dict[str, GraphNode]
    edges: dict[str, Edge]
    paths: list[GraphPath]
    path_count: int
    path_count_text: str
    paths_capped: bool
    execution: GraphExecution
    roots: list[str]
    leaves: list[str]
    groups: list[list[str]]
    branch_points: list[str]
    convergence_points: list[str]
    critical_path: list[str]
    critical_path_ms: int
    depth: int
    maps: "dict[str, AnalysisAnswer] | UnsetType" = UNSET


def analysis_answer(name: str, version: int, analysis: definition_pb2.Analysis) -> AnalysisAnswer:
    nodes = {
        node.id: GraphNode(
            id=node.id,
            name=node.name or node.id,
            type=node.type,
            successors=list(node.successors),
            dependencies=list(node.dependencies),
        )
        for node in analysis.nodes
    }
    edges = [edge for node in analysis.nodes for edge in _edges_from(node)]
    roots, leaves = list(analysis.roots), list(analysis.leaves)
    branches, joins = list(analysis.branch_points), list(analysis.convergence_points)
    groups = [list(group.nodes) for group in analysis.groups]
    bodies = {node.id: node.map for node in analysis.nodes if node.HasField("map")}
    return AnalysisAnswer(
        name=name,
        version=version,
        forest=Forest(
            roots=roots,
            adjacency_list={
                id: NodeRelationship(
                    id=id, successors=node.successors, dependencies=node.dependencies
                )
                for id, node in nodes.items()
            },
        ),
        nodes=nodes,
        edges={edge.id: edge for edge in edges},
        paths=[GraphPath(nodes=list(path.nodes)) for path in analysis.paths],
        path_count=analysis.path_count,
        path_count_text=analysis.path_count_text,
        paths_capped=analysis.paths_capped,
        execution=GraphExecution(
            branch_points=branches,
            leaf_nodes=leaves,
            convergence_points=joins,
            parallel_execution_groups=groups,
        ),
        roots=roots,
        leaves=leaves,
        groups=groups,
        branch_points=branches,
        convergence_points=joins,
        critical_path=list(analysis.critical_path),
        critical_path_ms=analysis.critical_path_ms,
        depth=analysis.depth,
        maps={id: analysis_answer(id, version, body) for id, body in bodies.items()} or UNSET,
    )


def _edges_from(node: definition_pb2.NodeEdges) -> Iterator[Edge]:
    """Yield the edges of a node; the id of an edge without one is made of its ends."""
    rules = {edge.target: edge for edge in node.edges}
    ids = list(node.edge_ids) or [""] * len(node.successors)
    for target, edge_id in zip(node.successors, ids, strict=True):
        rule = rules.get(target)
        yield Edge(
            id=edge_id or f"{node.id}->{target}",
            source=node.id,
            target=target,
            condition=(rule.condition or UNSET) if rule is not None else UNSET,
            on_failure=(rule.on_failure or UNSET) if rule is not None else UNSET,
        )
