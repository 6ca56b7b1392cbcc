"""A real HTTP server that receives callbacks and returns configured statuses."""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

PATIENCE_S = 20


@dataclass(frozen=True)
class Call:
    path: str
    headers: dict[str, str]
    text: str
    json: Any


class Receiver:
    """Returns 200, or the statuses configured for a path, in order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._statuses: dict[str, list[int]] = {}
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}/{path}"

    def answers(self, path: str, *statuses: int) -> None:
        self._statuses[f"/{path}"] = list(statuses)

    async def until(self, count: int) -> list[Call]:
        """Return the calls when there are `count`."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.calls) >= count)
        return self.calls

    async def _take(self, request: web.Request) -> web.Response:
        text = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        async with self._changed:
            self.calls.append(Call(request.path, headers, text, await request.json()))
            self._changed.notify_all()
        statuses = self._statuses.get(request.path)
        return web.Response(status=statuses.pop(0) if statuses else 200)
