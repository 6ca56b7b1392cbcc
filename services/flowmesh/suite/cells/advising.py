"""`flowmesh cells advise`: the loads of cells, and the moves that would even them out."""

from http import HTTPStatus
from urllib.parse import urlencode

import aiohttp

from flowmesh.cells import Advice, Cell, ProjectLoad, advised_moves
from flowmesh.egress import OPEN
from flowmesh.egress.connector import http_session
from flowmesh.sdk.transport.endpoint import tls_of_environment
from flowmesh.suite.cells.calls import CONNECTIONS_MAX, CellCalls
from flowmesh.suite.cells.directory import OpenedDirectory
from flowmesh.suite.files import print_line

PATH = "/api/v1/cells/advice"
# Projects of one question.
BATCH = 50


async def advise(opened: OpenedDirectory) -> None:
    """Print the loads of the cells and the advised moves. Raises ValueError."""
    loads: list[ProjectLoad] = []
    tls = tls_of_environment()
    session = http_session(
        OPEN, connections_max=CONNECTIONS_MAX, tls=tls.context() if tls is not None else None
    )
    async with session:
        for number, cell in sorted(opened.entries.cells.items()):
            names = [each for each in opened.projects if opened.entries.home(each).cell == number]
            loads += await _loads(session, opened, cell, names)
    moves = advised_moves(loads, opened.entries.cells)
    print_line(_table(opened, loads, moves))


async def _loads(
    session: aiohttp.ClientSession, opened: OpenedDirectory, cell: Cell, names: list[str]
) -> list[ProjectLoad]:
    """Return the loads of projects of a cell. Raises ValueError if it does not answer."""
    found = []
    for first in range(0, len(names), BATCH):
        calls = CellCalls(cell, names[first])
        try:
            headers = await calls.credential()
        finally:
            await calls.close()
        query = urlencode({"projects": ",".join(names[first : first + BATCH])})
        url = f"{cell.http.rstrip('/')}{PATH}?{query}"
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status != HTTPStatus.OK:
                raise ValueError(f"cell {cell.name} answers {answer.status}: {await answer.text()}")
            body = await answer.json()
        if body["partial"]:
            raise ValueError(f"cell {cell.name} does not read its projects; try again")
        found += [
            ProjectLoad(
                each["project"],
                cell.number,
                each["bytes"],
                opened.entries.home(each["project"]).strict,
            )
            for each in body["loads"]
        ]
    return found


def _table(opened: OpenedDirectory, loads: list[ProjectLoad], moves: list[Advice]) -> str:
    lines = [f"{'CELL':<12} {'PROJECTS':>8} {'BYTES A DAY':>15}"]
    for number, cell in sorted(opened.entries.cells.items()):
        own = [each.size_bytes for each in loads if each.cell == number]
        lines.append(f"{cell.name:<12} {len(own):>8} {sum(own):>15,}")
    for each in moves:
        source, target = opened.name_of(each.source), opened.name_of(each.target)
        size = f"{each.size_bytes:,} bytes a day, in {source}"
        lines.append(f"flowmesh cells move {each.project} --to {target}  # {size}")
    if not moves:
        lines.append("The loads are even, or no move of one project makes them more even.")
    return "\n".join(lines)
