"""Questions of a front to the cells of several projects, and the projects that a query names."""

from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
from yarl import URL

from flowmesh.cells import Cell
from flowmesh.errors import FlowmeshError, Invalid, Misdirected, Unavailable, Violation
from flowmesh.gateway.cells.front import HOP, Front
from flowmesh.gateway.http.requests import Response
from flowmesh.rpc import is_id

PROJECTS_MAX = 50
ANSWER_S = 5.0

Headers = list[tuple[str, str]]


class Refused(Exception):
    """A cell refused the question about a project."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def named_projects(text: str) -> list[str]:
    """Return the projects of a query parameter. Raises REQUEST_INVALID."""
    names = list(dict.fromkeys(name for name in text.split(",") if name))
    if not 0 < len(names) <= PROJECTS_MAX or not all(is_id(name) for name in names):
        raise invalid("projects", f"names 1 to {PROJECTS_MAX} namespaces, separated by commas")
    return names


def invalid(name: str, problem: str) -> FlowmeshError:
    """Return the error for a query parameter."""
    text = f"{name}: {problem}."
    return Invalid("REQUEST_INVALID", text, violations=(Violation(name, problem),))


def cell_of_project(front: Front, project: str) -> tuple[Cell | None, str]:
    """Return the cell of a project, and its name; None if this front does not ask it."""
    try:
        cell = front.elsewhere([project]) or front.own
    except (Misdirected, Unavailable):
        number = front.directory.home(project).cell
        known = front.directory.cells.get(number)
        return None, known.name if known is not None else str(number)
    return cell, cell.name


async def ask_cell(
    session: aiohttp.ClientSession, cell: Cell, path: str, project: str, headers: Headers
) -> dict[str, Any] | None:
    """Return the answer of a cell about a project; None if it does not serve the project now.

    Raises Refused, and any error of the connection.
    """
    url = URL(f"{cell.http.rstrip('/')}{path}", encoded=True)
    named = ("flowmesh-namespace", project)
    sent = [*headers, named, (HOP, str(cell.number))]
    async with session.get(url, headers=sent, allow_redirects=False) as answer:
        body = await answer.read()
        if answer.headers.get(HOP) != str(cell.number) or answer.status in (421, 503):
            return None
        if answer.status != HTTPStatus.OK:
            raise Refused(Response(answer.status, body))
        return dict(orjson.loads(body))
