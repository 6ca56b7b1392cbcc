"""The directory of cells as the commands read and write it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
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
    """All entries of the directory, read once."""

    def __init__(self, store: DirectoryStore, entries: Directory) -> None:
        self._store = store
        self._entries = entries

    async def show(self) -> None:
        """Print the cells."""
        lines = [f"{'NAME':<12} {'NUMBER':>6}  {'REGION':<8} {'STATE':<9} {'REST':<28} GRPC"]
        for number in sorted(self._entries.cells):
            each = self._entries.cells[number]
            place = f"{each.http:<28} {each.grpc}"
            lines.append(f"{each.name:<12} {number:>6}  {each.region:<8} {each.state:<9} {place}")
        print_line("\n".join(lines))

    async def pin(self, project: str, name: str, *, strict: bool) -> None:
        """Give a project its cell. Raises ValueError."""
        cell = self._cell(name)
        if cell.state != OPEN:
            raise ValueError(f"cell {name} is {cell.state}; it takes no new projects")
        await self._put(Pin(project, Home(cell.number, strict)))

    async def unpin(self, project: str) -> None:
        await self._put(Pin(project, None))

    async def set_state(self, name: str, state: str) -> None:
        """Set the state of a cell. Raises ValueError."""
        await self._put(replace(self._cell(name), state=state))

    async def _put(self, entry: Cell | Pin) -> None:
        # What this accepts, every front accepts.
        await self._store.put(entry_of(entry.encoded()))

    def _cell(self, name: str) -> Cell:
        found = self._entries.named(name)
        if found is None:
            known = ", ".join(sorted(each.name for each in self._entries.cells.values())) or "none"
            raise ValueError(f"the directory has no cell {name!r}; there are: {known}")
        return found


def run_in_directory(
    address: str, prefix: str, work: Callable[[OpenedDirectory], Awaitable[None]]
) -> int:
    """Run a command on the directory; each foreseeable failure is one line and exit code 1."""
    configure_logs("error", "console")
    try:
        asyncio.run(_run(_address_of(address), prefix, work))
    except TimeoutError:
        print_error(f"the directory of cells does not answer within {WAIT_S:.0f} s")
        return 1
    except (FlowmeshError, ValueError, OSError) as error:
        print_error(str(error))
        return 1
    return 0


async def _run(
    address: str, prefix: str, work: Callable[[OpenedDirectory], Awaitable[None]]
) -> None:
    bus = Bus(address, name="cells")
    bus.start()
    try:
        async with asyncio.timeout(WAIT_S):
            await bus.until_connected()
            store = DirectoryStore(bus, prefix)
            await store.ensure()
            await work(OpenedDirectory(store, await _read(store)))
    finally:
        await bus.close()


async def _read(store: DirectoryStore) -> Directory:
    directory, last = Directory(own=0), await store.last_sequence()
    if last:
        async with aclosing(store.entries()) as entries:
            async for sequence, data in entries:
                directory.add(entry_of(data))
                if sequence >= last:
                    break
    return directory


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
