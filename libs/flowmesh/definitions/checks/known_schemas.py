"""Schemas of the values that references read."""

from collections.abc import Callable

from flowmesh.contract.json_value import Json
from flowmesh.definitions.checks.parts import Found, Parts
from flowmesh.definitions.model import GroupBody, MapBody, Node, Task, Workflow
from flowmesh.definitions.problems import Path
from flowmesh.definitions.references import task_of
from flowmesh.definitions.scopes import Scope
from flowmesh.expressions import Reference
from flowmesh.schemas import Either, Given, Part, array_of, blank, constant, list_of, part_of

TaskOf = Callable[[Node], Task | None]
_POSITION = {"type": "integer", "minimum": 0}
_COUNTS = {
    "type": "object",
    "properties": {"count": _POSITION, "failed": _POSITION},
    "required": ["count", "failed"],
    "additionalProperties": False,
}
_OPEN = "{{"


class KnownSchemas:
    """Schemas of the values that references read; None if nothing is known."""

    def __init__(self, workflow: Workflow, task_of_node: TaskOf, parts: Parts) -> None:
        self.parts = parts
        self.input = parts.of(workflow.input_schema)
        self.variables = {each.name: parts.of(each.schema) for each in workflow.variables}
        self._task_of_node = task_of_node
        self._position = part_of(_POSITION)
        self._counts = part_of(_COUNTS)
        # Schemas of maps and groups by path, cached because they are read often.
        self._outputs: dict[Path, Part | None] = {}
        self._items: dict[Path, Part | None] = {}

    def value(self, scope: Scope, reference: Reference) -> Found | None:
        """Return the schema of the value that a reference reads, if known."""
        path = reference.path
        match reference.root:
            case "input":
                part = self.input
            case "item":
                part = self.item(scope)
            case "index":
                part = self._position
            case "variables":
                part = self.variables.get(str(path[0])) if path else None
                path = path[1:]
            case _:
                node = scope.visible.get(task_of(reference))
                part = self.output(scope, node) if node is not None and len(path) > 1 else None
                path = path[2:]
        return None if part is None else self.parts.at(part, path)

    def output(self, scope: Scope, node: Node) -> Part | None:
        """Return the schema of the output of a node that is visible in `scope`."""
        body = scope.body_of(node)
        if body is None:
            task = self._task_of_node(node)
            return self.parts.of(task.output_schema) if task is not None else None
        if node.path not in self._outputs:
            self._outputs[node.path] = self._of_body(node, body)
        return self._outputs[node.path]

    def _of_body(self, node: Node, body: Scope) -> Part | None:
        """Return the output of a body: for a map the list of its leaf's outputs or nulls, for a
        group that of its leaves.
        """
        outputs = [self.output(body, body.nodes[leaf]) for leaf in body.graph.leaves]
        known = [part_of(None) if part is None else part for part in outputs]
        if any(may_be_skipped(each) for each in body.nodes):
            known = [Either((part, constant(None))) for part in known]
        one = known[0] if len(known) == 1 else constant(None)
        match node.body:
            case MapBody(counted=True):
                return self._counts
            case MapBody() if node.body.pages_max:
                return one
            case MapBody():
                return Given((list_of(one) if known else blank("array"),))
            case GroupBody(race=True):
                return Either(known)
            case GroupBody(single=True):
                return one
            case GroupBody():
                return Given((array_of(known),))
        return None

    def item(self, scope: Scope) -> Part | None:
        """Return the schema of an item of the map whose body `scope` is or is in."""
        while scope.outer is not None and scope.owner is not None and scope.owner.map is None:
            scope = scope.outer
        if scope.owner is None or scope.outer is None:
            return None
        path = scope.owner.path
        if path not in self._items:
            source = items_source(scope)
            if source is None:
                self._items[path] = _item_of(scope.owner.input)
            else:
                found = self.value(scope.outer, source)
                self._items[path] = None if found is None else self.parts.items(found.part)
        return self._items[path]


def _item_of(items: Json) -> Part | None:
    """Return the schema of the items of a literal list."""
    if not isinstance(items, list) or not items or _OPEN in str(items):
        return None
    return Either([constant(item) for item in items])


def may_be_skipped(node: Node) -> bool:
    """Return whether the workflow may continue without the node's output, by the node alone."""
    return bool(node.condition) or not node.critical or any(e.label for e in node.edges)


def items_source(scope: Scope) -> Reference | None:
    """Return the reference that provides a map's items, or None."""
    if scope.outer is None or scope.owner is None:
        return None
    template = scope.outer.templates.get(scope.owner.input_path)
    return template.whole if template is not None else None
