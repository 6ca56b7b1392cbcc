"""The commands `cells`, on the directory of a real NATS."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from flowmesh.cells import Cell, Home, Move, Pin
from flowmesh.embedded import EmbeddedServers
from flowmesh.suite.cells import commands
from flowmesh.suite.cells.directory import OpenedDirectory, run_in_directory


def cell(name: str, number: int, *, http: str = "", state: str = "open") -> Cell:
    host = f"{name}.example"
    return Cell(
        name=name,
        number=number,
        region=name[:2],
        http=http or f"http://{host}",
        grpc=f"{host}:7450",
        state=state,
    )


CELLS = cell("us0", 0), cell("eu1", 1), cell("ap2", 2, state="draining")


class Directory:
    """A directory of cells of its own, and what commands print."""

    def __init__(self, address: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.place = {"directory": address, "prefix": f"t{uuid.uuid4().hex[:8]}"}
        self._capsys = capsys

    async def run(self, command: Callable[..., int], *words: str, **flags: Any) -> str:
        """Return the output of a command, or its error after the code."""
        code = await asyncio.to_thread(command, *words, **{**self.place, **flags})
        output = self._capsys.readouterr()
        return output.out if code == 0 else f"{code} {output.err}"

    async def put(self, *entries: Cell | Pin) -> None:
        async def write(opened: OpenedDirectory) -> None:
            for each in entries:
                await opened.store.put(each)

        address, prefix = self.place["directory"], self.place["prefix"]
        assert await asyncio.to_thread(run_in_directory, address, prefix, write) == 0


@pytest_asyncio.fixture(loop_scope="session")
async def directory(
    servers: EmbeddedServers, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Directory]:
    made = Directory(servers.nats, capsys)
    await made.put(*CELLS)
    yield made


async def test_projects_are_pinned_and_listed(directory: Directory) -> None:
    """A cell that drains takes none; the list has the states."""
    assert await directory.run(commands.pin, "shop", cell="eu1") == ""
    assert await directory.run(commands.pin, "shop", cell="us0", strict=True) == ""
    assert await directory.run(commands.unpin, "shop") == ""
    refused = await directory.run(commands.pin, "shop", cell="ap2")
    assert refused == "1 flowmesh: cell ap2 is draining; it takes no new projects\n"
    assert await directory.run(commands.set_state, "ap2", "open") == ""
    assert await directory.run(commands.pin, "shop", cell="ap2") == ""
    lines = (await directory.run(commands.list_cells)).splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        ["us0", "0", "us", "open"],
        ["eu1", "1", "eu", "open"],
        ["ap2", "2", "ap", "open"],
    ]


async def test_a_project_that_moves_keeps_its_entry(directory: Directory) -> None:
    """The list names its cells, also one that the directory has no more."""
    await directory.put(Pin("shop", Home(1), Move(source=1, target=9)))
    assert "moving: shop from eu1 to 9, copying" in await directory.run(commands.list_cells)
    refused = await directory.run(commands.unpin, "shop")
    assert "project shop moves to cell 9; `flowmesh cells move` continues or cancels" in refused


@pytest.mark.parametrize(
    ("words", "flags", "problem"),
    [
        (("shop",), {"to": "eu1", "mode": "relocate"}, "--mode relocate is not built"),
        (("shop",), {}, "--to names the cell"),
        (("default",), {"to": "eu1"}, "each cell has a namespace default of its own"),
        (("shop",), {"to": "none"}, "the directory has no cell 'none'; there are: ap2, eu1, us0"),
        (("shop",), {"to": "us0"}, "project shop lives in cell us0"),
        (("shop",), {"to": "ap2"}, "cell ap2 is draining"),
        (("strict",), {"to": "us0"}, "project strict stays in region eu, and cell us0 is in us"),
        (("lost",), {"to": "us0"}, "the directory has no cell 9, which the project is in"),
        (("moving",), {"to": "ap2"}, "project moving moves to cell us0 already"),
        (("shop",), {"cancel": True}, "project shop does not move"),
        (("moving",), {"cancel": True, "to": "ap2"}, "project moving moves to cell us0"),
        (("ending",), {"cancel": True}, "project ending lives in cell us0 already; move it back"),
    ],
)
async def test_a_move_that_cannot_begin_is_refused(
    directory: Directory, words: tuple[str, ...], flags: dict[str, Any], problem: str
) -> None:
    """Before a cell is called, with the reason."""
    await directory.put(
        Pin("strict", Home(1, strict=True)),
        Pin("lost", Home(9)),
        Pin("moving", Home(1), Move(source=1, target=0)),
        Pin("ending", Home(0), Move(source=1, target=0, step="ending")),
    )
    answer = await directory.run(commands.move, *words, **flags)
    assert answer.startswith("1 ")
    assert problem in answer


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        ({"directory": ""}, "is no cell"),
        ("", "no directory of cells; set FLOWMESH_CELL_DIRECTORY"),
    ],
)
async def test_a_directory_that_is_not_there_is_named(
    directory: Directory, tmp_path: Path, content: Any, problem: str
) -> None:
    """A folder without a suite, or of one that is no cell, and no directory at all."""
    if content:
        (tmp_path / "dev.json").write_text(json.dumps(content))
    place = "" if content == "" else str(tmp_path)
    answer = await directory.run(commands.list_cells, directory=place)
    assert answer.startswith("1 ")
    assert problem in answer


async def test_the_folder_of_a_suite_names_its_directory(
    directory: Directory, tmp_path: Path
) -> None:
    """In the file with its addresses."""
    (tmp_path / "dev.json").write_text(json.dumps({"directory": directory.place["directory"]}))
    assert "eu1" in await directory.run(commands.list_cells, directory=str(tmp_path))


class Gateway:
    """The gateway of a cell with the loads of projects."""

    def __init__(self) -> None:
        self.answer: Any = {"partial": False, "loads": []}
        self.status = 200
        self.asked: list[str] = []

    async def advice(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["projects"])
        return web.json_response(self.answer, status=self.status)


@pytest_asyncio.fixture(loop_scope="session")
async def gateway() -> AsyncIterator[tuple[Gateway, str]]:
    made, app = Gateway(), web.Application()
    app.router.add_get("/api/v1/cells/advice", made.advice)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield made, f"http://{host}:{port}"
    await runner.cleanup()


async def test_moves_are_advised_by_the_loads(
    directory: Directory, gateway: tuple[Gateway, str]
) -> None:
    """Fifty projects are asked for at once; a cell that does not answer ends the command."""
    scripted, url = gateway
    names = [f"p{number:02}" for number in range(51)]
    await directory.put(cell("eu1", 1, http=url), *(Pin(name, Home(1)) for name in names))
    even = await directory.run(commands.advise)
    assert "The loads are even" in even
    assert [len(each.split(",")) for each in scripted.asked] == [50, 1]
    scripted.answer["loads"] = [{"project": "p00", "bytes": 5_000}, {"project": "p01", "bytes": 1}]
    lines = (await directory.run(commands.advise)).splitlines()
    assert lines[1].split() == ["us0", "0", "0"]
    assert lines[-1].startswith("flowmesh cells move p0")
    scripted.answer["partial"] = True
    assert "does not read its projects" in await directory.run(commands.advise)
    scripted.status = 503
    assert "1 flowmesh: cell eu1 answers 503" in await directory.run(commands.advise)
