"""What the schemas of a workflow and its tasks tell of the values that references read."""

from collections.abc import Callable

from flowmesh.definitions.model import GroupBody, Json, MapBody, Node, Task, Workflow
from flowmesh.definitions.problems import Path
from flowmesh.definitions.references import task_of
from flowmesh.definitions.scopes import Scope
from flowmesh.definitions.shapes import at_path, items_of, type_of_value
from flowmesh.expressions import Reference

TaskOf = Callable[[Node], Task | None]
_POSITION = {"type": "integer"}
_OPEN = "{{"


class Known:
    """Schemas by reference; None is nothing known."""

    def __init__(self, workflow: Workflow, task_of_node: TaskOf) -> None:
        self.input = workflow.input_schema
        self._task_of_node = task_of_node
        # Of maps, by their paths: they are asked for again and again.
        self._outputs: dict[Path, Json] = {}
        self._items: dict[Path, Json] = {}

    def value(self, scope: Scope, reference: Reference) -> Json:
        match reference.root:
            case "input":
                return at_path(self.input, reference.path)
            case "item":
                return at_path(self.item(scope), reference.path)
            case "index":
                return at_path(_POSITION, reference.path)
        node = scope.visible.get(task_of(reference))
        if node is None or len(reference.path) < 2:
            return None
        return at_path(self.output(scope, node), reference.path[2:])

    def output(self, scope: Scope, node: Node) -> Json:
        """Of a node that is visible in `scope`; of a map the list of its only leaf's outputs."""
        body = scope.body_of(node)
        if body is None:
            task = self._task_of_node(node)
            return task.output_schema if task is not None else None
        if node.path not in self._outputs:
            self._outputs[node.path] = self._of_body(node, body)
        return self._outputs[node.path]

    def _of_body(self, node: Node, body: Scope) -> Json:
        match node.body:
            case MapBody():
                return {"type": "array", "items": self._item_output(body)}
            case GroupBody(race=False, single=True):
                return self._item_output(body)
            case GroupBody(race=False):
                leaves = [self.output(body, body.nodes[leaf]) for leaf in body.graph.leaves]
                known = [schema if schema is not None else True for schema in leaves]
                return {"type": "array", "prefixItems": known, "items": False}
        return None

    def _item_output(self, body: Scope) -> Json:
        leaves = body.graph.leaves
        if len(leaves) == 1:
            return self.output(body, body.nodes[leaves[0]])
        return {"type": "null"} if leaves else None

    def item(self, scope: Scope) -> Json:
        """Of an item of the map whose body `scope` is."""
        if scope.owner is None or scope.outer is None:
            return None
        path = scope.owner.path
        if path not in self._items:
            source = items_source(scope)
            self._items[path] = (
                _item_of(scope.owner.input)
                if source is None
                else items_of(self.value(scope.outer, source))
            )
        return self._items[path]


def _item_of(items: Json) -> Json:
    """What a list that is written out says of its items."""
    if not isinstance(items, list) or any(isinstance(i, str) and _OPEN in i for i in items):
        return None
    return {"type": sorted({type_of_value(item) for item in items})}


def items_source(scope: Scope) -> Reference | None:
    """The one reference that gives a map its items; None where there is none."""
    if scope.outer is None or scope.owner is None:
        return None
    template = scope.outer.inputs.get(scope.owner.path)
    return template.whole if template is not None else None
