"""The ASGI application of a server: routing, bodies, errors and observation."""

import asyncio
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from flowmesh.apps.http.chain import Chain, Middleware
from flowmesh.apps.http.messages import (
    Handle,
    Request,
    Response,
    problem_response,
)
from flowmesh.apps.http.problems import HttpProblem, problem_of
from flowmesh.errors import TooLarge
from flowmesh.runtime.http.requests import (
    CLIENT_GONE_STATUS,
    Body,
    ClientGone,
    Receive,
    Scope,
    Send,
)
from flowmesh.runtime.http.router import Leaf, Router

BODY_READ_S = 30.0
# Smaller answers fit into the buffer of a connection.
LARGE_BYTES = 64 * 1024
UNKNOWN_ROUTE = "unmatched"
_CLOSE = (b"connection", b"close")
_BODILESS = frozenset({204, 304})


class Observer(Protocol):
    """Observes served requests; routes are templates."""

    def begin(self, request: Request) -> None: ...

    def request(self, request: Request, status: int, size: int, seconds: float) -> None: ...

    def failed(self, request: Request, error: BaseException) -> None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """A route: the handler in its middlewares."""

    chain: Chain
    template: str
    # The handler reads the body itself.
    streams: bool = False
    timeout_s: float = 0.0
    # The route of the configuration, None for those of modules.
    spec: Any = None


class HttpApplication:
    """Serves the routes of one server. Routes are added before it starts."""

    def __init__(
        self,
        *,
        name: str,
        observer: Observer,
        body_bytes_max: int,
        body_read_s: float = BODY_READ_S,
        write_s: float = BODY_READ_S,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.name = name
        self.router: Router[Target] = Router()
        self._observer = observer
        self._bytes_max = body_bytes_max
        self._read_s = body_read_s
        self._write_s = write_s
        self._clock = clock
        self._running = 0
        self._closing = False
        self._idle: asyncio.Future[None] | None = None
        self._fallbacks: list[tuple[str, Handle]] = []

    def add(
        self,
        method: str,
        template: str,
        handle: Handle,
        *,
        middlewares: tuple[Middleware, ...] = (),
        streams: bool = False,
        timeout_s: float = 0.0,
        spec: Any = None,
    ) -> None:
        """Add a route. Raises RouteConflict."""
        chain = Chain(middlewares, handle)
        target = Target(chain, template, streams, timeout_s, spec)
        self.router.add(method, template, target)

    def serves(self, method: str, path: str) -> bool:
        """Return whether a route for a method is at exactly this path."""
        found = self.router.match(path)
        return found is not None and found[0].template == path and method in found[0].methods

    def add_fallback(
        self, prefix: str, handle: Handle, middlewares: tuple[Middleware, ...] = ()
    ) -> None:
        """Serve the GET requests below a prefix that no route matches; the longest first."""
        within = Chain(middlewares, handle) if middlewares else handle
        self._fallbacks.append((prefix.rstrip("/") + "/", within))
        self._fallbacks.sort(key=lambda each: -len(each[0]))

    def close_connections(self) -> None:
        """Close each connection after its next answer."""
        self._closing = True

    async def idle(self) -> None:
        """Return when no request is being served."""
        if self._running:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})
            return
        begun = self._clock()
        request = Request.of(scope, receive)
        self._observer.begin(request)
        self._running += 1
        status, size = CLIENT_GONE_STATUS, 0
        try:
            response = await self.answer(request)
            if self._closing:
                response.set(b"connection", b"close")
            status, size = response.status, len(response.body)
            await self._send(response, request.method, send)
        except ClientGone:
            pass
        finally:
            self._running -= 1
            if self._idle is not None and not self._running and not self._idle.done():
                self._idle.set_result(None)
            self._observer.request(request, status, size, self._clock() - begun)

    async def _send(self, response: Response, method: str, send: Send) -> None:
        """Send an answer; the client takes each large part of it in time."""
        if response.stream is None and len(response.body) <= LARGE_BYTES:
            await _send(response, method, send)
            return

        async def timely(message: MutableMapping[str, Any]) -> None:
            async with asyncio.timeout(self._write_s):
                await send(message)

        await _send(response, method, timely)

    async def answer(self, request: Request) -> Response:
        """Return the answer of a request; every error becomes a problem document."""
        chain: Chain | None = None
        try:
            found = self.router.match(request.path)
            target = None if found is None else found[0].target(request.method)
            if found is None or target is None:
                handle = self._unmatched(request, found[0] if found else None)
                chain = handle if isinstance(handle, Chain) else None
                answer = handle(request)
                response = answer if isinstance(answer, Response) else await answer
            else:
                request.params = found[1]
                request.route = target.template
                chain = target.chain
                if not target.streams and request.method not in ("GET", "HEAD"):
                    request.body = await self._body(request)
                if target.timeout_s:
                    async with asyncio.timeout(target.timeout_s):
                        response = await chain(request)
                else:
                    response = await chain(request)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - every error is answered
            problem = problem_of(error)
            if problem.status >= 500:
                self._observer.failed(request, error)
            response = problem_response(problem, request.id)
        if chain is not None:
            chain.finish(request, response)
        return response

    def _unmatched(self, request: Request, leaf: Leaf[Target] | None) -> Handle:
        """Return the handler of a request without a route."""
        request.route = UNKNOWN_ROUTE
        if leaf is not None:
            request.route = leaf.template
            if request.method == "OPTIONS":
                return lambda request: _options(request, leaf)
            allow = (b"allow", leaf.allowed.encode())
            text = f"{request.path} serves {leaf.allowed}"
            raise HttpProblem(405, "METHOD_NOT_ALLOWED", text, headers=[allow])
        for prefix, handle in self._fallbacks:
            if request.path.startswith(prefix) or request.path == prefix[:-1]:
                request.route = f"{prefix}*"
                return handle
        raise HttpProblem(404, "ROUTE_NOT_FOUND", "no route serves this path")

    async def _body(self, request: Request) -> bytes:
        """Read the whole body, within its bounds."""
        if request.receive is None:
            return request.body
        try:
            return await Body(request.receive, request.headers).read(self._bytes_max, self._read_s)
        except TooLarge as error:
            raise HttpProblem(413, error.reason, error.message, headers=[_CLOSE]) from None
        except TimeoutError:
            text = f"the body did not arrive within {self._read_s:g} s"
            raise HttpProblem(408, "BODY_LATE", text, headers=[_CLOSE]) from None


def _options(request: Request, leaf: Leaf[Target]) -> Response:
    """Answer OPTIONS, a preflight with the middlewares of the method that it is for."""
    wanted = request.header(b"access-control-request-method")
    target = leaf.target(wanted or "GET") or next(iter(leaf.methods.values()))
    response = None
    for each in target.chain.middlewares if wanted else ():
        early = each.before(request)
        if isinstance(early, Response):
            response = early if early.status < 400 else None
            break
    response = response or Response(204, content_type=b"")
    response.headers.append((b"allow", leaf.allowed.encode()))
    if wanted:
        target.chain.finish(request, response)
    return response


async def _send(response: Response, method: str, send: Send) -> None:
    headers = response.headers
    if response.stream is not None:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for chunk in response.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    body = response.body if response.status not in _BODILESS else b""
    if response.status not in _BODILESS:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
