"""The directory as a bucket of JetStream in the control cell, and a copy of it on disk.

The bucket is a key-value store of NATS, whose tools read, mirror and back it up. Every gateway
follows it. While it cannot be reached, the copy in memory serves, and after a restart that on disk.
"""

import base64
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import orjson

from flowmesh.bus import Bus
from flowmesh.bus.bus import FAILURES
from flowmesh.cells.directory import Cell, Directory, Pin, entry_of
from flowmesh.cells.projects import Projects
from flowmesh.errors import Unavailable

FILE = "cells.directory"


class DirectoryStore:
    """The entries of the directory. `prefix` is the first token of the subjects of its NATS."""

    def __init__(self, bus: Bus, prefix: str) -> None:
        self._bus = bus
        self._subjects = f"$KV.{prefix}-cells"
        self.stream = f"KV_{prefix}-cells"

    async def ensure(self) -> None:
        """Create the bucket. Raises Unavailable."""
        subjects = [f"{self._subjects}.>"]
        await self._bus.ensure_stream(self.stream, subjects, 0, -1, subject_messages_max=1)

    async def put(self, entry: Cell | Pin) -> None:
        """Store an entry. Raises Unavailable."""
        await self._bus.publish(f"{self._subjects}.{_key(entry)}", entry.encoded())

    async def cell(self, number: int) -> Cell | None:
        """Return the stored entry of a cell. Raises Unavailable, and ValueError for a bad one."""
        found = await self._bus.last_message(self.stream, f"{self._subjects}.cell.{number}")
        entry = entry_of(found.data) if found is not None else None
        return entry if isinstance(entry, Cell) else None

    async def last_sequence(self) -> int:
        """Return the sequence of the newest entry. Raises Unavailable."""
        try:
            info = await self._bus.request(self._bus.jetstream.stream_info(self.stream))
        except FAILURES as error:
            text = "the directory of cells cannot be read"
            raise Unavailable("SERVICE_UNAVAILABLE", text, retry_after_ms=500) from error
        return int(info.state.last_seq)

    async def entries(self, after: int = 0) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield entries with their sequences after one, without end, across reconnects."""
        messages = self._bus.consume(self.stream, start_sequence=after + 1)
        async with aclosing(messages):
            async for message in messages:
                yield message.stream_sequence, message.data


def _key(entry: Cell | Pin) -> str:
    if isinstance(entry, Cell):
        return f"cell.{entry.number}"
    return f"project.{hashlib.sha256(entry.project.encode()).hexdigest()[:32]}"


def copy_of(directory: Directory) -> bytes:
    """Return the directory as the content of a file."""
    hashes, values = directory.projects.saved()
    head = {
        "sequence": directory.sequence,
        "cells": [orjson.Fragment(each.encoded()) for each in directory.cells.values()],
        "key": base64.b64encode(directory.projects.key).decode(),
        "slots": len(values),
    }
    return orjson.dumps(head) + b"\n" + values + hashes


def write_copy(content: bytes, path: Path) -> None:
    """Replace a file in one step."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(path)


def read_copy(own: int, path: Path) -> Directory | None:
    """Return the directory of a file; None if there is none, or if it cannot be read."""
    try:
        text, _, data = path.read_bytes().partition(b"\n")
        head = orjson.loads(text)
        slots = int(head["slots"])
        projects = Projects(base64.b64decode(head["key"]), data[slots:], data[:slots])
        directory = Directory(own, projects)
        for each in head["cells"]:
            directory.add(Cell(**each))
        directory.sequence, directory.loaded = int(head["sequence"]), True
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return directory
