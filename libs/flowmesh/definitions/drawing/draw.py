"""One workflow as a drawing of a requested kind."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from flowmesh.definitions.drawing.picture import Picture, picture_of
from flowmesh.definitions.drawing.svg import Placed, placed, svg
from flowmesh.definitions.drawing.texts import dot, mermaid
from flowmesh.definitions.model import Workflow
from flowmesh.errors import TooLarge

NODES_DRAWN_MAX = 2_000
# Media type of each kind of drawing.
MEDIA_TYPES = {
    "svg": "image/svg+xml",
    "mermaid": "text/vnd.mermaid",
    "dot": "text/vnd.graphviz",
    "json": "application/json",
}


def draw(workflow: Workflow, kind: str, statuses: Mapping[str, str] | None = None) -> str:
    """Return a checked workflow as a drawing; `kind` is one of DRAWINGS.

    With `statuses` of its nodes, in the words of the REST API, each node is colored by its status.
    Raises TooLarge GRAPH_TOO_LARGE above NODES_DRAWN_MAX.
    """
    picture = picture_of(workflow, statuses)
    count = picture.count()
    if count > NODES_DRAWN_MAX:
        message = f"a drawing has at most {NODES_DRAWN_MAX:,} nodes, this one {count:,}"
        raise TooLarge("GRAPH_TOO_LARGE", message)
    return _KINDS[kind](picture, workflow.name)


def _json(picture: Picture, title: str) -> str:
    shown = {"title": title, **_placed(placed(picture))}
    return orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode() + "\n"


def _placed(whole: Placed) -> dict[str, Any]:
    boxes, layout = whole.picture.boxes, whole.layout
    nodes = []
    for index, box in enumerate(boxes):
        x, y = whole.corner(index)
        width, height = whole.sizes[index]
        shown: dict[str, Any] = {"id": box.id, "title": box.title, "type": box.kind}
        if box.note:
            shown["note"] = box.note
        if box.status:
            shown["status"] = box.status
        shown |= {"x": round(x, 1), "y": round(y, 1), "width": width, "height": height}
        if index in whole.inner:
            shown["body"] = _placed(whole.inner[index])
        nodes.append(shown)
    edges = []
    for arrow, way in zip(whole.picture.arrows, layout.ways, strict=True):
        edges.append(
            {
                "source": boxes[arrow.source].id,
                "target": boxes[arrow.target].id,
                "condition": arrow.label,
                "onFailure": arrow.on_failure,
                "points": [{"x": round(x, 1), "y": round(y, 1)} for x, y in way],
            }
        )
    width, height = layout.size
    return {"width": round(width, 1), "height": round(height, 1), "nodes": nodes, "edges": edges}


_KINDS: dict[str, Callable[[Picture, str], str]] = {
    "svg": svg,
    "mermaid": mermaid,
    "dot": dot,
    "json": _json,
}
DRAWINGS = tuple(_KINDS)
