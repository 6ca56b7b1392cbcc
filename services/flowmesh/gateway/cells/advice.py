"""The loads of projects in their cells, and the moves that would even them out."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

import aiohttp
import orjson

from flowmesh.cells import ProjectLoad, advised_moves
from flowmesh.gateway.cells.asking import (
    ANSWER_S,
    Headers,
    Refused,
    ask_cell,
    cell_of_project,
    invalid,
    named_projects,
)
from flowmesh.gateway.cells.front import Front
from flowmesh.gateway.http.requests import Response

PATH = "/api/v1/cells/advice"
PERIOD = timedelta(days=1)


class CellAdvice:
    """Reads the metered use of projects at their cells."""

    def __init__(self, front: Front, session: aiohttp.ClientSession) -> None:
        self._front = front
        self._session = session

    async def advice(self, query: str, headers: Headers) -> Response:
        """Return the loads of the named projects and the moves that would even them out.

        Raises REQUEST_INVALID; a refusal of a cell is the answer.
        """
        given = dict(parse_qsl(query, keep_blank_values=True))
        for name in given:
            if name != "projects":
                raise invalid(name, "unknown query parameter")
        silent: set[str] = set()
        try:
            found = await asyncio.gather(
                *(
                    self._load(each, silent, headers)
                    for each in named_projects(given.get("projects", ""))
                )
            )
        except Refused as refused:
            return refused.response
        loads = [each for each in found if each is not None]
        own = self._front.own
        cells = {own.number: own, **self._front.directory.cells}
        body = {
            "loads": [
                {"project": each.project, "cell": cells[each.cell].name, "bytes": each.size_bytes}
                for each in loads
            ],
            "moves": [
                {
                    "project": each.project,
                    "from": cells[each.source].name,
                    "to": cells[each.target].name,
                    "bytes": each.size_bytes,
                }
                for each in advised_moves(loads, cells)
            ],
            "partial": sorted(silent),
        }
        return Response(HTTPStatus.OK, orjson.dumps(body))

    async def _load(self, project: str, silent: set[str], headers: Headers) -> ProjectLoad | None:
        """Return the load of a project; None, with its cell as silent, without an answer."""
        cell, name = cell_of_project(self._front, project)
        first = datetime.fromtimestamp(time.time(), UTC) - PERIOD
        path = f"/api/v1/meters?{urlencode({'from': first.isoformat(), 'pageSize': '100'})}"
        answer = None
        if cell is not None:
            try:
                async with asyncio.timeout(ANSWER_S):
                    answer = await ask_cell(self._session, cell, path, project, headers)
            except (aiohttp.ClientError, OSError, TimeoutError):
                answer = None
        if cell is None or answer is None:
            silent.add(name)
            return None
        size_bytes = sum(int(hour["used"]["bytes"]) for hour in answer["hours"])
        strict = self._front.directory.home(project).strict
        return ProjectLoad(project, cell.number, size_bytes, strict)
