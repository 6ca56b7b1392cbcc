"""Answers of a model service in a file: asked for once, and then read from there."""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from flowmesh.egress import OPEN, Egress, EgressFailure
from flowmesh.models.port import TURN_TIMEOUT_MS
from flowmesh.models.services import STREAM_BYTES_MAX

# Keys are sent on, and never stored.
_SENT = ("x-api-key", "authorization", "anthropic-version", "content-type", "idempotency-key")
_LIMITS = ("max_tokens", "max_completion_tokens")


class Recording:
    """Stands before a service: the same request gets the stored answer again."""

    def __init__(self, egress: Egress, service: str, file: Path, *, replay: bool) -> None:
        """`replay` sends nothing on."""
        self._egress, self._service, self._file, self._replay = egress, service, file, replay
        lines = file.read_text().splitlines() if file.exists() else ()
        self._known: dict[str, Any] = {each["request"]: each for each in map(json.loads, lines)}
        self.sent = 0

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        digest = _digest(request.path, body)
        if digest not in self._known:
            if self._replay:
                return web.Response(status=404, text="no such request is recorded")
            if (refused := await self._ask(request, digest, body)) is not None:
                return refused
        found = self._known[digest]
        return web.Response(text=found["body"], content_type=found["type"])

    async def _ask(self, request: web.Request, digest: str, body: bytes) -> web.Response | None:
        """Ask the service, and store its answer; return one that is not stored, a failure."""
        self.sent += 1
        headers = {name: request.headers[name] for name in _SENT if name in request.headers}
        try:
            answer = await self._egress.send(
                "POST",
                self._service + request.path,
                headers=headers,
                body=body,
                timeout_ms=TURN_TIMEOUT_MS,
                response_bytes_max=STREAM_BYTES_MAX,
            )
        except EgressFailure as error:
            return web.Response(status=502, text=str(error))
        if answer.status != 200:
            wait = {n: v for n, v in answer.headers.items() if n == "retry-after"}
            return web.Response(status=answer.status, body=answer.body, headers=wait)
        kind = answer.headers.get("content-type", "application/json").partition(";")[0]
        row = {"request": digest, "type": kind, "body": answer.body.decode(errors="replace")}
        self._known[digest] = row
        with self._file.open("a") as file:
            file.write(f"{json.dumps(row)}\n")
        return None


def _digest(path: str, body: bytes) -> str:
    """Return the digest of a request without its limit of tokens, which follows the budget."""
    asked = {n: value for n, value in json.loads(body).items() if n not in _LIMITS}
    return hashlib.sha256(f"{path} {json.dumps(asked, sort_keys=True)}".encode()).hexdigest()


@asynccontextmanager
async def recording(
    service: str, file: Path, *, replay: bool
) -> AsyncIterator[tuple[str, Recording]]:
    """Serve a recording of a service; yield its address."""
    file.parent.mkdir(parents=True, exist_ok=True)
    async with Egress(OPEN) as egress:
        found = Recording(egress, service, file, replay=replay)
        app = web.Application(client_max_size=STREAM_BYTES_MAX)
        app.router.add_post("/{path:.*}", found.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        try:
            yield f"http://{host}:{port}", found
        finally:
            await runner.cleanup()
