"""The graphs of a workflow, its own and the bodies in it: what is visible in each, what its
templates refer to, and who waits for whom.
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

# Appended to the id of a node with a condition: the node that evaluates it.
GATE_SUFFIX = ":condition"


class Scope:
    """One graph. `owner` is the node whose body it is, `outer` the graph that node stands in.

    `visible` holds nodes by id, its own and those around it; `bodies` the scopes of its nodes'
    bodies by their paths; `templates` and `invalid` what is rendered for nodes, by where it stands;
    `implied` the tasks a node refers to in its input, its condition or its body, by its index.
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
        """The tasks a node refers to, in order. Unknown ones too; checks tell of them."""
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
        """Those of a node that can be read, with where they stand."""
        for place, _ in templates_of(node):
            if place in self.templates:
                yield place, self.templates[place]

    def undos(self) -> Iterator[Node]:
        """The nodes that undo one of its own."""
        return (node.outcome.undo for node in self.nodes if node.outcome.undo is not None)

    def around(self) -> Iterator["Scope"]:
        """The scopes this one stands in, the nearest first."""
        scope = self.outer
        while scope is not None:
            yield scope
            scope = scope.outer

    def body_of(self, node: Node) -> "Scope | None":
        """The body of a node that is visible here; None where it has none."""
        if node.body is None:
            return None
        return next(s.bodies[node.path] for s in (self, *self.around()) if node.path in s.bodies)

    @property
    def leaf_output(self) -> str:
        """The template of what the only leaf yields; empty where there are several."""
        leaves = self.graph.leaves
        name = self.nodes[leaves[0]].id if len(leaves) == 1 else ""
        return f'{{{{tasks["{name}"].output}}}}' if name else ""

    def every(self) -> Iterator["Scope"]:
        """This scope and all in it, each before those in it."""
        yield self
        for body in self.bodies.values():
            yield from body.every()
