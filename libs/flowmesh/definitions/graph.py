"""A graph of nodes by index: dependencies, order, cycles.

Everything here is iterative and linear in nodes and edges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from flowmesh.definitions.model import Node


@dataclass(frozen=True)
class Graph:
    """Nodes in definition order; `dependencies` and `successors` hold indexes, ascending."""

    ids: tuple[str, ...]
    dependencies: Sequence[Sequence[int]]
    successors: Sequence[Sequence[int]]

    @cached_property
    def roots(self) -> list[int]:
        return [index for index, before in enumerate(self.dependencies) if not before]

    @cached_property
    def ordered(self) -> bool:
        """Return whether every node follows all its dependencies; then there is no cycle."""
        return all(before[-1] < number for number, before in enumerate(self.dependencies) if before)

    @cached_property
    def leaves(self) -> list[int]:
        return [index for index, after in enumerate(self.successors) if not after]


def graph_of(nodes: Sequence[Node], implied: Mapping[int, Sequence[str]]) -> Graph:
    """Return the graph of explicit dependencies and of those that templates imply, by node index.

    Unknown names are left out; checks report them.
    """
    ids = tuple([node.id for node in nodes])
    # The first of two nodes with the same id counts.
    index = dict(zip(reversed(ids), reversed(range(len(ids))), strict=True))
    index.pop("", None)
    dependencies: list[list[int]] = []
    successors: list[list[int]] = [[] for _ in nodes]
    for number, node in enumerate(nodes):
        names = node.dependencies
        if number in implied:
            names = (*names, *implied[number])
        before = [index[name] for name in names if name in index]
        if len(before) > 1:
            before.sort()
            if len(set(before)) < len(before):
                before = sorted(set(before))
        dependencies.append(before)
        for dependency in before:
            successors[dependency].append(number)
    return Graph(ids, dependencies, successors)


def levels(graph: Graph) -> list[list[int]]:
    """Return nodes by the longest path to them, without nodes in or behind a cycle."""
    waiting = [len(before) for before in graph.dependencies]
    successors = graph.successors
    found: list[list[int]] = []
    level = list(graph.roots)
    while level:
        found.append(level)
        following: list[int] = []
        for node in level:
            for after in successors[node]:
                waiting[after] -= 1
                if not waiting[after]:
                    following.append(after)
        following.sort()
        level = following
    return found


def circle(graph: Graph) -> list[int]:
    """Return one cycle as nodes that depend on each other, the first repeated at the end.

    Each node depends on the one after it. Empty if there is no cycle.
    """
    if graph.ordered:
        return []
    resolved = {node for level in levels(graph) for node in level}
    left = [node for node in range(len(graph.ids)) if node not in resolved]
    if not left:
        return []
    # Each remaining node waits for another remaining one, so the walk must repeat a node.
    stuck = set(left)
    seen: dict[int, int] = {}
    way: list[int] = []
    node = left[0]
    while node not in seen:
        seen[node] = len(way)
        way.append(node)
        node = next(before for before in graph.dependencies[node] if before in stuck)
    return _from_first(way[seen[node] :])


def _from_first(way: list[int]) -> list[int]:
    start = way.index(min(way))
    turned = way[start:] + way[:start]
    return [*turned, turned[0]]
