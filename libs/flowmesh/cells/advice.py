"""The moves of projects that would even out the load of cells."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flowmesh.cells.directory import OPEN, Cell

EVEN = 0.2
"""Share of the mean load by which two cells may differ."""

MOVES_MAX = 20


@dataclass(frozen=True, slots=True)
class ProjectLoad:
    """The load of a project in its cell: bytes of events that it added to histories in a day."""

    project: str
    cell: int
    size_bytes: int
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Advice:
    """A project that would move from one cell to another."""

    project: str
    source: int
    target: int
    size_bytes: int


def advised_moves(loads: Collection[ProjectLoad], cells: Mapping[int, Cell]) -> list[Advice]:
    """Return the moves that bring the loads of the open cells closer to each other.

    Each move takes the project that is closest to half of the difference between two cells. A
    project with strict residency stays in its region.
    """
    left = {each.project: each for each in loads if each.cell in cells and each.size_bytes}
    totals = {number: 0 for number, cell in cells.items() if cell.state == OPEN}
    for load in left.values():
        totals[load.cell] = totals.get(load.cell, 0) + load.size_bytes
    tolerated = EVEN * sum(totals.values()) / max(len(totals), 1)
    found: list[Advice] = []
    while len(found) < MOVES_MAX:
        best = min(
            (
                (abs(totals[load.cell] - totals[target] - 2 * load.size_bytes), load, target)
                for load in left.values()
                for target in totals
                if _fits(load, target, totals, cells, tolerated)
            ),
            key=lambda row: (row[0], row[1].project, row[2]),
            default=None,
        )
        if best is None:
            break
        _, load, target = best
        found.append(Advice(load.project, load.cell, target, load.size_bytes))
        totals[load.cell] -= load.size_bytes
        totals[target] += load.size_bytes
        # A project is moved once.
        del left[load.project]
    return found


def _fits(
    load: ProjectLoad,
    target: int,
    totals: Mapping[int, int],
    cells: Mapping[int, Cell],
    tolerated: float,
) -> bool:
    """Return whether a move to an open cell makes the greater of two loads smaller."""
    cell = cells[target]
    if cell.state != OPEN or (load.strict and cell.region != cells[load.cell].region):
        return False
    difference = totals[load.cell] - totals[target]
    return difference > tolerated and load.size_bytes < difference
