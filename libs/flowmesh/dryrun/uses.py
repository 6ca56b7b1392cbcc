"""Example outputs without a schema, built from the members that templates read."""

from collections.abc import Iterator

from flowmesh.contract.json_value import Json
from flowmesh.expressions import Reference
from flowmesh.plan import Graph, Plan, PlanNode

_LEAF = "text"


def uses_of(plan: Plan) -> dict[PlanNode, Json]:
    """Return for each node an output with the members that templates read."""
    found: dict[PlanNode, Json] = {}
    references = plan.output.references if plan.output is not None else ()
    for graphs, reference in (*(((plan,), one) for one in references), *_references(plan, ())):
        keys = reference.path
        if reference.root != "tasks" or len(keys) < 3:
            continue
        node = next((g.by_id[str(keys[0])] for g in graphs if str(keys[0]) in g.by_id), None)
        if node is not None:
            found[node] = _with(found.get(node), keys[2:])
    return found


def _references(
    graph: Graph, around: tuple[Graph, ...]
) -> Iterator[tuple[tuple[Graph, ...], Reference]]:
    """Yield the references of a node's input with the graphs around it, nearest first."""
    graphs = (graph, *around)
    for node in graph.nodes:
        if node.input is not None:
            yield from ((graphs, reference) for reference in node.input.references)
        if node.body is not None:
            yield from _references(node.body, graphs)


def _with(value: Json, keys: tuple[str | int, ...]) -> Json:
    """Return the value with an entry under these keys; an earlier conflicting one stays."""
    if not keys:
        return _LEAF if value is None else value
    key = keys[0]
    if isinstance(key, str) and (value is None or value == _LEAF or isinstance(value, dict)):
        members = value if isinstance(value, dict) else {}
        return {**members, key: _with(members.get(key), keys[1:])}
    if isinstance(key, int) and (value is None or value == _LEAF or isinstance(value, list)):
        items = list(value) if isinstance(value, list) else []
        items += [None] * (key + 1 - len(items)) if key < _ITEMS_MAX else []
        if key < len(items):
            items[key] = _with(items[key], keys[1:])
        return items
    return value


_ITEMS_MAX = 100
