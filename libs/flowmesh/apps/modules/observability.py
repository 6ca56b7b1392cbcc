"""Metrics, health and logs of an application."""

import asyncio
import datetime
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson

from flowmesh.apps.http.messages import Handle, Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.module import Module, Mounts, Setting
from flowmesh.apps.observing.logs import LEVELS, Record
from flowmesh.jsontext.integers import is_whole

LINES_DEFAULT = 200
LINES_MAX = 10_000
NDJSON = b"application/x-ndjson"


def metrics(setting: Setting) -> Module:
    """Build metrics.collector."""
    from flowmesh.apps.observing.metrics import CONTENT_TYPE, AppMetrics

    config = setting.config
    found = AppMetrics(
        namespace=str(config["namespace"]),
        subsystem=str(config.get("subsystem") or ""),
        enabled=config.get("enabledMetrics") or (),
    )
    setting.context.hub.add(found)

    kept_s = float(config.get("collectInterval") or 0.0)
    text, read_at = b"", 0.0

    def handle(_request: Request) -> Response:
        nonlocal text, read_at
        now = time.monotonic()
        if not text or now - read_at >= kept_s:
            text, read_at = found.text(), now
        return Response(200, text, CONTENT_TYPE, [(b"cache-control", b"no-store")])

    def mount(mounts: Mounts) -> None:
        for each in mounts.servers(str(config.get("server") or "")):
            each.add(
                "GET", str(config["metricsPath"]), handle, middlewares=setting.context.readers()
            )

    return Module(name=setting.name, services={"Metrics": found}, mount=mount)


def health(setting: Setting) -> Module:
    """Build health.checker: all checks at once, each in its time."""
    config = setting.config
    timeout_s = float(config["checkTimeout"])
    discovers = bool(config["autoDiscover"])

    async def ready(_request: Request) -> Response:
        checks = setting.context.checks() if discovers else {}
        results = await asyncio.gather(*(_checked(check(), timeout_s) for check in checks.values()))
        found = dict(zip(checks, results, strict=True))
        healthy = not any(found.values())
        body = {
            "status": "healthy" if healthy else "unhealthy",
            "checks": {
                name: {"status": "unhealthy", "message": text} if text else {"status": "healthy"}
                for name, text in found.items()
            },
        }
        return json_response(body, 200 if healthy else 503, [(b"cache-control", b"no-store")])

    def live(_request: Request) -> Response:
        return json_response({"status": "alive"}, 200, [(b"cache-control", b"no-store")])

    def mount(mounts: Mounts) -> None:
        paths: dict[str, Handle] = {
            str(config["healthPath"]): ready,
            str(config["readyPath"]): ready,
            str(config["livePath"]): live,
        }
        for each in mounts.servers(str(config.get("server") or "")):
            for path, handle in paths.items():
                each.add("GET", path, handle)

    return Module(name=setting.name, mount=mount)


async def _checked(check: Any, timeout_s: float) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            return str(await check)
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except Exception as error:  # noqa: BLE001 - a failed check is a result
        return f"the check failed: {type(error).__name__}"


class Segments:
    """Log records in a file per day; old files are removed."""

    def __init__(self, folder: Path, days: int) -> None:
        self._folder = folder
        self._days = days
        self._day = ""
        self._file: Any = None

    def take(self, record: Record) -> None:
        day = str(record["time"])[:10]
        if day != self._day:
            self._turn(day)
        self._file.write(orjson.dumps(record, default=str) + b"\n")
        self._file.flush()

    async def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _turn(self, day: str) -> None:
        if self._file is not None:
            self._file.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = (self._folder / f"{day}.ndjson").open("ab")
        self._day = day
        oldest = datetime.date.fromisoformat(day) - datetime.timedelta(days=self._days)
        for path in self._folder.glob("????-??-??.ndjson"):
            if path.stem < oldest.isoformat():
                path.unlink(missing_ok=True)


def logs(setting: Setting) -> Module:
    """Build log.collector: `GET /logs?module&level&since&q&limit&follow`."""
    config = setting.config
    hub = setting.context.log
    hub.configure(level=str(config["logLevel"]), form=str(config["outputFormat"]))
    segments: Segments | None = None
    if folder := config.get("directory"):
        segments = Segments(setting.path(str(folder)), int(config["retentionDays"]))
        hub.add(segments)

    def handle(request: Request) -> Response:
        query = request.query
        level = query.get("level", "")
        if level and level not in LEVELS:
            raise HttpProblem(400, "REQUEST_INVALID", f"level is one of {', '.join(LEVELS)}")
        limit = query.get("limit", str(LINES_DEFAULT))
        if not is_whole(limit) or not 1 <= int(limit) <= LINES_MAX:
            raise HttpProblem(400, "REQUEST_INVALID", f"limit is a number from 1 to {LINES_MAX}")
        found = hub.read(
            module=query.get("module", ""),
            level=level,
            since=query.get("since", ""),
            text=query.get("q", ""),
            limit=int(limit),
        )
        if query.get("follow") == "true":
            return Response(200, b"", NDJSON, stream=_follow(hub, found))
        body = b"".join(orjson.dumps(each, default=str) + b"\n" for each in found)
        return Response(200, body, NDJSON, [(b"cache-control", b"no-store")])

    def mount(mounts: Mounts) -> None:
        for each in mounts.servers():
            each.add("GET", str(config["logsPath"]), handle, middlewares=setting.context.readers())

    async def stop() -> None:
        if segments is not None:
            await segments.close()

    return Module(name=setting.name, mount=mount, stop=stop)


async def _follow(hub: Any, found: list[Record]) -> AsyncIterator[bytes]:
    for each in found:
        yield orjson.dumps(each, default=str) + b"\n"
    queue: asyncio.Queue[Record] = asyncio.Queue(1_000)

    class Follower:
        """Queues records; drops those that the reader is too slow for."""

        def take(self, record: Record) -> None:
            if not queue.full():
                queue.put_nowait(record)

    follower = Follower()
    hub.add(follower)
    try:
        while True:
            yield orjson.dumps(await queue.get(), default=str) + b"\n"
    finally:
        hub.remove(follower)
