"""The decision of a front: a call is served here, forwarded, or answered with another address."""

from collections.abc import Collection

from flowmesh.cells import CLOSED, MOVE_HEADER, Cell, Directory
from flowmesh.errors import Forbidden, Invalid, Misdirected, Unavailable

HOP = "flowmesh-cell"
"""The header of a forwarded call with the number of the cell that it is for, and of its answer with
the number of the cell that serves it.
"""

RETRY_MS = 1_000


class Front:
    """Finds the cell of each call in the directory. `own` is the cell of this process."""

    def __init__(self, directory: Directory, own: Cell) -> None:
        self.directory = directory
        self.own = own

    def elsewhere(
        self,
        namespaces: Collection[str],
        *,
        id_cell: int | None = None,
        hop: str = "",
        changes: bool = False,
        move: str = "",
        source: str = "",
    ) -> Cell | None:
        """Return the cell to which a call is forwarded; None if it is served here.

        `id_cell` is the cell of an id that the call names, `hop` the header of a forwarded call,
        which is not forwarded again. `changes` is True for a call that is refused while its project
        is switched, `move` the header of one that names a cell of the move of its project, `source`
        that of a call by a step with its project. Raises CELL_MISDIRECTED, CELL_UNAVAILABLE and
        RESIDENCY_STRICT.
        """
        if move:
            id_cell = self._cell_of_move(namespaces, move)
        elif changes and id_cell is None and self.directory.moves:
            self._check_switch(namespaces)
        homes = {self.directory.home(each) for each in namespaces}
        number = self._number({home.cell for home in homes}, id_cell)
        if hop and hop != str(self.own.number):
            raise self._misdirected(number)
        if number == self.own.number:
            if not self.directory.loaded and any(namespaces):
                raise self._unread()
            return None
        if hop:
            raise self._misdirected(number)
        cell = self._cell(number)
        if source and cell.region != self.own.region and self.directory.home(source).strict:
            raise self._leaves_region(source, cell)
        # Without a project, nothing says that the answer may leave the region of the cell.
        is_strict = any(home.strict for home in homes) or all(
            home.cell == self.own.number for home in homes
        )
        if is_strict and cell.region != self.own.region:
            raise self._misdirected(number)
        return cell

    def _cell_of_move(self, namespaces: Collection[str], move: str) -> int:
        found = [self.directory.moves.get(each) for each in namespaces]
        cells = {str(n): n for each in found if each for n in (each.source, each.target)}
        if len(found) != 1 or move not in cells:
            text = f"the header {MOVE_HEADER} names a cell from or to which one project moves"
            raise Invalid("REQUEST_INVALID", text)
        return cells[move]

    def _check_switch(self, namespaces: Collection[str]) -> None:
        """Raise CELL_UNAVAILABLE for a project whose home is being switched."""
        for each in namespaces:
            if self.directory.is_switched(each):
                raise unavailable(f"project {each} moves to another cell, which takes seconds")

    def _number(self, homes: set[int], id_cell: int | None) -> int:
        if id_cell is not None:
            return id_cell
        if len(homes) > 1:
            raise Invalid("REQUEST_INVALID", "a request names projects of one cell only")
        return next(iter(homes), self.own.number)

    def _cell(self, number: int) -> Cell:
        if not self.directory.loaded:
            raise self._unread()
        cell = self.directory.cells.get(number)
        if cell is None:
            raise unavailable(f"the directory has no cell {number}, which the call is for")
        if cell.state == CLOSED:
            raise unavailable(f"cell {cell.name} is closed")
        return cell

    def _unread(self) -> Unavailable:
        return unavailable("this cell has not read the directory of cells yet")

    def _leaves_region(self, source: str, cell: Cell) -> Forbidden:
        text = f"the data of project {source} stays in region {self.own.region}; cell {cell.name}"
        return Forbidden("RESIDENCY_STRICT", f"{text} is in region {cell.region}")

    def _misdirected(self, number: int) -> Misdirected:
        cell = self._cell(number)
        text = f"cell {cell.name} serves this call, not {self.own.name}; call it at {cell.grpc}"
        error = Misdirected("CELL_MISDIRECTED", text)
        error.address, error.location = cell.grpc, cell.http
        return error


def unavailable(text: str) -> Unavailable:
    return Unavailable("CELL_UNAVAILABLE", text, retry_after_ms=RETRY_MS)


def silent(cell: Cell) -> Unavailable:
    """Return the error for a cell that does not answer."""
    return unavailable(f"cell {cell.name} does not answer")


def answered_by_another(cell: Cell) -> Unavailable:
    """Return the error for an answer without the number of the cell."""
    return unavailable(f"another server answers at the address of cell {cell.name}")
