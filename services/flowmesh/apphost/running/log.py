"""The log of an application: lines of all its releases in a file, and the file before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import orjson

from flowmesh.apphost.limits import LOG_BYTES_MAX
from flowmesh.apps.observing.logs import LEVELS
from flowmesh.contract.json_value import Json

LINE_BYTES_MAX = 64 * 1024
_OWN = ("time", "level", "app", "module", "message")
HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A record of the log."""

    at_us: int
    level: str
    module: str
    message: str
    release: int
    fields: dict[str, Json]


class AppLog:
    """Appends lines, and reads the last ones. A line is the release, a tab, and the text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._size = 0

    def take(self, release: int, line: bytes) -> None:
        """Append a line of a process."""
        if not line.strip():
            return
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
            self._size = self._file.tell()
        entry = b"%d\t%s\n" % (release, line[:LINE_BYTES_MAX])
        self._file.write(entry)
        self._size += len(entry)
        if self._size > LOG_BYTES_MAX:
            self.close()
            self._path.replace(self._before)

    def note(self, release: int, level: str, message: str) -> None:
        """Append a record of the host."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"time": now, "level": level, "module": HOST, "message": message}
        self.take(release, orjson.dumps(record))
        self.flush()

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self, *, limit: int, level: str, text: str, module: str) -> list[LogEntry]:
        """Return the last records that match, oldest first. Blocks: run it in a thread."""
        found: list[LogEntry] = []
        least = LEVELS.get(level, 0)
        for line in self._backwards():
            entry = _entry(line)
            if entry is None or LEVELS.get(entry.level, 20) < least:
                continue
            if not entry.module.startswith(module) or (
                text and text not in line.decode("utf-8", "replace")
            ):
                continue
            found.append(entry)
            if len(found) == limit:
                break
        return found[::-1]

    @property
    def _before(self) -> Path:
        return self._path.with_suffix(".1")

    def _backwards(self) -> Iterator[bytes]:
        for path in (self._path, self._before):
            if path.is_file():
                yield from reversed(path.read_bytes().splitlines())


def _entry(line: bytes) -> LogEntry | None:
    release, _, text = line.partition(b"\t")
    if not release.isdigit():
        return None
    try:
        record = orjson.loads(text)
        at = datetime.fromisoformat(record["time"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        # Text of the interpreter, such as a traceback.
        message = text.decode("utf-8", "replace")
        return LogEntry(
            at_us=0, level="error", module=HOST, message=message, release=int(release), fields={}
        )
    return LogEntry(
        at_us=round(at.timestamp() * 1_000_000),
        level=str(record.get("level", "info")),
        module=str(record.get("module", "")),
        message=str(record.get("message", "")),
        release=int(release),
        fields={name: value for name, value in record.items() if name not in _OWN},
    )
