"""Analysis of large graphs and of graphs with conditions."""

import json
from typing import Any

from flowmesh.api.definition.v1 import definition_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.definitions import analyse, load_workflow
from tests.unit.definitions.formats.test_graph_json import decision, edge, graph, made

BACK = 97


def analysed(source: bytes, **options: Any) -> pb.Analysis:
    return analyse(load_workflow(json.loads(source)), **options)


def steps_document(count: int) -> Json:
    """Return a document whose steps each depend on two earlier ones."""
    steps = [
        {"id": f"n{i}", "dependencies": [f"n{j}" for j in {i - 1, i - 1 - i % BACK} if j >= 0]}
        for i in range(count)
    ]
    return {"id": "large", "steps": steps}


def test_hidden_nodes_are_not_in_the_picture() -> None:
    """Edges through them connect visible nodes, under their own ids."""
    analysis = analysed(
        graph(
            decision(("yes", "context.x"), defaultPath="d>w"),
            made("a"),
            made("w", "webhook", data={"payloadSchema": {"type": "object"}}),
            made("z"),
            edges=(
                edge("d>a", condition="yes"),
                edge("d>w"),
                edge("a>z", condition="context.a.ok"),
                edge("w>z", type="error"),
            ),
        )
    )
    assert [node.id for node in analysis.nodes] == ["d", "a", "w", "z"]
    decided = analysis.nodes[0]
    assert list(decided.edge_ids) == ["d>a", "d>w"]
    assert [(e.target, e.condition) for e in decided.edges] == [("a", "yes"), ("w", "default")]
    assert analysis.nodes[1].edges[0].condition == "context.a.ok"
    assert analysis.nodes[2].edges[0].on_failure
    assert list(analysis.convergence_points) == ["z"]
    assert [list(path.nodes) for path in analysis.paths] == [["d", "a", "z"], ["d", "w", "z"]]


def test_two_edges_between_the_same_nodes_are_one_way() -> None:
    """The second one passes a hidden node."""
    edges = (edge("d>a", condition="one"), {**edge("d>a", condition="two"), "id": "again"})
    analysis = analysed(graph(decision(("one", "true"), ("two", "true")), made("a"), edges=edges))
    assert [list(path.nodes) for path in analysis.paths] == [["d", "a"]]
    assert [e.condition for e in analysis.nodes[0].edges] == ["one", "two"]


def test_the_critical_path_goes_by_durations_where_there_are_some() -> None:
    """Declared ones, or those given; else by the number of nodes."""
    source = graph(
        made("a"),
        made("slow", "delay", data={"delayValue": 5_000}),
        made("b"),
        made("c"),
        made("z"),
        edges=(edge("a>slow"), edge("slow>z"), edge("a>b"), edge("b>c"), edge("c>z")),
    )
    declared = analysed(source)
    assert list(declared.critical_path) == ["a", "slow", "z"]
    assert declared.critical_path_ms == 5_000
    observed = analysed(source, durations_ms={"slow": 1, "b": 40})
    assert list(observed.critical_path) == ["a", "b", "c", "z"]
    assert observed.critical_path_ms == 40


def test_paths_are_counted_exactly_and_listed_up_to_a_cap() -> None:
    """Any number is counted; the result tells if the list is cut."""
    small = analysed(json.dumps(steps_document(3)).encode())
    assert (small.path_count, small.paths_capped) == (len(small.paths), False)
    layers = [
        {"id": f"n{i}{side}", "dependencies": [f"n{i - 1}{s}" for s in "ab"] if i else []}
        for i in range(100)
        for side in "ab"
    ]
    large = analysed(json.dumps({"id": "w", "steps": layers}).encode())
    assert large.path_count == -1
    assert large.path_count_text == str(2**100)
    assert (len(large.paths), large.paths_capped) == (100, True)
