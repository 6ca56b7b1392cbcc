"""A picture as self-contained SVG: no script, no font of its own, light and dark."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape

from flowmesh.definitions.drawing.layout import Layout, Point, lay_out
from flowmesh.definitions.drawing.picture import Arrow, Box, Picture

CHARACTER_WIDTH = 7.2
TITLE_CHARACTERS_MAX = 28
LABEL_CHARACTERS_MAX = 24
BOX_HEIGHT = 46.0
NOTE_HEIGHT = 16.0
PADDING = 18.0
MARGIN = 20.0
HEADER = 44.0
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STYLE = """\
svg{font:13px system-ui,-apple-system,"Segoe UI",sans-serif}
.page{fill:#fff}.box{fill:#f6f8fa;stroke:#57606a}
.body{fill:none;stroke:#8c959f;stroke-dasharray:4 3}
.decision{fill:#fff8c5;stroke:#9a6700}.wait{fill:#ddf4ff;stroke:#0969da}
text{fill:#1f2328}.kind,.note,.label{fill:#57606a;font-size:11px}
path{fill:none;stroke:#57606a}.error{stroke:#cf222e;stroke-dasharray:5 3}
.success{fill:#dafbe1;stroke:#1a7f37}.failed{fill:#ffebe9;stroke:#cf222e}
.running{fill:#ddf4ff;stroke:#0969da;stroke-width:2}.skipped,.canceled{opacity:.45}
.halo{stroke:#fff;stroke-width:4px;paint-order:stroke;stroke-linejoin:round}
@media(prefers-color-scheme:dark){.page{fill:#0d1117}.box{fill:#161b22;stroke:#8b949e}
.decision{fill:#272115;stroke:#bb8009}.wait{fill:#121d2f;stroke:#388bfd}
text{fill:#e6edf3}.kind,.note,.label{fill:#9da7b3}path{stroke:#8b949e}.error{stroke:#f85149}
.success{fill:#12261e;stroke:#3fb950}.failed{fill:#25171c;stroke:#f85149}
.running{fill:#121d2f;stroke:#388bfd}.halo{stroke:#0d1117}}"""
_CLASSES = {"decision": "decision", "condition": "decision"} | dict.fromkeys(
    ("delay", "webhook", "signal", "wait"), "wait"
)


@dataclass(slots=True)
class Placed:
    """A picture with the top left corner of each box, and its nested pictures."""

    picture: Picture
    layout: Layout
    sizes: list[tuple[float, float]]
    inner: dict[int, "Placed"] = field(default_factory=dict)

    def corner(self, index: int) -> Point:
        (x, y), (width, height) = self.layout.centers[index], self.sizes[index]
        return x - width / 2, y - height / 2


def placed(picture: Picture) -> Placed:
    inner = {i: placed(box.inner) for i, box in enumerate(picture.boxes) if box.inner is not None}
    sizes = [_size(box, inner.get(index)) for index, box in enumerate(picture.boxes)]
    arrows = [(arrow.source, arrow.target) for arrow in picture.arrows]
    return Placed(picture, lay_out(sizes, arrows), sizes, inner)


def _size(box: Box, inner: Placed | None) -> tuple[float, float]:
    texts = (cut(box.title, TITLE_CHARACTERS_MAX), cut(box.kind), cut(box.note))
    width = max(len(text) for text in texts) * CHARACTER_WIDTH + 2 * PADDING
    height = BOX_HEIGHT + (NOTE_HEIGHT if box.note else 0)
    if inner is not None:
        width = max(width, inner.layout.size[0] + 2 * PADDING)
        height = inner.layout.size[1] + HEADER + PADDING + (NOTE_HEIGHT if box.note else 0)
    return width, height


def svg(picture: Picture, title: str) -> str:
    whole = placed(picture)
    width, height = (size + 2 * MARGIN for size in whole.layout.size)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
            f' width="{width:.0f}" height="{height:.0f}" role="img">',
            f"<title>{_text(title)}</title><style>{_STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8"'
            ' markerHeight="8" orient="auto"><path d="M0 0.5L7 4L0 7.5"/></marker></defs>',
            '<rect class="page" width="100%" height="100%"/>',
            *_drawn(whole, MARGIN, MARGIN),
            "</svg>\n",
        ]
    )


def _drawn(whole: Placed, left: float, top: float) -> Iterator[str]:
    yield f'<g transform="translate({left:.1f} {top:.1f})">'
    for arrow, way in zip(whole.picture.arrows, whole.layout.ways, strict=True):
        yield _arrow(whole, arrow, way)
    for index, box in enumerate(whole.picture.boxes):
        x, y = whole.corner(index)
        yield from _box(box, x, y, *whole.sizes[index])
        inner = whole.inner.get(index)
        if inner is not None:
            spare = (whole.sizes[index][0] - inner.layout.size[0]) / 2
            yield from _drawn(inner, x + spare, y + HEADER + (NOTE_HEIGHT if box.note else 0))
    for arrow, way in zip(whole.picture.arrows, whole.layout.ways, strict=True):
        if arrow.label:
            (x, y), (to_x, to_y) = _ends(whole, arrow, way)
            # Nearer to the target: conditions of one decision start at one point.
            if len(way) > 2:
                to_x, to_y = way[1]
            at_x, at_y = x + (to_x - x) * 0.6, y + (to_y - y) * 0.6
            label = cut(arrow.label, LABEL_CHARACTERS_MAX)
            yield _words("label halo", at_x, at_y + 4, label, arrow.label)
    yield "</g>"


def _box(box: Box, x: float, y: float, width: float, height: float) -> Iterator[str]:
    kind = "body" if box.inner is not None else _CLASSES.get(box.kind, "")
    classes = " ".join(filter(None, ("box", kind, box.status)))
    yield (
        f'<rect class="{classes}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}"'
        f' height="{height:.1f}" rx="6"/>'
    )
    middle = x + width / 2
    title = cut(box.title, TITLE_CHARACTERS_MAX)
    yield _words("", middle, y + 20, title, f"{box.title} ({box.id})")
    yield _words("kind", middle, y + 36, cut(box.kind), box.kind)
    if box.note:
        yield _words("note", middle, y + 52, cut(box.note), box.note)


def _words(kind: str, x: float, y: float, shown: str, whole: str) -> str:
    title = f"<title>{_text(whole)}</title>" if whole != shown else ""
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{_text(shown)}{title}</text>'


def _ends(whole: Placed, arrow: Arrow, way: list[Point]) -> tuple[Point, Point]:
    """Return the start and the end of an arrow, at the lower and upper sides of its boxes."""
    (x, y), (to_x, to_y) = way[0], way[-1]
    down = 1 if to_y >= y else -1
    return (
        (x, y + down * whole.sizes[arrow.source][1] / 2),
        (to_x, to_y - down * whole.sizes[arrow.target][1] / 2),
    )


def _arrow(whole: Placed, arrow: Arrow, way: list[Point]) -> str:
    kind = ' class="error"' if arrow.on_failure else ""
    if arrow.source == arrow.target:
        (x, y), (width, _) = way[0], whole.sizes[arrow.source]
        side = x + width / 2
        line = f"M{side:.1f} {y - 8:.1f}c26 -14 26 30 0 16"
        return f'<path{kind} d="{line}" marker-end="url(#tip)"/>'
    begin, end = _ends(whole, arrow, way)
    points = [begin, *way[1:-1], end]
    line = f"M{begin[0]:.1f} {begin[1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        bend = (to_y - y) / 2
        line += f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"
    return f'<path{kind} d="{line}" marker-end="url(#tip)"/>'


def cut(text: str, most: int = TITLE_CHARACTERS_MAX) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))
