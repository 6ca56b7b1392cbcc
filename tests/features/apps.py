"""Applications on real sockets for tests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.document.overlay import Overlay
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.runtime.application import Application
from flowmesh.testing.polling import pause

SECRET = "0123456789abcdef0123456789abcdef"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """A response with its body as data."""

    status: int
    headers: Mapping[str, str]
    body: Any


class RunningApp:
    """A running application and a client of its first server."""

    def __init__(
        self, application: Application, session: aiohttp.ClientSession, lines: list[bytes]
    ) -> None:
        self.application = application
        # The lines of its log, as they are written.
        self.lines = lines
        self._session = session

    @property
    def url(self) -> str:
        return f"http://{next(iter(self.application.addresses.values()))}"

    def logged(self, text: str) -> str:
        """Return the messages of the log records with a text in them."""
        found = self.application.built.log.read(text=text, limit=100)
        return "\n".join(str(each["message"]) for each in found)

    async def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        given = {"Content-Type": "application/json", **(headers or {})}
        async with self._session.request(
            method, self.url + path, data=data, headers=given, allow_redirects=False
        ) as answer:
            raw = await answer.read()
            is_json = answer.content_type in ("application/json", "application/problem+json")
            content = orjson.loads(raw) if raw and is_json else raw
            return Answer(answer.status, answer.headers, content)


@asynccontextmanager
async def running(
    path: Path,
    *,
    environment: Mapping[str, str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[RunningApp]:
    """Run the application of a file until the end of the block."""
    how = Loading(
        environment={"JWT_SECRET": SECRET, "PORT": "0", **(environment or {})},
        overlay=Overlay(settings=settings or {}),
        required=True,
    )
    document = load(path, how)
    lines: list[bytes] = []
    application = Application(document, log=LogHub(app=document.name, write=lines.append))
    await application.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield RunningApp(application, session, lines)
    finally:
        await application.stop()


def written(folder: Path, text: str) -> Path:
    path = folder / "app.yaml"
    path.write_text(text)
    return path


async def eventually(look: Callable[[], Awaitable[Any]], within_s: float = 20) -> Any:
    """Return what a look finds, as soon as it finds anything."""
    async with asyncio.timeout(within_s):
        while not (found := await look()):
            await pause(0.01)
        return found
