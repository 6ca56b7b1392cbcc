"""Drawings: layout of boxes and arrows, and formats that other tools can read."""

import json
import time
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.definitions import Workflow, load_workflow
from flowmesh.definitions.drawing import DRAWINGS, draw
from flowmesh.definitions.drawing.draw import NODES_DRAWN_MAX
from flowmesh.definitions.drawing.layout import GAP_X, lay_out
from flowmesh.errors import TooLarge
from tests.unit.definitions.factories import node, workflow
from tests.unit.definitions.formats.test_graph_json import decision, edge, graph, made

SVG = "{http://www.w3.org/2000/svg}"
DRAW_S_MAX = 5.0


def loaded(source: bytes) -> Workflow:
    return load_workflow(json.loads(source))


def sample() -> Workflow:
    body = {"map": {"items": "{{input.list}}", "tasks": [{"id": "x", "taskRef": "noop"}]}}
    return loaded(
        graph(
            decision(("high", "context.total > 10"), defaultPath="d>b"),
            made("a", name='<b>"A" & co</b>'),
            made("b"),
            {**made("m"), "data": body},
            edges=(
                edge("d>a", condition="high"),
                edge("d>b"),
                edge("a>m"),
                edge("b>m", type="error"),
            ),
        )
    )


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[tuple[int, int]]]:
    """Generate boxes of many sizes with any arrows, including cycles and loops."""
    sizes = draw(st.lists(st.tuples(st.floats(20, 300), st.floats(20, 200)), max_size=12))
    index = st.integers(0, max(0, len(sizes) - 1))
    arrows = draw(st.lists(st.tuples(index, index), max_size=30)) if sizes else []
    return sizes, arrows


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_boxes_never_overlap_and_arrows_lead_from_box_to_box(drawn: Any) -> None:
    """For any graph: neighbors keep their distance, and everything is on the page."""
    sizes, arrows = drawn
    layout = lay_out(sizes, arrows)
    boxes = list(zip(layout.centers, sizes, strict=True))
    for index, ((x, y), (width, height)) in enumerate(boxes):
        assert -1e-6 <= x - width / 2 <= x + width / 2 <= layout.size[0] + 1e-6
        assert -1e-6 <= y - height / 2 <= y + height / 2 <= layout.size[1] + 1e-6
        for (other_x, other_y), (other_width, other_height) in boxes[:index]:
            beside = abs(x - other_x) >= (width + other_width) / 2 + GAP_X - 1e-6
            assert beside or abs(y - other_y) >= (height + other_height) / 2
    for (source, target), way in zip(arrows, layout.ways, strict=True):
        assert (way[0], way[-1]) == (layout.centers[source], layout.centers[target])


def test_dependencies_stand_below_what_they_depend_on() -> None:
    """And parallel nodes are side by side."""
    layout = lay_out([(50, 40)] * 4, [(0, 1), (0, 2), (1, 3), (2, 3)])
    heights = [y for _, y in layout.centers]
    assert heights[0] < heights[1] == heights[2] < heights[3]
    assert layout.centers[0][0] == pytest.approx(layout.centers[3][0])


def test_an_svg_is_xml_with_a_box_for_each_node() -> None:
    """Names that look like markup stay text; bodies are boxes with boxes in them."""
    root = ElementTree.fromstring(draw(sample(), "svg"))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert '<b>"A" & co</b>' in texts
    assert {"high", "default", "x"} <= set(texts)
    assert len([e for e in root.iter(f"{SVG}rect") if "box" in e.get("class", "")]) == 5
    assert len([e for e in root.iter(f"{SVG}path") if e.get("class") == "error"]) == 1


def test_control_characters_of_names_are_not_in_the_picture() -> None:
    """XML cannot express them."""
    strange = loaded(graph(made("a", name="bell\x07 \ufffe end")))
    ElementTree.fromstring(draw(strange, "svg"))
    assert "\x07" not in draw(strange, "mermaid") + draw(strange, "dot")


def test_mermaid_and_dot_name_boxes_by_number_and_quote_the_rest() -> None:
    """So no name can break out of its place."""
    mermaid, dot = draw(sample(), "mermaid"), draw(sample(), "dot")
    assert 'n1["#lt;b#gt;#quot;A#quot; #amp; co#lt;/b#gt; (custom)"]' in mermaid
    assert 'n0 -->|"high"| n1' in mermaid
    assert 'subgraph n3 ["M (map)"]' in mermaid
    assert 'n1 [label="<b>\\"A\\" & co</b> (custom)"];' in dot
    assert 'n2 -> n3 [label="error" style=dashed];' in dot
    assert "subgraph cluster_n3 {" in dot


def test_a_loop_is_drawn_as_the_machine_it_is() -> None:
    """With an arrow back."""
    tasks = [node("look")]
    loop = {"id": "again", "loop": {"while": "state.n < 3", "state": {"n": 0}, "tasks": tasks}}
    drawn = json.loads(draw(load_workflow(workflow(loop)), "json"))
    (machine,) = drawn["nodes"]
    assert machine["type"] == "states"
    ends = {(each["source"], each["target"]) for each in machine["body"]["edges"]}
    assert ends == {("again:while", "again:tasks"), ("again:tasks", "again:while")}


@pytest.mark.parametrize("kind", DRAWINGS)
def test_a_drawing_above_the_limit_is_refused(kind: str) -> None:
    """The limit is named; a graph within it is drawn quickly."""
    most = [{"id": f"n{i}", "dependencies": [f"n{i // 2}"] if i else []} for i in range(2_000)]
    workflow = load_workflow({"id": "w", "steps": most})
    began = time.process_time()
    draw(workflow, kind)
    assert time.process_time() - began < DRAW_S_MAX
    more = load_workflow({"id": "w", "steps": [{"id": f"n{i}"} for i in range(2_001)]})
    with pytest.raises(TooLarge, match=f"{NODES_DRAWN_MAX:,} nodes"):
        draw(more, kind)
