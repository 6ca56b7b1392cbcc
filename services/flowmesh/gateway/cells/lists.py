"""The executions of projects of several cells as one list, newest first.

Every project is asked at its cell at the same time. Ids begin with their time, so their order is
that of the list, and the last id that was shown of a project is its place on the next page.
"""

import asyncio
import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import orjson

from flowmesh.cells import Cell
from flowmesh.gateway.cells.asking import (
    ANSWER_S,
    PROJECTS_MAX,
    Headers,
    Refused,
    ask_cell,
    cell_of_project,
    invalid,
    named_projects,
)
from flowmesh.gateway.cells.front import Front
from flowmesh.gateway.http.requests import Response
from flowmesh.rpc import invalid_page_token
from flowmesh.rpc.limits import PAGE_TOKEN_CHARACTERS_MAX

PATH = "/api/v1/cells/executions"
PAGE_SIZE = 50
PAGE_SIZE_MAX = 500
# Another page of a project is read while too few of its entries are older than its place.
PAGES_MAX = 4
PASSED_ON = frozenset({"workflow", "status", "startedAfter", "startedBefore", "filter"})
_WHOLE = re.compile(r"[1-9][0-9]{0,5}")
_ID = re.compile(r"exec-[0-9a-z]{20}")


@dataclass(slots=True)
class _Project:
    """A project with the page that is read and the last id that was shown."""

    name: str
    token: str = ""
    shown: str = ""
    entries: list[dict[str, Any]] = field(default_factory=list)
    is_whole: bool = False
    silent_cell: str = ""
    tokens: list[tuple[str, str]] = field(default_factory=list)


class CellLists:
    """Reads lists over cells."""

    def __init__(self, front: Front, session: aiohttp.ClientSession) -> None:
        self._front = front
        self._session = session

    async def executions(self, query: str, headers: Headers) -> Response:
        """Return a page of the executions of the named projects.

        Raises REQUEST_INVALID and PAGE_TOKEN_INVALID; a refusal of a cell is the answer.
        """
        asked = _Asked.of(query)
        reads = [self._read(each, asked, headers) for each in asked.projects]
        try:
            await asyncio.gather(*reads)
        except Refused as refused:
            return refused.response
        found = sorted(
            (
                (entry["executionId"], entry, each)
                for each in asked.projects
                for entry in each.entries
            ),
            key=lambda row: str(row[0]),
            reverse=True,
        )
        page = found[: asked.size]
        for execution_id, _, project in page:
            project.shown = execution_id
        body = {
            "executions": [entry for _, entry, _ in page],
            "nextPageToken": asked.next_token(more=len(found) > len(page)),
            "partial": sorted({each.silent_cell for each in asked.projects} - {""}),
        }
        return Response(HTTPStatus.OK, orjson.dumps(body))

    async def _read(self, project: _Project, asked: "_Asked", headers: Headers) -> None:
        """Read entries of a project until there are enough for a page."""
        cell, name = cell_of_project(self._front, project.name)
        if cell is None:
            project.silent_cell = name
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._pages(project, cell, asked, headers)
        except (aiohttp.ClientError, OSError, TimeoutError):
            project.entries, project.silent_cell = [], cell.name

    async def _pages(
        self, project: _Project, cell: Cell, asked: "_Asked", headers: Headers
    ) -> None:
        token = project.token
        for _ in range(PAGES_MAX):
            answer = await self._page(project, cell, asked, token, headers)
            if answer is None:
                project.entries, project.silent_cell = [], cell.name
                return
            for entry in answer["executions"]:
                if not project.shown or entry["executionId"] < project.shown:
                    project.entries.append({**entry, "namespace": project.name, "cell": cell.name})
                    project.tokens.append((entry["executionId"], token))
            token = answer["nextPageToken"]
            project.is_whole = not token
            if not token or len(project.entries) >= asked.size:
                return

    async def _page(
        self, project: _Project, cell: Cell, asked: "_Asked", token: str, headers: Headers
    ) -> dict[str, Any] | None:
        """Return a page of a cell; None if the cell does not serve it now."""
        query = urlencode([*asked.filters, ("pageSize", str(asked.size)), ("pageToken", token)])
        path = f"/api/v1/executions?{query}"
        return await ask_cell(self._session, cell, path, project.name, headers)


@dataclass(slots=True)
class _Asked:
    """A request for a page: its projects with their places, its size, its filters."""

    projects: list[_Project]
    size: int
    filters: list[tuple[str, str]]

    @classmethod
    def of(cls, query: str) -> "_Asked":
        """Read the query. Raises REQUEST_INVALID and PAGE_TOKEN_INVALID."""
        pairs = parse_qsl(query, keep_blank_values=True)
        given = dict(pairs)
        for name in given:
            if name not in PASSED_ON | {"projects", "pageSize", "pageToken"}:
                raise invalid(name, "unknown query parameter")
        names = named_projects(given.get("projects", ""))
        size = given.get("pageSize") or str(PAGE_SIZE)
        if not _WHOLE.fullmatch(size):
            raise invalid("pageSize", f"is a number from 1 to {PAGE_SIZE_MAX}")
        filters = [pair for pair in pairs if pair[0] in PASSED_ON]
        asked = cls([_Project(name) for name in names], min(int(size), PAGE_SIZE_MAX), filters)
        asked._place(given.get("pageToken", ""))
        return asked

    def next_token(self, *, more: bool) -> str:
        """Return the token of the next page; empty after the last one."""
        if not more and all(each.is_whole for each in self.projects):
            return ""
        places = [[each.name, _page_of(each), each.shown] for each in self.projects]
        body = orjson.dumps([places, self._mark()])
        return base64.urlsafe_b64encode(body).decode().rstrip("=")

    def _place(self, token: str) -> None:
        """Continue each project where the page of a token ended. Raises PAGE_TOKEN_INVALID."""
        if not token:
            return
        try:
            text = token[: PAGE_TOKEN_CHARACTERS_MAX * PROJECTS_MAX]
            places, mark = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            known = {str(name): (str(page), str(shown)) for name, page, shown in places}
        except (binascii.Error, ValueError, TypeError):
            raise invalid_page_token() from None
        if mark != self._mark() or known.keys() != {each.name for each in self.projects}:
            raise invalid_page_token()
        for each in self.projects:
            each.token, each.shown = known[each.name]
            if each.shown and not _ID.fullmatch(each.shown):
                raise invalid_page_token()

    def _mark(self) -> str:
        """Return a checksum that detects tokens of other lists; it is not a signature."""
        names = sorted(each.name for each in self.projects)
        text = orjson.dumps([names, sorted(self.filters)])
        return hashlib.sha256(text).hexdigest()[:16]


def _page_of(project: _Project) -> str:
    """Return the token of the page with the last entry that was shown."""
    return next((page for shown, page in project.tokens if shown == project.shown), project.token)
