"""The loops of a front: they follow the directory, keep a copy on disk, and enter the own cell."""

import asyncio
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import structlog

from flowmesh.bus import Bus
from flowmesh.cells import Cell, Directory, DirectoryStore, copy_of, entry_of, write_copy
from flowmesh.errors import Unavailable
from flowmesh.runtime import StartError
from flowmesh.runtime.loop import Loop

START_WAIT_S = 3.0


class FollowDirectory(Loop):
    """Takes each entry of the directory as it is written."""

    interval_ms: ClassVar[int] = 200

    def __init__(self, directory: Directory, store: DirectoryStore) -> None:
        self._directory = directory
        self._store = store
        self._log = structlog.get_logger("flowmesh.cells")

    async def at_start(self) -> None:
        """Read what was written while this process was away; try for some seconds.

        A gateway that starts while a project is switched then refuses what the others refuse.
        """
        directory = self._directory
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(START_WAIT_S):
                last = await self._last()
                if directory.sequence >= last:
                    return
                async with aclosing(self._store.entries(directory.sequence)) as entries:
                    async for sequence, data in entries:
                        self._take(sequence, data, last)
                        if sequence >= last:
                            return

    async def run_once(self) -> None:
        last = await self._last()
        async for sequence, data in self._store.entries(self._directory.sequence):
            self._take(sequence, data, last)

    async def _last(self) -> int:
        """Return the sequence of the last entry."""
        directory = self._directory
        await self._store.ensure()
        last = await self._store.last_sequence()
        if last < directory.sequence:
            # The bucket was made anew.
            directory.sequence = 0
        directory.loaded = directory.loaded or last == 0
        return last

    def _take(self, sequence: int, data: bytes, last: int) -> None:
        directory = self._directory
        try:
            directory.add(entry_of(data))
        except ValueError as error:
            self._log.error("directory_entry_refused", problem=str(error))
        directory.sequence = sequence
        directory.loaded = directory.loaded or sequence >= last


class CopyDirectory(Loop):
    """Writes the directory to disk after a change."""

    def __init__(self, directory: Directory, path: Path) -> None:
        self._directory = directory
        self._path = path
        self._written = directory.sequence

    async def run_once(self) -> None:
        sequence = self._directory.sequence
        if sequence != self._written:
            await asyncio.to_thread(write_copy, copy_of(self._directory), self._path)
            self._written = sequence


class EnterCell(Loop):
    """Enters the cell of this process into the directory, once."""

    def __init__(self, own: Cell, store: DirectoryStore, bus: Bus) -> None:
        self._own = own
        self._store = store
        self._bus = bus
        self._entered = False

    async def at_start(self) -> None:
        """Try for some seconds; later rounds go on. Raises StartError for a number in use."""
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(START_WAIT_S):
                await self._bus.until_connected()
                await self.run_once()

    async def run_once(self) -> None:
        if self._entered:
            return
        own = self._own
        await self._store.ensure()
        found = await self._store.cell(own.number)
        if found is not None and (found.name, found.region) != (own.name, own.region):
            raise StartError(
                f"cell {own.number} is {found.name} of region {found.region} in the directory, and"
                f" {own.name} of region {own.region} here; give each cell a number of its own"
            )
        if found is not None:
            own = replace(own, state=found.state)
        if found != own:
            await self._store.put(own)
        self._entered = True
