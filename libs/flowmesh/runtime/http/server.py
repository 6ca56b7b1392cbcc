"""The HTTP port of every process: health, readiness, metrics, and a mounted app."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
import uvicorn

from flowmesh.errors import FlowmeshError, Unauthenticated
from flowmesh.runtime.access import HttpAccess
from flowmesh.runtime.checks import Checks
from flowmesh.runtime.http.cors import Cors
from flowmesh.runtime.http.embedded import EmbeddedServer, listen
from flowmesh.runtime.http.guard import HttpGuard
from flowmesh.runtime.http.protocol import CERTIFIED, BoundedProtocol, problem
from flowmesh.runtime.http.requests import Receive, Scope, Send
from flowmesh.telemetry.metrics import Metrics

Header = tuple[bytes, bytes]
ASGI3 = Callable[[Scope, Receive, Send], Awaitable[None]]

CONNECTIONS_MAX = 10_000
KEEPALIVE_S = 75
WEBSOCKET_MESSAGE_BYTES_MAX = 1024 * 1024
JSON = "application/json"
LIVE = frozenset({"/health", "/healthz", "/livez"})
READY = frozenset({"/ready", "/readyz"})
METRICS = "/metrics"
PROBES = LIVE | READY | {METRICS}
NO_CONTENT_STATUS = 204
WRONG_METHOD_STATUS = 405
GONE_STATUS = 503
NOWHERE_STATUS = 404


class HttpServer:
    """Serves the probes and metrics, and passes all other paths to the mounted app."""

    def __init__(
        self,
        *,
        checks: Checks,
        metrics: Metrics,
        about: Callable[[], dict[str, Any]],
        access: HttpAccess,
        guard: HttpGuard | None = None,
        cors: Cors | None = None,
        trusted_proxy: str = "",
        certificates_only: bool = False,
    ) -> None:
        # Clients need a certificate, except for the state of the process.
        self._certificates_only = certificates_only
        self._access = access
        self._cors = cors
        self._trusted_proxy = trusted_proxy
        self._guard = guard or HttpGuard()
        self._checks = checks
        self._metrics = metrics
        self._about = about
        self._app: ASGI3 | None = None
        self._lifespan: Lifespan | None = None
        self._server: EmbeddedServer | None = None
        self._task: asyncio.Task[None] | None = None

    def mount(self, app: ASGI3) -> None:
        """Mount the app for all other paths; it serves after `open_app`."""
        self._lifespan = Lifespan(app)

    async def open_app(self) -> None:
        """Start the mounted app and accept requests for it."""
        if self._lifespan is not None:
            await self._lifespan.start()
            self._app = self._lifespan.app

    async def start(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve on a bound socket, with TLS if there is a context."""
        config = uvicorn.Config(
            self,
            interface="asgi3",
            http=BoundedProtocol,
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEPALIVE_S,
            proxy_headers=bool(self._trusted_proxy),
            forwarded_allow_ips=self._trusted_proxy,
            timeout_graceful_shutdown=1,
            ws_max_size=WEBSOCKET_MESSAGE_BYTES_MAX,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
        self._server = EmbeddedServer(config)
        self._task = asyncio.create_task(self._server.serve([listener]), name="http")

    async def stop(self) -> None:
        """Wait for running requests, for at most a second, and stop the app. Idempotent."""
        if self._server is not None and self._task is not None:
            self._server.exit()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._lifespan is not None:
            await self._lifespan.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if self._cors is not None and scope["type"] == "http":
            origin = self._cors.origin(scope["headers"])
            send = self._cors.answering(send, origin)
            preflight = self._cors.preflight(scope["method"], scope["headers"])
            if origin and preflight:
                await _no_content(send, preflight)
                return
        refused = self._guard.refusal(
            scope["headers"], scope.get("method", ""), path
        ) or self._uncertified(scope)
        if refused is not None:
            await _refuse(scope, receive, send, refused)
            return
        if scope["type"] == "http" and path in PROBES:
            refused = await self._admit(scope)
            if refused is not None:
                await _refuse(scope, receive, send, refused)
                return
            await self._probe(path, scope, send)
            return
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer(send, *self._not_found(path))
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1013})

    async def _probe(self, path: str, scope: Scope, send: Send) -> None:
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            text = f"{method} is not served here; send GET."
            body = problem(WRONG_METHOD_STATUS, "METHOD_NOT_ALLOWED", text)
            await answer(send, WRONG_METHOD_STATUS, body, (b"allow", b"GET, HEAD"))
        elif path in LIVE:
            await answer(send, 200, {"status": "ok", **self._about()})
        elif path in READY:
            ready, body = await self._checks.report()
            await answer(send, 200 if ready else GONE_STATUS, body)
        else:
            accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
            await respond(send, 200, *self._metrics.exposition(accept))

    async def _admit(self, scope: Scope) -> FlowmeshError | None:
        """Return the reason why a caller may not read the metrics; None if it may."""
        try:
            if scope["path"] == METRICS:
                await self._access.admit_metrics(scope)
            else:
                await self._access.admit_http(scope, public=True)
        except FlowmeshError as error:
            return error
        return None

    def _uncertified(self, scope: Scope) -> FlowmeshError | None:
        """Return the rejection of a client without a certificate; None if it is accepted."""
        if not self._certificates_only or scope["state"].get(CERTIFIED):
            return None
        if scope["type"] == "http" and scope["path"] in LIVE | READY:
            return None
        text = "the client has shown no certificate of an authority that this server trusts"
        return Unauthenticated("CLIENT_CERTIFICATE_REQUIRED", text)

    def _not_found(self, path: str) -> tuple[int, dict[str, Any]]:
        if self._lifespan is not None:
            text = "the service is starting"
            return GONE_STATUS, problem(GONE_STATUS, "SERVICE_UNAVAILABLE", text)
        return NOWHERE_STATUS, problem(NOWHERE_STATUS, "ROUTE_NOT_FOUND", f"no such path: {path}")


async def answer(send: Send, status: int, body: dict[str, Any], *headers: Header) -> None:
    """Send a JSON response."""
    await respond(send, status, orjson.dumps(body), JSON, *headers)


async def _no_content(send: Send, headers: tuple[Header, ...]) -> None:
    await send({"type": "http.response.start", "status": NO_CONTENT_STATUS, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(scope: Scope, receive: Receive, send: Send, error: FlowmeshError) -> None:
    """Answer a request, or the opening handshake of a WebSocket, with an error."""
    body = orjson.dumps(problem(error.http_status, error.reason, error.message))
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()
        kind = "websocket.http.response"
    await respond(send, error.http_status, body, JSON, kind=kind)


async def respond(
    send: Send,
    status: int,
    body: bytes,
    content_type: str,
    *headers: Header,
    kind: str = "http.response",
) -> None:
    """Send a complete response."""
    head = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]
    await send({"type": f"{kind}.start", "status": status, "headers": head})
    await send({"type": f"{kind}.body", "body": body})


class Lifespan:
    """Starts and stops an ASGI app, if the app supports the lifespan protocol."""

    def __init__(self, app: ASGI3) -> None:
        self.app = app
        self._to_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        run = self.app(scope, self._to_app.get, self._from_app.put)
        self._task = asyncio.ensure_future(_finish(run))
        reply = await self._ask("lifespan.startup")
        if reply.get("type") == "lifespan.startup.failed":
            raise RuntimeError(f"the HTTP app did not start: {reply.get('message', '')}")

    async def stop(self) -> None:
        if self._task is not None and not self._task.done():
            await self._ask("lifespan.shutdown")
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask(self, kind: str) -> MutableMapping[str, Any]:
        assert self._task is not None
        await self._to_app.put({"type": kind})
        reply = asyncio.ensure_future(self._from_app.get())
        await asyncio.wait({reply, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if reply.done():
            return reply.result()
        reply.cancel()
        return {}


async def _finish(run: Awaitable[None]) -> None:
    await run


__all__ = ["HttpServer", "Lifespan", "answer", "listen", "respond"]
