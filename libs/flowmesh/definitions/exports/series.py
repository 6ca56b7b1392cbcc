"""A graph as nested series and branches, for formats without edges.

Only a series-parallel graph can be expressed exactly: nodes side by side have the same predecessors
and successors. Any other graph is refused, because an additional dependency would delay a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flowmesh.definitions.graph import Graph, levels
from flowmesh.definitions.limits import BODY_DEPTH_MAX


@dataclass(frozen=True, slots=True)
class Series:
    """Blocks in sequence, at least two. An index is a node of the graph."""

    blocks: "tuple[Block, ...]"


@dataclass(frozen=True, slots=True)
class Branches:
    """Parallel blocks, at least two."""

    blocks: "tuple[Block, ...]"


Block = int | Series | Branches


class UnstructuredGraph(Exception):
    """A graph that is not series-parallel, with the reason; `nodes` holds the indexes concerned."""

    def __init__(self, why: str, nodes: Sequence[int]) -> None:
        super().__init__(why)
        self.nodes = tuple(nodes)


def blocks_of(graph: Graph) -> Block:
    """Return the nodes of an acyclic graph of at least one node as nested blocks.

    Branches are in definition order. Raises UnstructuredGraph.
    """
    order = [node for level in levels(graph) for node in level]
    return _block(order, graph, before_each(graph), 0)


def before_each(graph: Graph) -> list[int]:
    """Return the direct and indirect dependencies of each node, as the bits of a number."""
    before = [0] * len(graph.ids)
    for level in levels(graph):
        for node in level:
            for dependency in graph.dependencies[node]:
                before[node] |= before[dependency] | 1 << dependency
    return before


def _block(nodes: list[int], graph: Graph, before: Sequence[int], depth: int) -> Block:
    """Return the block of `nodes`, which are in topological order."""
    if len(nodes) == 1:
        return nodes[0]
    if depth > 2 * BODY_DEPTH_MAX:
        raise UnstructuredGraph(f"branches in branches more than {BODY_DEPTH_MAX} deep", nodes)
    parts = _parts(nodes, graph)
    if len(parts) > 1:
        return Branches(tuple(_block(part, graph, before, depth + 1) for part in parts))
    stages = _stages(nodes, before)
    if len(stages) > 1:
        return Series(tuple(_block(stage, graph, before, depth + 1) for stage in stages))
    raise UnstructuredGraph("nodes that are neither in series nor side by side", nodes)


def _parts(nodes: list[int], graph: Graph) -> list[list[int]]:
    """Return the connected components in the order of their first nodes."""
    leader = {node: node for node in nodes}

    def led(node: int) -> int:
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for node in nodes:
        for dependency in graph.dependencies[node]:
            if dependency in leader:
                leader[led(dependency)] = led(node)
    parts: dict[int, list[int]] = {}
    for node in nodes:
        parts.setdefault(led(node), []).append(node)
    return sorted(parts.values(), key=min)


def _stages(nodes: list[int], before: Sequence[int]) -> list[list[int]]:
    """Return the nodes by stages: each node of a stage depends on all nodes of earlier stages."""
    inside = sum(1 << node for node in nodes)
    waits = {node: before[node] & inside for node in nodes}
    # A node behind a stage has more dependencies than any node in the stage.
    order = sorted(nodes, key=lambda node: waits[node].bit_count())
    # The common dependencies of all nodes from each position on.
    common = [inside] * (len(order) + 1)
    for place in reversed(range(len(order))):
        common[place] = common[place + 1] & waits[order[place]]
    stages: list[list[int]] = []
    done = 0
    for place, node in enumerate(order):
        if not done & ~common[place]:
            stages.append([])
        stages[-1].append(node)
        done |= 1 << node
    return stages
