"""`flowmesh dev --cells N` and `flowmesh cells`: suites side by side, and their directory."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio

from flowmesh.testing.polling import until
from tests.integration.suite.test_dev import BARE, DEV, HELLO, finished, gone

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

WITHIN_S = 60.0
CELLS = (sys.executable, "-m", "flowmesh.suite", "cells")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """The data folder of two cells, us0 and eu1; nothing of them is left at the end."""
    data = tmp_path_factory.mktemp("cells") / "data"
    argv = (*DEV, "--cells", "2", "--data-dir", str(data))
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(200):
        line = await process.stdout.readline()
    assert line.startswith(b"2 cells are ready")
    children = psutil.Process(process.pid).children(recursive=True)
    yield data
    process.terminate()
    async with asyncio.timeout(60):
        await process.wait()
    assert await gone(children)


def about(folder: Path, cell: str) -> dict[str, Any]:
    return dict(json.loads((folder / cell / "dev.json").read_text()))


async def cells(folder: Path, *words: str) -> tuple[int, str, str]:
    """Run a command on the directory of the cells."""
    return await finished(*CELLS, *words, "--directory", str(folder / "us0"), timeout_s=60)


async def test_the_directory_is_listed(folder: Path) -> None:
    """Each cell entered itself, with its region and addresses."""
    code, out, _ = await cells(folder, "list")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert [row[:4] for row in rows] == [
        ["NAME", "NUMBER", "REGION", "STATE"],
        ["us0", "0", "us", "open"],
        ["eu1", "1", "eu", "open"],
    ]
    assert rows[-1][4:] == [about(folder, "eu1")["http"], about(folder, "eu1")["grpc"]]


async def test_a_project_is_pinned_and_released(folder: Path) -> None:
    """Calls at the other cell are forwarded from then on, and no more."""
    headers = {"flowmesh-namespace": "shop"}
    url = f"{about(folder, 'us0')['http']}/api/v1/workflows"
    own = f"{about(folder, 'eu1')['http']}/api/v1/workflows"
    assert await cells(folder, "pin", "shop", "--cell", "eu1") == (0, "", "")
    async with aiohttp.ClientSession(headers=headers) as http:

        async def forwarded() -> bool:
            """Return whether a cell takes the project for one of the other."""
            async with http.get(url, headers={"flowmesh-cell": "0"}) as answer:
                return answer.status == 421

        await until("us0 knows the home", forwarded, within_s=WITHIN_S)
        async with http.post(url.replace("/api/v1", ""), json=HELLO) as answer:
            assert answer.status in (200, 201)
        async with http.get(own) as answer:
            assert "hello" in await answer.text()
        assert await cells(folder, "unpin", "shop") == (0, "", "")

        async def released() -> bool:
            return not await forwarded()

        await until("us0 serves it", released, within_s=WITHIN_S)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("pin", "shop", "--cell", "mars"), "has no cell 'mars'; there are: eu1, us0"),
        (("pin", "a b", "--cell", "eu1"), "a project of the directory matches"),
        (("state", "mars", "closed"), "has no cell 'mars'"),
    ],
)
async def test_bad_entries_are_refused(folder: Path, words: tuple[str, ...], problem: str) -> None:
    """Before they are written; the error is one line."""
    code, _, errors = await cells(folder, *words)
    assert code == 1
    assert problem in errors


async def test_a_draining_cell_takes_no_project(folder: Path) -> None:
    """Until it is open again."""
    assert (await cells(folder, "state", "eu1", "draining"))[0] == 0
    code, _, errors = await cells(folder, "pin", "late", "--cell", "eu1")
    assert (code, "eu1 is draining" in errors) == (1, True)
    assert (await cells(folder, "state", "eu1", "open"))[0] == 0
    assert (await cells(folder, "pin", "late", "--cell", "eu1"))[0] == 0


async def test_bad_directories_are_named(tmp_path: Path) -> None:
    """None, and the folder of a suite that is no cell."""
    code, _, errors = await finished(*CELLS, "list", timeout_s=60)
    assert (code, "FLOWMESH_CELL_DIRECTORY" in errors) == (1, True)
    (tmp_path / "dev.json").write_text("{}")
    code, _, errors = await finished(*CELLS, "list", "--directory", str(tmp_path), timeout_s=60)
    assert (code, "is no cell" in errors) == (1, True)


@pytest.mark.parametrize("flags", [("--tls",), ("--nats", "nats://127.0.0.1:4222")])
async def test_cells_share_no_server(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Options that would give all cells one server or certificate are refused."""
    argv = (*BARE, "--cells", "2", "--data-dir", str(tmp_path / "data"), *flags)
    code, _, errors = await finished(*argv, timeout_s=60)
    assert (code, "--cells goes without" in errors) == (1, True)
