"""Cells: whole suites side by side, and the directory that says which project lives where.

`numbers` reads the cell from an id, `tokens` from a link, `directory` and `projects` are the copy
in memory, and `store` follows and writes the entries in the control cell. `moves` has that of a
project on its way, `advice` names moves that would even out loads. The gateway forwards by the
directory.
"""

from flowmesh.cells.advice import Advice, ProjectLoad, advised_moves
from flowmesh.cells.directory import (
    CLOSED,
    DEFAULT,
    DRAINING,
    OPEN,
    STATES,
    Cell,
    Directory,
    Pin,
    entry_of,
)
from flowmesh.cells.moves import (
    COPYING,
    ENDING,
    MOVE_HEADER,
    SOURCE_HEADER,
    STARTING,
    SWITCH_S,
    SWITCHING,
    TRIGGERS_MAX,
    Move,
)
from flowmesh.cells.numbers import CELLS_MAX, CONTROL_CELL, cell_of
from flowmesh.cells.projects import Home, Projects
from flowmesh.cells.store import FILE, DirectoryStore, copy_of, directory_of, read_copy, write_copy
from flowmesh.cells.tokens import place_of_token

__all__ = [
    "CELLS_MAX",
    "CLOSED",
    "CONTROL_CELL",
    "COPYING",
    "DEFAULT",
    "DRAINING",
    "ENDING",
    "FILE",
    "MOVE_HEADER",
    "OPEN",
    "SOURCE_HEADER",
    "STARTING",
    "STATES",
    "SWITCHING",
    "SWITCH_S",
    "TRIGGERS_MAX",
    "Advice",
    "Cell",
    "Directory",
    "DirectoryStore",
    "Home",
    "Move",
    "Pin",
    "ProjectLoad",
    "Projects",
    "advised_moves",
    "cell_of",
    "copy_of",
    "directory_of",
    "entry_of",
    "place_of_token",
    "read_copy",
    "write_copy",
]
