"""eventlogger.modular: the life, requests and runs of an application as CloudEvents."""

import asyncio
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TextIO

import orjson

from flowmesh.apps.http.messages import Request
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.observing.logs import LEVELS
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

FORMATS = ("structured", "text", "json")
# Of one file; the older half is in the file `.1` beside it.
FILE_BYTES_MAX = 64 * 1024 * 1024
_TARGET_KEYS = ("type", "level", "format", "path", "enabled", "name")
_PREFIX = "com.flowmesh."


class Target(Protocol):
    """Writes events; `level` is the least that it takes."""

    level: int

    def write(self, event: dict[str, Json], level: str) -> None: ...

    def close(self) -> None: ...


class Console:
    """Writes events to the log of the application."""

    def __init__(self, setting: Setting, level: int, form: str) -> None:
        self.level = level
        self._setting = setting
        self._form = form

    def write(self, event: dict[str, Json], level: str) -> None:
        if self._form == "structured":
            self._setting.log(level, str(event["type"]), event=event)
        else:
            self._setting.log(level, written(event, self._form))

    def close(self) -> None:
        return None


class EventFile:
    """Writes events to a file, one a line."""

    def __init__(self, path: Path, level: int, form: str, bytes_max: int = FILE_BYTES_MAX) -> None:
        self.level = level
        self._path = path
        self._form = form
        self._bytes_max = bytes_max
        self._file: TextIO | None = None

    def write(self, event: dict[str, Json], level: str) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(f"{written(event, self._form)}\n")
        self._file.flush()
        if self._file.tell() >= self._bytes_max:
            self.close()
            self._path.replace(f"{self._path}.1")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def written(event: dict[str, Json], form: str) -> str:
    """Return an event as a line."""
    if form != "text":
        return orjson.dumps(event, default=str).decode()
    data = " ".join(f"{key}={value}" for key, value in event.get("data", {}).items())
    return f"{event.get('time', '')} {event['type']} {data}".strip()


class EventLog:
    """Events wait in a buffer, and are written together; a full buffer is written at once."""

    def __init__(self, setting: Setting, targets: list[Target], level: int) -> None:
        config = setting.config
        self._app = setting.context.document.name
        self._clock = setting.context.clock
        self._targets = targets
        self._level = level
        self._wanted = frozenset(config.get("eventTypeFilters") or ())
        self._refused = frozenset(config.get("eventTypeBlacklist") or ())
        self._metadata = bool(config["includeMetadata"])
        self._room = int(config["bufferSize"])
        self._pause_s = float(config["flushInterval"])
        self._waiting: deque[tuple[dict[str, Json], str]] = deque()
        self._number = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._flush_again())
        self.event("info", "application.starting")

    async def stop(self) -> None:
        self.event("info", "application.stopped")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._flush()
        for each in self._targets:
            each.close()

    def event(self, level: str, kind: str, **data: Json) -> None:
        """Take an event, unless its type or its level is left out."""
        kind = _PREFIX + kind
        if LEVELS[level] < self._level or (self._wanted and kind not in self._wanted):
            return
        if kind in self._refused:
            return
        self._number += 1
        event = {"specversion": "1.0", "id": f"{self._app}-{self._number}", "type": kind}
        if self._metadata:
            moment = datetime.fromtimestamp(self._clock.now(), UTC)
            event |= {"source": f"/apps/{self._app}", "time": moment.isoformat()}
        self._waiting.append(({**event, "data": data}, level))
        if len(self._waiting) >= self._room:
            self._flush()

    def request(self, request: Request, status: int, size: int, seconds: float) -> None:
        """Take a served request."""
        level = "error" if status >= 500 else "info"
        about = {"method": request.method, "route": request.route, "status": status}
        self.event(level, "request.served", **about, bytes=size, ms=round(seconds * 1_000, 3))

    def run(self, pipeline: str, seconds: float, failed_step: str, code: str) -> None:
        """Take the end of a run."""
        ms = round(seconds * 1_000, 3)
        if code:
            self.event(
                "error", "pipeline.failed", pipeline=pipeline, step=failed_step, code=code, ms=ms
            )
        else:
            self.event("info", "pipeline.completed", pipeline=pipeline, ms=ms)

    async def _flush_again(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            self._flush()

    def _flush(self) -> None:
        while self._waiting:
            event, level = self._waiting.popleft()
            for each in self._targets:
                if LEVELS[level] >= each.level:
                    each.write(event, level)


def event_log(setting: Setting) -> Module:
    """Build eventlogger.modular. Raises Invalid for a level, a format or a target of no use."""
    config = setting.config
    level = _level(setting, "logLevel", config["logLevel"])
    form = _form(setting, "format", config["format"])
    listed = config.get("outputTargets") or [{"type": "console"}]
    targets = [
        found
        for index, each in enumerate(listed)
        if (found := _target(setting, f"outputTargets[{index}]", each, form)) is not None
    ]
    made = EventLog(setting, targets, level)
    if not config["enabled"]:
        return Module(name=setting.name)
    setting.context.hub.add(made)
    return Module(name=setting.name, services={"EventLog": made}, start=made.start, stop=made.stop)


def _target(setting: Setting, where: str, raw: dict[str, Json], form: str) -> Target | None:
    for key in raw:
        if key not in _TARGET_KEYS:
            raise _wrong(setting, f"{where} has {', '.join(_TARGET_KEYS)}, not {key!r}")
    kind = str(raw.get("type", "console"))
    level = _level(setting, f"{where}.level", raw.get("level", "DEBUG"))
    form = _form(setting, f"{where}.format", raw.get("format", form))
    if kind not in ("console", "file"):
        text = f"{where}.type is console or file, not {kind!r}; collect the console for syslog"
        raise _wrong(setting, text)
    if kind == "file" and not raw.get("path"):
        raise _wrong(setting, f"{where} needs a path")
    if raw.get("enabled") is False:
        return None
    if kind == "console":
        return Console(setting, level, form)
    return EventFile(setting.path(str(raw["path"])), level, form)


def _level(setting: Setting, where: str, value: Json) -> int:
    found = LEVELS.get(str(value).lower())
    if found is None:
        raise _wrong(setting, f"{where} is one of debug, info, warn and error, not {value!r}")
    return found


def _form(setting: Setting, where: str, value: Json) -> str:
    if value not in FORMATS:
        raise _wrong(setting, f"{where} is one of {', '.join(FORMATS)}, not {value!r}")
    return str(value)


def _wrong(setting: Setting, text: str) -> Invalid:
    return Invalid("APP_CONFIG_INVALID", f"{setting.name}: {text}")
