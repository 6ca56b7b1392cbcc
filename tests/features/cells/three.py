"""Three cells on this machine: the control cell and one more in region us, and one in region eu."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from flowmesh.bus import Bus
from flowmesh.cells import Cell, DirectoryStore, Home, Pin
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

NAMES = (("us0", "us"), ("us1", "us"), ("eu2", "eu"))
EU = 2
WITHIN_S = 60.0
HELLO = {
    "id": "hello",
    "name": "Hello",
    "steps": [{"id": "wait", "name": "Wait", "action": "delay", "params": {"duration": 1}}],
}


@dataclass(frozen=True, slots=True)
class Cells:
    """The suites by their numbers, and the directory as its owner writes it."""

    suites: list[Suite]
    store: DirectoryStore
    folder: Path

    async def put(self, entry: Cell | Pin) -> None:
        """Write an entry of the directory."""
        await self.store.put(entry)

    async def pin(self, project: str, cell: int, *, strict: bool = False) -> None:
        """Give a project a home, and wait until each front serves it from there."""
        await self.put(Pin(project, Home(cell, strict)))
        known = partial(self._is_known, project, cell)
        await until(f"each front knows {project}", known, within_s=WITHIN_S)

    async def _is_known(self, project: str, cell: int) -> bool:
        """Return whether each front has the pin: a forwarded call is served at home only."""
        address = self.suites[cell].grpc_address
        for number, suite in enumerate(self.suites):
            headers = {"flowmesh-namespace": project, "flowmesh-cell": str(number)}
            answer = await suite.get("/api/v1/workflows", headers=headers)
            served = answer.headers.get("flowmesh-cell-address", suite.grpc_address)
            if served != address:
                return False
        return True

    def holds(self, number: int, text: str) -> list[Path]:
        """Return the files of a cell, logs included, that hold a text."""
        name = NAMES[number][0]
        found = [*(self.folder / name).rglob("*"), self.folder / f"{name}.log"]
        return [each for each in found if each.is_file() and text.encode() in each.read_bytes()]


def settings_of(number: int, directory: str) -> dict[str, str]:
    """Return the settings of a cell; its addresses are those of its gateway."""
    name, region = NAMES[number]
    return {
        "FLOWMESH_CELL": str(number),
        "FLOWMESH_CELL_NAME": name,
        "FLOWMESH_CELL_REGION": region,
        "FLOWMESH_CELL_DIRECTORY": directory,
    }


async def command(cells: Cells, *words: str) -> asyncio.subprocess.Process:
    """Start a command on the directory of the cells."""
    directory = ("--directory", str(cells.suites[0].about["directory"]))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flowmesh.suite", "cells", *words, *directory),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "FLOWMESH_ALLOW_PLAINTEXT": "true"},
    )


async def finished(cells: Cells, *words: str) -> tuple[int | None, str, str]:
    """Run a command to its end: exit code, output, errors."""
    process = await command(cells, *words)
    async with asyncio.timeout(120):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@asynccontextmanager
async def three_cells(
    folder: Path, everywhere: Mapping[str, str] = MappingProxyType({}), **environment: str
) -> AsyncIterator[Cells]:
    """Run the three cells; `environment` is that of the control cell."""
    async with AsyncExitStack() as stack:
        settings = {**settings_of(0, ""), **everywhere, **environment}
        control = Suite(folder / "us0", environment=settings)
        suites = [await stack.enter_async_context(control)]
        directory = str(control.about["directory"])
        others = [
            Suite(
                folder / NAMES[number][0],
                environment={**settings_of(number, directory), **everywhere},
            )
            for number in (1, EU)
        ]
        suites += await asyncio.gather(*map(stack.enter_async_context, others))
        bus = Bus(directory)
        bus.start()
        stack.push_async_callback(bus.close)
        await bus.until_connected()
        yield Cells(suites, DirectoryStore(bus, "fm"), folder)
