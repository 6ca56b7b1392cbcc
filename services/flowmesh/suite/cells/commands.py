"""The commands `cells ...`: the directory of cells, read and written in the control cell's NATS.

Help and completion read the signatures too, on installations without server code.
"""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from flowmesh.suite.cells.directory import OpenedDirectory

State = Literal["open", "draining", "closed"]
Mode = Literal["drain", "relocate"]
Directory = Annotated[str, Parameter(env_var="FLOWMESH_CELL_DIRECTORY", show_default=False)]
Prefix = Annotated[str, Parameter(env_var="FLOWMESH_BUS_PREFIX")]


def list_cells(*, directory: Directory = "", prefix: Prefix = "fm") -> int:
    """List the cells with their regions, addresses and states.

    Args:
        directory: NATS of the control cell, or the data folder of a `flowmesh dev` that is it.
        prefix: First token of its NATS subjects.
    """
    return _run(directory, prefix, lambda opened: opened.show())


def pin(
    project: str,
    /,
    *,
    cell: str,
    strict: Annotated[bool, Parameter(negative="")] = False,
    directory: Directory = "",
    prefix: Prefix = "fm",
) -> int:
    """Give a project its cell; that of a project with data moves none of it.

    Args:
        project: Namespace of the project.
        cell: Name of the cell.
        strict: Only processes of the region of the cell serve it; others answer its address.
        directory: NATS of the control cell, or the data folder of a `flowmesh dev` that is it.
        prefix: First token of its NATS subjects.
    """
    return _run(directory, prefix, lambda opened: opened.pin(project, cell, strict=strict))


def unpin(project: str, /, *, directory: Directory = "", prefix: Prefix = "fm") -> int:
    """Take a project out of the directory; the control cell is its cell then.

    Args:
        project: Namespace of the project.
        directory: NATS of the control cell, or the data folder of a `flowmesh dev` that is it.
        prefix: First token of its NATS subjects.
    """
    return _run(directory, prefix, lambda opened: opened.unpin(project))


def set_state(
    cell: str, state: State, /, *, directory: Directory = "", prefix: Prefix = "fm"
) -> int:
    """Set the state of a cell: a draining one takes no new projects, a closed one no calls.

    Args:
        cell: Name of the cell.
        state: open, draining or closed.
        directory: NATS of the control cell, or the data folder of a `flowmesh dev` that is it.
        prefix: First token of its NATS subjects.
    """
    return _run(directory, prefix, lambda opened: opened.set_state(cell, state))


def advise(*, directory: Directory = "", prefix: Prefix = "fm") -> int:
    """Show the loads of the cells, and the moves that would even them out.

    The load of a project is the bytes that it added to histories in a day.

    Args:
        directory: NATS of the control cell, or the data folder of a `flowmesh dev` that is it.
        prefix: First token of its NATS subjects.
    """
    from flowmesh.suite.cells.advising import advise
    from flowmesh.suite.cells.directory import run_in_directory

    return run_in_directory(directory, prefix, advise, within_s=None)


def move(
    project: str,
    /,
    *,
    to: str = "",
    mode: Mode = "drain",
    cancel: Annotated[bool, Parameter(negative="")] = False,
    directory: Directory = "",
    prefix: Prefix = "fm",
) -> int:
    """Move a project with its workflows and triggers to another cell; again continues a move.

    Args:
        project: Namespace of the project.
        to: Name of the cell.
        mode: drain lets executions end in their cell; relocate is not built.
        cancel: Cancel a move that has not switched the project yet.
        directory: NATS of the control cell, or the data folder of a `flowmesh dev` that is it.
        prefix: First token of its NATS subjects.
    """
    from flowmesh.suite.cells.directory import run_in_directory
    from flowmesh.suite.cells.moving import cancel_move, move_project

    def work(opened: "OpenedDirectory") -> Coroutine[Any, Any, None]:
        if cancel:
            return cancel_move(opened, project, to)
        return move_project(opened, project, to, mode)

    return run_in_directory(directory, prefix, work, within_s=None)


def _run(
    directory: str, prefix: str, work: "Callable[[OpenedDirectory], Coroutine[Any, Any, None]]"
) -> int:
    from flowmesh.suite.cells.directory import run_in_directory

    return run_in_directory(directory, prefix, work)
