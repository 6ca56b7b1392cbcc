"""A workflow as boxes and arrows, without positions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flowmesh.definitions.analysis import leaving, shown, type_of
from flowmesh.definitions.model import GroupBody, MapBody, Node, StatesBody, Workflow
from flowmesh.definitions.scopes import Scope


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow between boxes by index; `label` is its condition."""

    source: int
    target: int
    label: str = ""
    on_failure: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A node; `inner` is its body, `status` its status in an execution."""

    id: str
    title: str
    kind: str
    note: str = ""
    inner: "Picture | None" = None
    status: str = ""


@dataclass(slots=True)
class Picture:
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)

    def count(self) -> int:
        """Return the number of boxes, nested ones included."""
        return sum(1 + (box.inner.count() if box.inner else 0) for box in self.boxes)


def picture_of(workflow: Workflow, statuses: Mapping[str, str] | None = None) -> Picture:
    """Return the picture of a workflow; `statuses` of nodes show an execution."""
    return _picture(Scope(workflow.nodes), statuses or {})


def _picture(scope: Scope, statuses: Mapping[str, str]) -> Picture:
    nodes, graph = shown(scope)
    picture = Picture()
    for node in nodes:
        inner = scope.bodies.get(node.path)
        # Each item of a body has a status of its own.
        body = None if inner is None or node.body is None else _picture(inner, {})
        status = statuses.get(node.id, "")
        box = Box(node.id, node.name or node.id, type_of(node), _note(node), body, status)
        picture.boxes.append(box)
    if isinstance(scope.owner.body if scope.owner is not None else None, StatesBody):
        picture.arrows = list(_transitions(nodes))
        return picture
    index = {name: number for number, name in enumerate(graph.ids)}
    edges = leaving(scope)
    for source, targets in enumerate(graph.successors):
        outgoing = [(index[name], edge) for name, edge in edges.get(graph.ids[source], ())]
        for target, edge in outgoing:
            label = "" if edge.on_failure else edge.condition or edge.label
            picture.arrows.append(Arrow(source, target, label, edge.on_failure))
        known = {target for target, _ in outgoing}
        picture.arrows += [Arrow(source, target) for target in targets if target not in known]
    return picture


def _transitions(nodes: Sequence[Node]) -> Iterator[Arrow]:
    """Yield the transitions of a state machine."""
    index = {node.id: number for number, node in enumerate(nodes)}
    for number, node in enumerate(nodes):
        follow = node.follow
        if follow is None:
            continue
        for name in follow.among if follow.chooses else (follow.next,):
            if name in index:
                yield Arrow(number, index[name])
        for catch in follow.catches:
            if catch.next in index:
                yield Arrow(number, index[catch.next], ", ".join(catch.classes), on_failure=True)


def _note(node: Node) -> str:
    """Return the second line of a box: its most useful detail."""
    match node.body:
        case MapBody(concurrency=concurrency):
            return f"for each, {concurrency} at a time"
        case GroupBody(race=True):
            return "the first wins"
    return f"if {node.condition}" if node.condition else ""
