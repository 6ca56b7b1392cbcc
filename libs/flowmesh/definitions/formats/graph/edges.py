"""Edges of graph JSON: targets, conditions, and the decisions that evaluate them.

The condition of an edge is the id of a condition of its source decision, or an expression.
Expressions on edges of other nodes are evaluated by a decision added behind the node.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flowmesh.contract.json_value import Json
from flowmesh.definitions.formats.graph.nodes import AFTER_SUFFIX
from flowmesh.definitions.limits import CODE_CHARACTERS_MAX, EDGES_MAX
from flowmesh.definitions.model import Dialect, Edge, Node, Task
from flowmesh.definitions.problems import Path, Problems, nearest
from flowmesh.definitions.reading.reader import Reader, kind_of

_INVALID = "DEFINITION_INVALID"
_ERROR = "error"
LANGUAGES = ("javascript", "jsonpath", "cel", "jq")
_LAST = float("inf")


@dataclass(frozen=True, slots=True)
class Drawn:
    """An edge as written."""

    id: str
    source: str
    target: str
    path: Path
    condition: str
    # Outcome in the source's output that takes this edge.
    outcome: str
    on_failure: bool
    priority: float


@dataclass(slots=True)
class Decision:
    """A decision node: its conditions by id, and its default edge."""

    data: Reader
    conditions: dict[str, dict[str, Json]] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    default: str = ""
    match: str = "first"


@dataclass(slots=True)
class Wiring:
    """The edges of each node, the configurations of decisions by node, and hidden nodes.

    `behind` are decisions behind a node; `between` are nodes on an edge.
    """

    edges: dict[str, list[Edge]] = field(default_factory=dict)
    configs: dict[str, tuple[dict[str, Json], dict[Path, Path]]] = field(default_factory=dict)
    behind: dict[str, Node] = field(default_factory=dict)
    between: dict[str, list[Node]] = field(default_factory=dict)


def read_edges(reader: Reader, ids: Mapping[str, Path]) -> list[Drawn]:
    """Return the edges between existing nodes, each with a unique id; other edges are noted."""
    problems, found = reader.problems, []
    taken: set[str] = set()
    given = reader.items("edges")
    if len(given) > EDGES_MAX:
        message = f"a workflow has at most {EDGES_MAX:,} edges, this one {len(given):,}"
        problems.add("GRAPH_TOO_LARGE", message, (*reader.path, "edges"))
        return []
    for index, value in enumerate(given):
        path: Path = (*reader.path, "edges", index)
        if not isinstance(value, dict):
            problems.add(_INVALID, f"an edge is an object, not {kind_of(value)}", path)
            continue
        edge = _read_edge(Reader(value, path, problems), ids)
        if edge.id and edge.id in taken:
            problems.add(_INVALID, f"the id {edge.id!r} is taken by another edge", (*path, "id"))
        taken.add(edge.id)
        if edge.source and edge.target:
            found.append(edge)
    return found


def _read_edge(reader: Reader, ids: Mapping[str, Path]) -> Drawn:
    edge_id = reader.required_text("id", "the name of the edge")
    ends = {}
    for key in ("source", "target"):
        ends[key] = name = reader.identifier(key, "the id of a node")
        if name and name not in ids:
            message = f"edge {edge_id} has the {key} {name!r}, which does not exist"
            path = (*reader.path, key)
            reader.problems.add("GRAPH_UNKNOWN_NODE", message + nearest(name, ids), path)
            ends[key] = ""
    condition = reader.text("condition", most=CODE_CHARACTERS_MAX).strip()
    outcome = reader.text("outcome")
    if outcome and condition:
        message = "an edge has either a condition or an outcome, not both"
        reader.problems.add(_INVALID, message, (*reader.path, "outcome"), at_key=True)
    priority = reader.number("priority", _LAST, -1e9, 1e9)
    kind = reader.text("type")
    # Members for editors.
    for key in ("name", "label", "description", "data", "metadata", "sourceHandle", "targetHandle"):
        reader.has(key)
    reader.warn_of_unknown()
    return Drawn(
        edge_id,
        ends["source"],
        ends["target"],
        reader.path,
        condition,
        outcome,
        kind == _ERROR or condition == _ERROR,
        priority,
    )


def read_decision(data: Reader) -> Decision:
    """Return the conditions of a decision node."""
    found = Decision(data, default=data.text("defaultPath"))
    if data.has("match") and data.raw("match") not in ("first", "all"):
        data.problems.add(_INVALID, "match must be first or all", (*data.path, "match"))
    found.match = "all" if data.raw("match") == "all" else "first"
    if not data.has("conditions"):
        data.missing("conditions", "a list of {id, expression}")
    for index, value in enumerate(data.items("conditions")):
        path: Path = (*data.path, "conditions", index)
        if not isinstance(value, dict):
            message = f"a condition is an object, not {kind_of(value)}"
            data.problems.add(_INVALID, message, path)
            continue
        reader = Reader(value, path, data.problems)
        name = reader.required_text("id", "the name of the condition, which edges refer to")
        expression = reader.required_text("expression", "JavaScript, or a JSONPath from $ on")
        reader.has("description")
        language = reader.raw("language")
        if language in (None, ""):
            language = language_of(expression)
        elif language not in LANGUAGES:
            message = f"language must be one of {', '.join(LANGUAGES)}"
            data.problems.add(_INVALID, message, (*path, "language"))
            language = language_of(expression)
        reader.warn_of_unknown()
        if name in found.conditions:
            message = f"the id {name!r} is taken by another condition"
            data.problems.add(_INVALID, message, (*path, "id"))
        found.conditions[name] = {"id": name, "expression": expression, "language": language}
        found.places[name] = path
    return found


def language_of(expression: str) -> str:
    """Return the language of an expression: JSONPath begins with `$`, the rest is JavaScript."""
    text = expression.strip()
    return "jsonpath" if text == "$" or text.startswith(("$.", "$[")) else "javascript"


def wire(
    drawn: list[Drawn], decisions: Mapping[str, Decision], nodes: Mapping[str, Path], out: Problems
) -> Wiring:
    """Return the wiring of the edges."""
    wiring = Wiring()
    leaving: dict[str, list[Drawn]] = {}
    for edge in drawn:
        leaving.setdefault(edge.source, []).append(edge)
    for source, decision in decisions.items():
        _decide(wiring, source, decision, leaving.get(source, []), out)
    for source, edges in leaving.items():
        if source not in decisions:
            _guard(wiring, source, edges, nodes[source])
    return wiring


def _add(wiring: Wiring, edge: Drawn, source: str, label: str = "") -> None:
    """Add an edge to its target; a second edge between the same nodes passes a hidden node."""
    to = wiring.edges.setdefault(edge.target, [])
    default = "default" if label else ""
    made = Edge(
        source,
        edge.path,
        label=label,
        on_failure=edge.on_failure,
        id=edge.id,
        condition="" if edge.on_failure else edge.condition or edge.outcome or default,
    )
    if any(other.source == source for other in to):
        between = wiring.between.setdefault(edge.target, [])
        hidden = f"{edge.target}:edge{len(between) + 2}"
        task = Task("noop", "noop", {}, Dialect.STEPS, path=edge.path)
        between.append(
            Node(
                hidden,
                edge.path,
                edge.id,
                task=task,
                dependencies=(source,),
                edges=(made,),
                hidden=True,
            )
        )
        made = Edge(hidden, edge.path)
    to.append(made)


def _decide(
    wiring: Wiring, source: str, decision: Decision, edges: list[Drawn], out: Problems
) -> None:
    """Wire the edges of a decision: each has the id of a condition, its own one, or is the
    default.
    """
    if decision.default and decision.default not in {edge.id for edge in edges}:
        message = f"defaultPath {decision.default!r} is no edge that leaves {source}"
        message += nearest(decision.default, [edge.id for edge in edges])
        out.add(_INVALID, message, (*decision.data.path, "defaultPath"))
    conditions = dict(decision.conditions)
    places = dict(decision.places)
    order = dict.fromkeys(conditions, _LAST)
    used, default = set(), []
    for edge in edges:
        label = edge.condition
        if edge.outcome or (edge.on_failure and label not in conditions):
            _add(wiring, edge, source, edge.outcome)
            continue
        if label and label not in conditions:
            close = nearest(label, conditions)
            if close or label.isidentifier():
                message = f"{source} has no condition {label!r}{close}"
                out.add(_INVALID, message, (*edge.path, "condition"))
                continue
            label = edge.id
            conditions[label] = _own(edge)
            places[label] = edge.path
        elif not label and edge.id == decision.default:
            label = edge.id
        elif not label:
            message = f"{edge.id} leaves a decision without a condition: it is always taken"
            out.warn(_INVALID, message, edge.path)
        used.add(label)
        order[label] = min(order.get(label, _LAST), edge.priority)
        if edge.id == decision.default:
            default.append(label)
        _add(wiring, replace(edge, on_failure=False), source, label)
    for name in conditions.keys() - used:
        message = f"no edge of {source} uses the condition {name!r}"
        out.warn(_INVALID, message, (*places[name], "id"))
    wiring.configs[source] = _config(
        conditions, places, order, default, decision.match, decision.conditions
    )


def _guard(wiring: Wiring, source: str, edges: list[Drawn], path: Path) -> None:
    """Wire the edges of another node: a decision behind it evaluates their expressions."""
    own = [edge for edge in edges if edge.condition and not edge.on_failure]
    hidden = source + AFTER_SUFFIX
    for edge in edges:
        if edge in own:
            _add(wiring, edge, hidden, edge.id)
        else:
            _add(wiring, edge, source, edge.outcome)
    if not own:
        return
    conditions = {edge.id: _own(edge) for edge in own}
    places = {edge.id: edge.path for edge in own}
    order = {edge.id: edge.priority for edge in own}
    match = "first" if any(edge.priority != _LAST for edge in own) else "all"
    config, where = _config(conditions, places, order, [], match, {})
    task = Task("decision", "decision", config, Dialect.STEPS, path=path, places=where)
    wiring.behind[source] = Node(
        hidden,
        path,
        name=f"where {source} leads",
        task=task,
        dependencies=(source,),
        edges=(Edge(source, own[0].path),),
        hidden=True,
    )


def _own(edge: Drawn) -> dict[str, Json]:
    language = language_of(edge.condition)
    return {"id": edge.id, "expression": edge.condition, "language": language}


def _config(
    conditions: Mapping[str, dict[str, Json]],
    places: Mapping[str, Path],
    order: Mapping[str, float],
    default: list[str],
    match: str,
    written: Mapping[str, Json],
) -> tuple[dict[str, Json], dict[Path, Path]]:
    """Return the configuration with the conditions in evaluation order, and their paths."""
    names = sorted(conditions, key=lambda name: order.get(name, _LAST))
    where: dict[Path, Path] = {}
    for index, name in enumerate(names):
        where["conditions", index] = places[name]
        if name not in written:
            where["conditions", index, "expression"] = (*places[name], "condition")
    config: dict[str, Json] = {"conditions": [conditions[name] for name in names], "match": match}
    config["default"] = default
    return config, where
