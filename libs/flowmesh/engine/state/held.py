"""Ready nodes that wait for a slot of their execution, in the order in which they start."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from flowmesh.engine.state.nodes import Scope
from flowmesh.plan import PlanNode


class Held:
    """Waiting nodes by id, ordered by priority and then by waiting time.

    A container (map, group, state machine) with more to start waits with the priority of its next
    node.
    """

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[str, tuple[Scope, PlanNode]]] = {}

    def add(self, scope: Scope, planned: PlanNode) -> None:
        """Add a node; a waiting node keeps its place."""
        priority = _priority(scope, planned)
        level = self._levels.get(priority)
        if level is None:
            level = self._levels[priority] = OrderedDict()
        level[scope.prefix + planned.id] = (scope, planned)

    def take(self) -> tuple[Scope, PlanNode]:
        """Remove and return the node that starts next."""
        highest = max(self._levels)
        _, place = self._levels[highest].popitem(last=False)
        if not self._levels[highest]:
            del self._levels[highest]
        return place

    def discard(self, node_id: str) -> None:
        """Remove a node if it waits."""
        for priority, level in self._levels.items():
            if level.pop(node_id, None) is not None:
                if not level:
                    del self._levels[priority]
                return

    def discard_below(self, prefix: str) -> None:
        """Remove the nodes with a prefix: those of a body."""
        for node_id in [node_id for node_id in self if node_id.startswith(prefix)]:
            self.discard(node_id)

    def clear(self) -> None:
        self._levels.clear()

    def values(self) -> Iterator[tuple[Scope, PlanNode]]:
        """Yield the waiting nodes with their graphs, the next one first."""
        for priority in sorted(self._levels, reverse=True):
            yield from self._levels[priority].values()

    def __iter__(self) -> Iterator[str]:
        for priority in sorted(self._levels, reverse=True):
            yield from self._levels[priority]

    def __contains__(self, node_id: str) -> bool:
        return any(node_id in level for level in self._levels.values())

    def __len__(self) -> int:
        return sum(map(len, self._levels.values()))

    def __bool__(self) -> bool:
        return bool(self._levels)


def _priority(scope: Scope, planned: PlanNode) -> int:
    node = scope.nodes.get(planned.index)
    machine = node.machine if node is not None else None
    if machine is None or machine.next is None or planned.body is None:
        return planned.first_priority
    return planned.body.nodes[machine.next].first_priority
