"""Graphs as series and branches."""

import random
from collections.abc import Iterable

import pytest

from flowmesh.definitions.exports.series import (
    Block,
    Branches,
    Series,
    UnstructuredGraph,
    blocks_of,
)
from flowmesh.definitions.graph import Graph, graph_of
from flowmesh.definitions.model import Node


def graph(*waits: Iterable[str]) -> Graph:
    return graph_of([Node(str(n), (n,), dependencies=tuple(w)) for n, w in enumerate(waits)], {})


def test_one_node() -> None:
    """It is a block by itself."""
    assert blocks_of(graph("")) == 0


def test_a_diamond_with_a_tail() -> None:
    """A series with branches in it."""
    found = blocks_of(graph("", "0", "0", "12", "3"))
    assert found == Series((0, Branches((1, 2)), 3, 4))


def test_dependencies_that_others_imply_change_nothing() -> None:
    """Only direct and indirect order counts."""
    assert blocks_of(graph("", "0", "01", "012")) == Series((0, 1, 2, 3))


def test_every_node_of_a_stage_waits_for_all_of_the_one_before() -> None:
    """Branches may follow branches."""
    found = blocks_of(graph("", "", "01", "01"))
    assert found == Series((Branches((0, 1)), Branches((2, 3))))


def test_roots_behind_their_followers_in_the_document() -> None:
    """The order of the document does not matter."""
    assert blocks_of(graph("1", "", "0")) == Series((1, 0, 2))


def test_the_n_is_refused() -> None:
    """One waits for both, the other for one of them: blocks cannot say that."""
    with pytest.raises(UnstructuredGraph) as refused:
        blocks_of(graph("", "", "0", "01"))
    assert sorted(refused.value.nodes) == [0, 1, 2, 3]


def test_deep_nesting_is_refused() -> None:
    """As deep as bodies may be nested, and no deeper."""
    waits: list[list[str]] = [[]]
    last = "0"
    for _ in range(20):
        waits += [[], [last, str(len(waits))]]
        last = str(len(waits) - 1)
        waits[0] = []
    nodes = [Node(str(n), (n,), dependencies=tuple(w)) for n, w in enumerate(waits)]
    with pytest.raises(UnstructuredGraph, match="more than 8 deep"):
        blocks_of(graph_of(nodes, {}))


def test_ten_thousand_side_by_side_and_in_a_row() -> None:
    """As many nodes as a workflow may have."""
    abreast = blocks_of(graph(*[""] * 10_000))
    assert isinstance(abreast, Branches)
    assert len(abreast.blocks) == 10_000
    nodes = [Node(str(n), (n,), dependencies=(str(n - 1),) if n else ()) for n in range(10_000)]
    in_a_row = blocks_of(graph_of(nodes, {}))
    assert isinstance(in_a_row, Series)
    assert len(in_a_row.blocks) == 10_000


def order_of(block: Block) -> tuple[list[int], set[tuple[int, int]]]:
    """Return the nodes of a block with the order that it implies."""
    if isinstance(block, int):
        return [block], set()
    nodes: list[int] = []
    waits: set[tuple[int, int]] = set()
    for part in block.blocks:
        inner, inside = order_of(part)
        waits |= inside
        if isinstance(block, Series):
            waits |= {(node, before) for node in inner for before in nodes}
        nodes += inner
    return nodes, waits


@pytest.mark.parametrize("seed", range(200))
def test_blocks_say_what_their_graph_says(seed: int) -> None:
    """For any graph of six nodes: the blocks mean the same order, or the graph contains an N."""
    chance = random.Random(seed)
    waits = [[str(b) for b in range(n) if chance.random() < 0.4] for n in range(6)]
    made = graph(*waits)
    behind: list[set[int]] = []
    for dependencies in made.dependencies:
        behind.append(set(dependencies).union(*(behind[d] for d in dependencies)))
    closed = {(node, other) for node, others in enumerate(behind) for other in others}
    try:
        nodes, meant = order_of(blocks_of(made))
        assert sorted(nodes) == list(range(6))
        assert meant == closed
    except UnstructuredGraph:
        assert any(
            {(c, a), (d, a), (d, b)} <= closed
            and not {(c, b), (d, c), (c, d), (a, b), (b, a)} & closed
            for a in range(6)
            for b in range(6)
            for c in range(6)
            for d in range(6)
            if len({a, b, c, d}) == 4
        )
