"""The moves that would even out the load of cells."""

from dataclasses import replace

from flowmesh.cells import CLOSED, Advice, Cell, ProjectLoad, advised_moves

US = Cell(number=0, name="us0", region="us", http="https://us0.example.com", grpc="us0:7450")
CELLS = {
    0: US,
    1: replace(US, number=1, name="us1"),
    2: replace(US, number=2, name="eu2", region="eu"),
}


def test_the_project_that_halves_the_difference_moves() -> None:
    """One move at a time, each of another project, until the loads are close."""
    loads = [ProjectLoad("a", 0, 50), ProjectLoad("b", 0, 30), ProjectLoad("c", 0, 40)]
    found = advised_moves(loads, CELLS)
    assert [each.project for each in found] == ["a", "b"]
    assert {each.source for each in found} == {0}
    assert {each.target for each in found} == {1, 2}


def test_even_cells_are_left_alone() -> None:
    """And so is one large project, which another cell would have in its place."""
    even = [ProjectLoad("a", 0, 100), ProjectLoad("b", 1, 95), ProjectLoad("c", 2, 98)]
    assert advised_moves(even, CELLS) == []
    assert advised_moves([ProjectLoad("a", 0, 100)], CELLS) == []
    assert advised_moves([], CELLS) == []


def test_regions_and_closed_cells_are_kept() -> None:
    """A strict project stays in its region, and nothing moves to a cell that takes no projects."""
    loads = [ProjectLoad("a", 2, 50, strict=True), ProjectLoad("b", 2, 50, strict=True)]
    assert advised_moves(loads, CELLS) == []
    closed = {**CELLS, 1: replace(CELLS[1], state=CLOSED)}
    moved = advised_moves([ProjectLoad("a", 0, 50), ProjectLoad("b", 0, 50)], closed)
    assert moved == [Advice("a", 0, 2, 50)]
