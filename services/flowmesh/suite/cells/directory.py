"""The directory of cells as the commands read and write it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from flowmesh.bus import Bus
from flowmesh.cells import OPEN, Cell, Directory, DirectoryStore, Home, Pin, entry_of
from flowmesh.errors import FlowmeshError
from flowmesh.suite.dev import DEV_FILE
from flowmesh.suite.files import print_error, print_line
from flowmesh.telemetry import configure_logs

WAIT_S = 10.0


class OpenedDirectory:
    """All entries of the directory, read once; `projects` are those that it names."""

    def __init__(
        self, store: DirectoryStore, entries: Directory, projects: Collection[str]
    ) -> None:
        self.store = store
        self.entries = entries
        self.projects = projects

    async def show(self) -> None:
        """Print the cells."""
        lines = [f"{'NAME':<12} {'NUMBER':>6}  {'REGION':<8} {'STATE':<9} {'REST':<28} GRPC"]
        for number in sorted(self.entries.cells):
            each = self.entries.cells[number]
            place = f"{each.http:<28} {each.grpc}"
            lines.append(f"{each.name:<12} {number:>6}  {each.region:<8} {each.state:<9} {place}")
        for project, move in sorted(self.entries.moves.items()):
            source, target = self.name_of(move.source), self.name_of(move.target)
            lines.append(f"moving: {project} from {source} to {target}, {move.step}")
        print_line("\n".join(lines))

    async def pin(self, project: str, name: str, *, strict: bool) -> None:
        """Give a project its cell. Raises ValueError."""
        await self._put_home(project, Home(self.open_cell(name).number, strict))

    async def unpin(self, project: str) -> None:
        """Take a project out of the directory. Raises ValueError."""
        await self._put_home(project, None)

    async def set_state(self, name: str, state: str) -> None:
        """Set the state of a cell. Raises ValueError."""
        await self.store.put(replace(self.cell(name), state=state))

    def open_cell(self, name: str) -> Cell:
        """Return a cell that takes new projects. Raises ValueError."""
        cell = self.cell(name)
        if cell.state != OPEN:
            raise ValueError(f"cell {name} is {cell.state}; it takes no new projects")
        return cell

    def cell(self, name: str) -> Cell:
        """Return a cell by its name. Raises ValueError."""
        found = self.entries.named(name)
        if found is None:
            known = ", ".join(sorted(each.name for each in self.entries.cells.values())) or "none"
            raise ValueError(f"the directory has no cell {name!r}; there are: {known}")
        return found

    def name_of(self, number: int) -> str:
        """Return the name of a cell, or its number if the directory has no such cell."""
        found = self.entries.cells.get(number)
        return found.name if found is not None else str(number)

    async def _put_home(self, project: str, home: Home | None) -> None:
        pin = Pin(project, home)
        # Every front accepts an entry that this accepts.
        entry_of(pin.encoded())
        before, sequence = await self.store.pin(project)
        if before.move is not None:
            text = f"project {project} moves to cell {self.name_of(before.move.target)}"
            raise ValueError(f"{text}; `flowmesh cells move` continues or cancels that")
        await self.store.replace(pin, sequence)


def run_in_directory(
    address: str,
    prefix: str,
    work: Callable[[OpenedDirectory], Awaitable[None]],
    *,
    within_s: float | None = WAIT_S,
) -> int:
    """Run a command on the directory; each foreseeable failure is one line and exit code 1.

    `within_s` is the time for the work after the directory is read; None is no limit.
    """
    configure_logs("error", "console")
    try:
        asyncio.run(_run(_address_of(address), prefix, work, within_s))
    except TimeoutError:
        print_error(f"the directory of cells does not answer within {WAIT_S:.0f} s")
        return 1
    except (FlowmeshError, ValueError, OSError) as error:
        print_error(str(error))
        return 1
    return 0


async def _run(
    address: str,
    prefix: str,
    work: Callable[[OpenedDirectory], Awaitable[None]],
    within_s: float | None,
) -> None:
    bus = Bus(address, name="cells")
    bus.start()
    try:
        async with asyncio.timeout(WAIT_S):
            await bus.until_connected()
            store = DirectoryStore(bus, prefix)
            await store.ensure()
            opened = await read_directory(store)
        async with asyncio.timeout(within_s):
            await work(opened)
    finally:
        await bus.close()


async def read_directory(store: DirectoryStore) -> OpenedDirectory:
    """Read all entries once."""
    directory, last = Directory(own=0), await store.last_sequence()
    projects: set[str] = set()
    if last:
        async with aclosing(store.entries()) as entries:
            async for sequence, data in entries:
                entry = entry_of(data)
                directory.add(entry)
                if isinstance(entry, Pin) and entry.home is not None:
                    projects.add(entry.project)
                if sequence >= last:
                    break
    return OpenedDirectory(store, directory, sorted(projects))


def _address_of(text: str) -> str:
    """Return the address of NATS; that of a data folder is in the file of its suite."""
    if not text:
        raise ValueError("no directory of cells; set FLOWMESH_CELL_DIRECTORY or pass --directory")
    if "://" in text:
        return text
    found = json.loads((Path(text) / DEV_FILE).read_text())
    if not found.get("directory"):
        raise ValueError(f"the suite of {text} is no cell")
    return str(found["directory"])
