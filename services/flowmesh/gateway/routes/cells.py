"""The cells that this gateway knows, with the projects on their way between them."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import msgspec

from flowmesh.access.principal import current
from flowmesh.access.roles import READ, roles_with
from flowmesh.errors import Forbidden
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import ExecutionSummary
from flowmesh.gateway.http.operation_docs import ADMINISTER, TEST, Answer, Operation, Route
from flowmesh.gateway.http.parameters import ID, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    FILTER,
    PAGING,
    STARTED,
    STATUSES,
    WORKFLOW,
    json_response,
)

if TYPE_CHECKING:
    from flowmesh.cells import Directory


class CellValue(Value, kw_only=True):
    """A cell; `projects` counts those that the directory names, `own` is that of this gateway."""

    name: str
    number: int
    region: str
    state: Literal["open", "draining", "closed"]
    projects: int
    http: str
    grpc: str
    own: bool


class CellMoveValue(Value, kw_only=True):
    """A project on its way from a cell to another."""

    project: str
    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    step: Literal["copying", "switching", "starting", "ending"]


class CellList(Value, kw_only=True):
    """Cells by number, and moves by project."""

    cells: list[CellValue]
    moves: list[CellMoveValue]


class CellLoadValue(Value, kw_only=True):
    """The bytes that a project added to histories in the last day."""

    project: str
    cell: str
    size_bytes: int = msgspec.field(name="bytes")


class AdvisedMoveValue(Value, kw_only=True):
    """A move that would make the loads of two cells more even."""

    project: str
    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    size_bytes: int = msgspec.field(name="bytes")


class CellAdvice(Value, kw_only=True):
    """Loads and moves; `partial` has the cells that did not answer."""

    loads: list[CellLoadValue]
    moves: list[AdvisedMoveValue]
    partial: list[str]


class CellExecution(ExecutionSummary, kw_only=True):
    """An execution of a project in a cell."""

    namespace: str
    cell: str


class CellExecutionList(Value, kw_only=True):
    """Executions, newest first; `partial` has the cells that did not answer."""

    executions: list[CellExecution]
    next_page_token: str
    partial: list[str]


async def list_cells(backends: Backends, _request: Request) -> Response:
    principal = current()
    if principal is not None and not principal.everywhere & READ:
        roles = " or ".join(roles_with(READ))
        text = f"the list of cells needs the role {roles} in the whole installation"
        raise Forbidden("ROLE_REQUIRED", text)
    directory = backends.directory
    if directory is None:
        return json_response(CellList(cells=[], moves=[]))
    return json_response(_listed(directory))


def _listed(directory: "Directory") -> CellList:
    counts = directory.projects.counts()
    names = {number: cell.name for number, cell in directory.cells.items()}
    cells = [
        {**asdict(cell), "projects": counts.get(number, 0), "own": number == directory.own}
        for number, cell in sorted(directory.cells.items())
    ]
    moves = [
        {
            "project": project,
            "from": names.get(move.source, str(move.source)),
            "to": names.get(move.target, str(move.target)),
            "step": move.step,
        }
        for project, move in sorted(directory.moves.items())
    ]
    return msgspec.convert({"cells": cells, "moves": moves}, CellList)


# The front of several cells answers these before.
async def list_executions_of_projects(_backends: Backends, _request: Request) -> Response:
    """Return no executions."""
    return json_response(CellExecutionList(executions=[], next_page_token="", partial=[]))


async def advise_moves(_backends: Backends, _request: Request) -> Response:
    """Return no moves."""
    return json_response(CellAdvice(loads=[], moves=[], partial=[]))


_PROJECTS = Query("projects", "Namespaces, separated by commas.", ID, repeated=True, required=True)
ROUTES = (
    Route(
        "GET",
        "/api/v1/cells",
        list_cells,
        Operation(
            tag=ADMINISTER,
            summary="List the cells, and the projects that move between them",
            description="Needs a role in the whole installation. Empty without cells.",
            answers=(Answer(200, "As this gateway has read the directory.", CellList),),
        ),
    ),
    Route(
        "GET",
        "/api/v1/cells/executions",
        list_executions_of_projects,
        Operation(
            tag=TEST,
            summary="List executions of projects in several cells, newest first",
            description=(
                "Reads the named projects, up to 50, at their cells. Empty without cells, where"
                " `GET /api/v1/executions` lists those of a project."
            ),
            query=(_PROJECTS, FILTER, WORKFLOW, STATUSES, *STARTED, *PAGING),
            answers=(Answer(200, "Merged from all cells.", CellExecutionList),),
        ),
    ),
    Route(
        "GET",
        "/api/v1/cells/advice",
        advise_moves,
        Operation(
            tag=ADMINISTER,
            summary="Get the moves that would even out the loads of the cells",
            description="Reads the use of the named projects, up to 50. Empty without cells.",
            query=(_PROJECTS,),
            answers=(Answer(200, "At most 20 moves.", CellAdvice),),
        ),
    ),
)
