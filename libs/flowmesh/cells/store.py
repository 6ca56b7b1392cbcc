"""The directory as a bucket of JetStream in the control cell, and a copy of it on disk.

The bucket is a key-value store of NATS, whose tools read, mirror and back it up. Every gateway
follows it. While it cannot be reached, the copy in memory serves, and after a restart that on disk.
"""

import base64
import hashlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

import orjson

from flowmesh.bus import Bus
from flowmesh.bus.bus import FAILURES
from flowmesh.cells.directory import Cell, Directory, Pin, entry_of
from flowmesh.cells.projects import Projects
from flowmesh.errors import Unavailable

FILE = "cells.directory"
# A condition of JetStream, and its error for an entry that has changed.
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_CHANGED = frozenset({10071, 10164})


class DirectoryChanged(ValueError):
    """The entry of a project is not the one that the caller has read."""


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

    async def replace(self, entry: Pin, sequence: int) -> int:
        """Store the entry of a project if the former one has a sequence; return that of the new.

        A sequence of 0 is no entry. Raises Unavailable, and DirectoryChanged if another caller has
        changed the entry.
        """
        subject = f"{self._subjects}.{_key(entry)}"
        reply = await self._bus.ask(subject, entry.encoded(), headers={_EXPECTED: str(sequence)})
        answer = orjson.loads(reply.data) if reply.data else {}
        if answer.get("error", {}).get("err_code") in _CHANGED:
            raise DirectoryChanged(f"another command has changed the entry of {entry.project}")
        if "seq" not in answer:
            raise _unreadable()
        return int(answer["seq"])

    async def pin(self, project: str) -> tuple[Pin, int]:
        """Return the entry of a project, and its sequence; 0 without one. Raises Unavailable."""
        subject = f"{self._subjects}.{_key(Pin(project, None))}"
        found = await self._bus.last_message(self.stream, subject)
        if found is None:
            return Pin(project, None), 0
        entry = entry_of(found.data)
        return (entry if isinstance(entry, Pin) else Pin(project, None)), found.stream_sequence

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
            raise _unreadable() from error
        return int(info.state.last_seq)

    async def entries(self, after: int = 0) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield entries with their sequences after one, without end, across reconnects."""
        messages = self._bus.consume(self.stream, start_sequence=after + 1)
        async with aclosing(messages):
            async for message in messages:
                yield message.stream_sequence, message.data


def _unreadable() -> Unavailable:
    text = "the directory of cells cannot be read"
    return Unavailable("SERVICE_UNAVAILABLE", text, retry_after_ms=500)


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
        "moves": [
            orjson.Fragment(Pin(project, directory.projects.get(project), move).encoded())
            for project, move in directory.moves.items()
        ],
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
        return directory_of(own, path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def directory_of(
    own: int, content: bytes, monotonic: Callable[[], float] = time.monotonic
) -> Directory:
    """Return the directory of a copy. Raises ValueError, KeyError or TypeError for another text."""
    text, _, data = content.partition(b"\n")
    head = orjson.loads(text)
    slots = int(head["slots"])
    projects = Projects(base64.b64decode(head["key"]), data[slots:], data[:slots])
    directory = Directory(own, projects, monotonic)
    for each in head["cells"]:
        directory.add(Cell(**each))
    for each in head.get("moves", ()):
        directory.add(entry_of(orjson.dumps(each)))
    directory.sequence, directory.loaded = int(head["sequence"]), True
    return directory
