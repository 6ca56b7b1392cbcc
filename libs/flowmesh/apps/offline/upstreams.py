"""Stand-ins for the services that an application calls in its tests: fixed answers, on sockets.

    upstreams:
      ORDERS_URL:
        GET /orders/7: {status: 200, body: {id: 7}}

The name is that of the variable that gets the address. Requests are recorded and can be compared.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import orjson

from flowmesh.apps.http.application import HttpApplication
from flowmesh.apps.http.messages import Handle, Request, Response, json_or_text
from flowmesh.apps.http.server import LOOPBACK, Listener, Listening
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

ANSWER_KEYS = frozenset({"status", "body", "headers"})
BODY_BYTES_MAX = 8 * 1024 * 1024


class _Unobserved:
    """Observes nothing."""

    def begin(self, request: Request) -> None: ...

    def request(self, request: Request, status: int, size: int, seconds: float) -> None:
        return None

    def failed(self, request: Request, error: BaseException) -> None:
        return None


class Upstream:
    """A server with fixed answers; `received` are its requests, oldest first."""

    def __init__(self, name: str, answers: Mapping[str, Mapping[str, Json]]) -> None:
        self.received: list[dict[str, Json]] = []
        app = HttpApplication(name=name, observer=_Unobserved(), body_bytes_max=BODY_BYTES_MAX)
        for place, answer in answers.items():
            method, space, path = str(place).partition(" ")
            unknown = set(answer) - ANSWER_KEYS
            if not space or unknown:
                text = f"upstreams.{name}: {place!r} must be `METHOD /path` with"
                raise Invalid("APP_INVALID", f"{text} {', '.join(sorted(ANSWER_KEYS))}")
            app.add(method.upper(), path, self._handle(answer))
        self._listener = Listener(name=name, app=app, at=Listening(host=LOOPBACK, port=0))

    @property
    def url(self) -> str:
        return f"http://{self._listener.address}"

    async def start(self) -> None:
        self._listener.bind()
        await self._listener.start()

    async def stop(self) -> None:
        await self._listener.stop()

    def _handle(self, answer: Mapping[str, Json]) -> Handle:
        body = answer.get("body", {})
        content = body.encode() if isinstance(body, str) else orjson.dumps(body)
        kind = b"text/plain" if isinstance(body, str) else b"application/json"
        headers = [
            (str(name).lower().encode(), str(value).encode())
            for name, value in (answer.get("headers") or {}).items()
        ]
        status = int(answer.get("status") or 200)

        def handle(request: Request) -> Response:
            self.received.append(
                {
                    "method": request.method,
                    "path": request.path,
                    "query": dict(request.query) if request.raw_query else {},
                    "headers": {str(k, "latin-1"): str(v, "latin-1") for k, v in request.headers},
                    "body": (json_or_text(request.body) if request.body else None),
                }
            )
            return Response(status, content, kind, headers)

        return handle


@asynccontextmanager
async def running(
    described: Mapping[str, Mapping[str, Mapping[str, Json]]],
) -> AsyncIterator[dict[str, Upstream]]:
    """Run the upstreams of a file of tests until the end of the block."""
    found = {name: Upstream(name, answers) for name, answers in described.items()}
    started: list[Upstream] = []
    try:
        for each in found.values():
            await each.start()
            started.append(each)
        yield found
    finally:
        for each in started:
            await each.stop()
