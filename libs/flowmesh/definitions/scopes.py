"""The graphs of a workflow, its own and those of bodies: visible nodes, references,
dependencies.
"""

from collections import ChainMap
from collections.abc import Iterator, Sequence

from flowmesh.definitions.graph import Graph, graph_of
from flowmesh.definitions.model import Node
from flowmesh.definitions.problems import Path
from flowmesh.definitions.references import (
    conditions_of,
    refers,
    roots_of,
    task_of,
    tasks_in_condition,
    templates_of,
)
from flowmesh.expressions import Template, TemplateInvalid, compile_template

# Suffix of the node that evaluates the condition of another node.
GATE_SUFFIX = ":condition"


class Scope:
    """One graph. `owner` is the node whose body it is, `outer` the graph of that node.

    `visible` holds nodes by id, its own and those around it; `bodies` the scopes of its nodes'
    bodies by path; `templates` and `invalid` the templates of nodes by path; `implied` the tasks
    that a node refers to in its input, condition or body, by its index.
    """

    def __init__(
        self, nodes: Sequence[Node], outer: "Scope | None" = None, owner: Node | None = None
    ) -> None:
        self.nodes = nodes
        self.outer = outer
        self.owner = owner
        self.ids: dict[str, Node] = {node.id: node for node in reversed(nodes) if node.id}
        self.gates = frozenset(node.id + GATE_SUFFIX for node in nodes if node.condition)
        around = outer.visible.maps if outer is not None else ()
        self.visible: ChainMap[str, Node] = ChainMap(self.ids, *around)
        self.templates: dict[Path, Template] = {}
        self.invalid: dict[Path, TemplateInvalid] = {}
        self.bodies: dict[Path, Scope] = {
            node.path: Scope(node.body.nodes, self, node) for node in nodes if node.body is not None
        }
        self.implied: dict[int, tuple[str, ...]] = {}
        for index, node in enumerate(nodes):
            if refers(node) or node.body is not None:
                names = self._referred(node)
                if names:
                    self.implied[index] = tuple(names)
        for undo in self.undos():
            self._referred(undo)
        self.graph: Graph = graph_of(nodes, self.implied)

    def _referred(self, node: Node) -> dict[str, None]:
        """Return the tasks a node refers to, in order. Unknown ones are included; checks report
        them.
        """
        names: dict[str, None] = {}
        for place, source in templates_of(node):
            try:
                template = self.templates[place] = compile_template(source, roots_of(node))
                names.update(dict.fromkeys(filter(None, map(task_of, template.references))))
            except TemplateInvalid as error:
                self.invalid[place] = error
        for condition, _ in conditions_of(node):
            names.update(dict.fromkeys(tasks_in_condition(condition, self.visible)))
        body = self.bodies.get(node.path)
        if body is not None:
            inner = (name for found in body.implied.values() for name in found)
            names.update(dict.fromkeys(name for name in inner if name not in body.ids))
        return names

    def templates_of(self, node: Node) -> Iterator[tuple[Path, Template]]:
        """Yield the readable templates of a node with their paths."""
        for place, _ in templates_of(node):
            if place in self.templates:
                yield place, self.templates[place]

    def undos(self) -> Iterator[Node]:
        """Yield the compensating nodes of its own nodes."""
        return (node.outcome.undo for node in self.nodes if node.outcome.undo is not None)

    def around(self) -> Iterator["Scope"]:
        """Yield the enclosing scopes, the nearest first."""
        scope = self.outer
        while scope is not None:
            yield scope
            scope = scope.outer

    def body_of(self, node: Node) -> "Scope | None":
        """Return the body of a node that is visible here, or None."""
        if node.body is None:
            return None
        return next(s.bodies[node.path] for s in (self, *self.around()) if node.path in s.bodies)

    @property
    def leaf_output(self) -> str:
        """Return the template of the only leaf's output; empty if there are several leaves."""
        leaves = self.graph.leaves
        name = self.nodes[leaves[0]].id if len(leaves) == 1 else ""
        return f'{{{{tasks["{name}"].output}}}}' if name else ""

    def every(self) -> Iterator["Scope"]:
        """Yield this scope and all nested scopes, outer before inner."""
        yield self
        for body in self.bodies.values():
            yield from body.every()
