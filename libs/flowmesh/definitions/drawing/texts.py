"""A picture as text for other tools: Mermaid and DOT."""

import re
from collections.abc import Iterator

from flowmesh.definitions.drawing.picture import Arrow, Box, Picture
from flowmesh.definitions.drawing.svg import cut

# Fill and line by status; other statuses look like a node that has not started.
_COLORS = {
    "success": ("#dafbe1", "#1a7f37"),
    "failed": ("#ffebe9", "#cf222e"),
    "running": ("#ddf4ff", "#0969da"),
    "skipped": ("#ffffff", "#d0d7de"),
    "canceled": ("#ffffff", "#d0d7de"),
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def mermaid(picture: Picture, title: str) -> str:
    shown = _CONTROL.sub(" ", title).replace('"', "'")
    return (
        "\n".join([f'---\ntitle: "{shown}"\n---', "flowchart TD", *_mermaid(picture, "n", 1)])
        + "\n"
    )


def _mermaid(picture: Picture, prefix: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for index, box in enumerate(picture.boxes):
        name = f"{prefix}{index}"
        text = _mermaid_text(_title(box))
        if box.inner is not None:
            yield f'{indent}subgraph {name} ["{text}"]'
            yield from _mermaid(box.inner, f"{name}_", depth + 1)
            yield f"{indent}end"
        elif box.kind in ("decision", "condition"):
            yield f'{indent}{name}{{"{text}"}}'
        else:
            yield f'{indent}{name}["{text}"]'
        if colors := _COLORS.get(box.status):
            yield f"{indent}style {name} fill:{colors[0]},stroke:{colors[1]}"
    for arrow in picture.arrows:
        label = _label(arrow)
        decoration = f'|"{_mermaid_text(label)}"|' if label else ""
        line = "-.->" if arrow.on_failure else "-->"
        yield f"{indent}{prefix}{arrow.source} {line}{decoration} {prefix}{arrow.target}"


def _mermaid_text(text: str) -> str:
    text = _CONTROL.sub(" ", text).replace("&", "#amp;").replace("<", "#lt;").replace(">", "#gt;")
    return text.replace('"', "#quot;").replace("`", "#96;")


def dot(picture: Picture, title: str) -> str:
    head = [
        f"digraph {_quoted(title)} {{",
        "  compound=true; rankdir=TB;",
        '  node [shape=box style=rounded fontname="sans-serif"];',
    ]
    return "\n".join([*head, *_dot(picture, "n", 1), "}"]) + "\n"


def _dot(picture: Picture, prefix: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for index, box in enumerate(picture.boxes):
        name, text = f"{prefix}{index}", _quoted(_title(box))
        if box.inner is not None:
            yield f"{indent}subgraph cluster_{name} {{"
            yield f"{indent}  {name} [label={text} shape=plaintext];"
            yield from _dot(box.inner, f"{name}_", depth + 1)
            yield f"{indent}}}"
        else:
            shape = " shape=diamond" if box.kind in ("decision", "condition") else ""
            if colors := _COLORS.get(box.status):
                shape += f' style="rounded,filled" fillcolor="{colors[0]}" color="{colors[1]}"'
            yield f"{indent}{name} [label={text}{shape}];"
    for arrow in picture.arrows:
        decoration = [f"label={_quoted(label)}"] if (label := _label(arrow)) else []
        decoration += ["style=dashed"] if arrow.on_failure else []
        more = f" [{' '.join(decoration)}]" if decoration else ""
        yield f"{indent}{prefix}{arrow.source} -> {prefix}{arrow.target}{more};"


def _quoted(text: str) -> str:
    text = _CONTROL.sub(" ", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _title(box: Box) -> str:
    return f"{cut(box.title)} ({cut(box.kind)})" if box.kind else cut(box.title)


def _label(arrow: Arrow) -> str:
    return cut(arrow.label or ("error" if arrow.on_failure else ""))
