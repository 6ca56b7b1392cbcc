"""The log of an application: a ring in memory, and lines on standard error in batches."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from flowmesh.contract.json_value import Json

Record = dict[str, Json]

LEVELS = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40}
RECORDS_MAX = 10_000
FLUSH_S = 0.1
SECRET_CHARACTERS_MIN = 6
MASK = b"***"


class Sink(Protocol):
    """Takes the records of a log."""

    def take(self, record: Record) -> None: ...


class LogHub:
    """Collects the records of all modules; secrets are masked."""

    def __init__(
        self,
        *,
        app: str,
        level: str = "info",
        form: str = "json",
        write: Callable[[bytes], Any] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._app = app
        self._level = LEVELS[level]
        self._form = form
        self._write = write or sys.stderr.buffer.write
        self._now = now
        self._secrets: tuple[bytes, ...] = ()
        self._records: deque[Record] = deque(maxlen=RECORDS_MAX)
        self._waiting: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sinks: list[Sink] = []

    def configure(self, *, level: str, form: str) -> None:
        """Set level and form, as the module log.collector says."""
        self._level, self._form = LEVELS[level.lower()], form

    def mask(self, secrets: Iterable[str]) -> None:
        """Mask these values in all further records."""
        found = {each.encode() for each in secrets if len(each) >= SECRET_CHARACTERS_MIN}
        self._secrets = (*self._secrets, *found)

    def add(self, sink: Sink) -> None:
        self._sinks.append(sink)

    def remove(self, sink: Sink) -> None:
        self._sinks.remove(sink)

    def write(self, level: str, module: str, message: str, **fields: Json) -> None:
        """Write a record, unless its level is below that of the log."""
        if LEVELS.get(level, 20) < self._level:
            return
        record = {
            "time": self._now().isoformat(timespec="milliseconds"),
            "level": level,
            "app": self._app,
            "module": module,
            "message": message,
            **fields,
        }
        line = orjson.dumps(record, default=str)
        for secret in self._secrets:
            if secret in line:
                line = line.replace(secret, MASK)
                record = orjson.loads(line)
        self._records.append(record)
        for each in self._sinks:
            each.take(record)
        if self._form == "text":
            rest = " ".join(f"{key}={value}" for key, value in fields.items())
            text = f"{record['time']} {level:5} {module}: {record['message']} {rest}"
            line = text.rstrip().encode()
        self._waiting.append(line)
        self._flush_soon()

    def tell(self, module: str, message: str) -> None:
        """Write a line to standard error alone: it is not for readers of the records."""
        record = {
            "time": self._now().isoformat(timespec="milliseconds"),
            "level": "warn",
            "app": self._app,
            "module": module,
            "message": message,
        }
        self._waiting.append(
            f"{record['time']} warn  {module}: {message}".encode()
            if self._form == "text"
            else orjson.dumps(record)
        )
        self._flush_soon()

    def read(
        self, *, module: str = "", level: str = "", since: str = "", text: str = "", limit: int
    ) -> list[Record]:
        """Return the last records that match, oldest first."""
        least = LEVELS.get(level, 0)
        found: list[Record] = []
        for record in reversed(self._records):
            if len(found) == limit or (since and record["time"] < since):
                break
            fits = LEVELS.get(record["level"], 20) >= least
            fits = fits and (not module or record["module"].startswith(module))
            if fits and (not text or text in str(record)):
                found.append(record)
        return found[::-1]

    def flush(self) -> None:
        """Write the waiting lines now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._write(b"\n".join(self._waiting) + b"\n")
            self._waiting.clear()
            if self._write == sys.stderr.buffer.write:
                sys.stderr.buffer.flush()

    def _flush_soon(self) -> None:
        if self._timer is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        self._timer = loop.call_later(FLUSH_S, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.flush()
