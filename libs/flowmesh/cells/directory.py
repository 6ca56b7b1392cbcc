"""The directory of cells in the memory of a process: each cell, and the home of each project."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

import orjson

from flowmesh.cells.moves import SWITCH_S, SWITCHING, Move, is_number
from flowmesh.cells.numbers import CELLS_MAX, CONTROL_CELL
from flowmesh.cells.projects import Home, Projects
from flowmesh.contract.hosts import address_problem
from flowmesh.egress import RequestInvalid, check_url

OPEN: Final = "open"
DRAINING: Final = "draining"
CLOSED: Final = "closed"
STATES: Final = (OPEN, DRAINING, CLOSED)
"""An open cell takes new projects, a draining one serves those that it has, a closed one none."""

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
PROJECT: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
DEFAULT: Final = "default"
"""The namespace that each cell has for itself, and that is never forwarded."""

_GRPC: Final = re.compile(r"(grpcs?://)?[^/@\s]+:\d{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell: its number, name and region, the addresses of its gateways, its state."""

    number: int
    name: str
    region: str
    http: str
    grpc: str
    state: str = OPEN

    def __post_init__(self) -> None:
        """Raise ValueError with the problem of a field."""
        if not is_number(self.number):
            raise ValueError(f"a cell has a number from 0 to {CELLS_MAX - 1}")
        for field in ("name", "region"):
            if not NAME.fullmatch(_text(getattr(self, field))):
                raise ValueError(f"the {field} of a cell matches {NAME.pattern}")
        try:
            check_url(_text(self.http))
        except RequestInvalid as error:
            raise ValueError(f"the address http of cell {self.name}: {error}") from None
        grpc = _text(self.grpc)
        if not _GRPC.fullmatch(grpc) or address_problem(grpc):
            raise ValueError(f"the address grpc of cell {self.name} is host:port or grpcs://…")
        if self.state not in STATES:
            raise ValueError(f"the state of a cell is one of {', '.join(STATES)}")

    def encoded(self) -> bytes:
        return orjson.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Pin:
    """A project with its home; without one it has that of projects that are not named.

    `move` is set while the project moves to another cell.
    """

    project: str
    home: Home | None
    move: Move | None = None

    def encoded(self) -> bytes:
        home, move = self.home, self.move
        cell = {} if home is None else {"cell": home.cell, "strict": home.strict}
        moving = {} if move is None else {"move": asdict(move)}
        return orjson.dumps({"project": self.project, **cell, **moving})


def entry_of(data: bytes) -> Cell | Pin:
    """Return the cell or the pin that an entry holds; raise ValueError with its problem."""
    try:
        found = orjson.loads(data)
        return _pin_of(found) if "project" in found else Cell(**found)
    except TypeError as error:
        raise ValueError(f"an entry of the directory is malformed: {error}") from None


class Directory:
    """The cells and homes that this process knows. `own` is the number of its cell."""

    def __init__(
        self,
        own: int,
        projects: Projects | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.own = own
        self._monotonic = monotonic
        self.cells: dict[int, Cell] = {}
        # The projects that move, and when their entries were read; usually none.
        self.moves: dict[str, Move] = {}
        self._moves_read: dict[str, float] = {}
        self.projects = projects or Projects(os.urandom(16))
        # The sequence of the last entry, and whether the directory was ever read.
        self.sequence = 0
        self.loaded = False

    def add(self, entry: Cell | Pin) -> None:
        """Take an entry."""
        if isinstance(entry, Cell):
            self.cells[entry.number] = entry
            return
        self.projects.put(entry.project, entry.home)
        self.moves.pop(entry.project, None)
        if entry.move is not None:
            self.moves[entry.project] = entry.move
            self._moves_read[entry.project] = self._monotonic()

    def is_switched(self, namespace: str) -> bool:
        """Return whether changes of a project are refused: its home is being switched.

        That ends by itself if the command that switches it has died.
        """
        move = self.moves.get(namespace)
        if move is None or move.step != SWITCHING:
            return False
        return self._monotonic() < self._moves_read[namespace] + SWITCH_S

    def home(self, namespace: str) -> Home:
        """Return the home of a namespace; one that is not named is of the control cell."""
        if not namespace or namespace == DEFAULT:
            return Home(self.own)
        return self.projects.get(namespace) or _CONTROL

    def named(self, name: str) -> Cell | None:
        """Return a cell by its name."""
        return next((each for each in self.cells.values() if each.name == name), None)


_CONTROL = Home(CONTROL_CELL)


def _pin_of(found: dict[str, object]) -> Pin:
    project, cell, strict = found["project"], found.get("cell"), found.get("strict", False)
    if not PROJECT.fullmatch(_text(project)):
        raise ValueError(f"a project of the directory matches {PROJECT.pattern}")
    move = found.get("move")
    moving = None if move is None else Move.of(move)
    if cell is None and moving is None:
        return Pin(_text(project), None)
    if not is_number(cell) or not isinstance(strict, bool):
        raise ValueError(f"the cell of project {project} is a number from 0 to {CELLS_MAX - 1}")
    return Pin(_text(project), Home(int(str(cell)), strict), moving)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
