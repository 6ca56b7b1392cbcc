"""The base of the parts of a project that a move takes to another cell."""

from collections.abc import Callable
from dataclasses import dataclass

from flowmesh.cells import Move
from flowmesh.suite.cells.calls import CellCalls


class CannotMove(ValueError):
    """Something of a project does not become the same in another cell."""


@dataclass(frozen=True, slots=True)
class Route:
    """The cells of a move, and the output of its command."""

    source: CellCalls
    target: CellCalls
    report: Callable[[str], object]

    @property
    def reason(self) -> str:
        """The reason of the changes at the target, for its audit log."""
        return f"moved from cell {self.source.cell.name}"


class Part:
    """One kind of data of a project that moves.

    A command that was killed is run again, so each method can be repeated. Those that copy raise
    CannotMove, which cancels the move.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._source, self._target = route.source, route.target

    async def problems(self, move: Move) -> list[str]:
        """Return what cannot be moved, in words that follow "it has"."""
        return []

    async def copy(self) -> None:
        """Copy while the source serves the project."""

    async def switch(self, move: Move) -> None:
        """Copy the last changes while the gateways of the source refuse further ones."""

    async def late(self) -> list[str]:
        """Return what the source got after the switch, and has to be registered again."""
        return []

    async def start(self, move: Move) -> None:
        """Start what calls the project; the target is its home now, and no cancel follows."""

    async def follow(self) -> None:
        """Take what executions of the source make; called until they have ended."""

    async def end(self) -> None:
        """Remove from the source what works on there, or would be there twice, once its
        executions have ended.
        """

    async def cancel(self, move: Move) -> None:
        """Undo what has an effect at the target, and what the switch has stopped at the source."""
