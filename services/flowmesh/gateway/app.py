"""The ASGI application: routing, and errors as JSON.

Any exception of a route becomes JSON with a reason. Only internal errors are logged, not those
of the client.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Protocol

from flowmesh.errors import (
    FlowmeshError,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
    UpgradeRequired,
)
from flowmesh.failpoints import failpoint
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.errors import error_response, internal_error
from flowmesh.gateway.http.operation_docs import PAGE, Route, SocketRoute
from flowmesh.gateway.http.requests import (
    AnyResponse,
    Request,
    Response,
    StreamResponse,
)
from flowmesh.gateway.http.sockets import INTERNAL_ERROR, POLICY_VIOLATION, Socket
from flowmesh.gateway.http.streams import EVENT_STREAM, error_event
from flowmesh.runtime.http.requests import CLIENT_GONE_STATUS, ClientGone, Receive, Scope, Send
from flowmesh.runtime.http.router import Leaf, Router
from flowmesh.telemetry import Span, Spans, child_traceparent, current_traceparent, trace

UNKNOWN_ROUTE = "unknown"
# The parameter of a template that matches all remaining segments.
REST = "{path}"
# The name of a span without a matching route.
HTTP_SPAN = "HTTP"
_VARY = (b"vary", b"accept")
# Answers hold data of a tenant, in one type: no cache keeps them, no browser guesses.
_GUARDED = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
# Over TLS a browser never returns to plain text for a year.
_ENCRYPTED = (b"strict-transport-security", b"max-age=31536000")

Revocable = Callable[[], AbstractContextManager[None]]


class Observer(Protocol):
    """Records served requests; labels are route templates, never paths."""

    def observe(
        self, route: str, method: str, status: int, seconds: float, namespace: str
    ) -> None: ...


class Log(Protocol):
    def error(self, event: str, **values: Any) -> Any: ...


class Access(Protocol):
    """Authenticates requests; what a caller may do is decided by the services it reaches."""

    async def admit_http(self, scope: Any, *, public: bool) -> None: ...

    def revocable(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class _Started:
    """Tracks whether the head of a response was sent; no error can be sent after it.

    Adds the headers of security that a response does not have.
    """

    send: Send
    statuses: list[int]
    encrypted: bool

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])
            given = message["headers"]
            names = {name for name, _ in given}
            added = (*_GUARDED, *((_ENCRYPTED,) if self.encrypted else ()))
            headers = [*given, *(each for each in added if each[0] not in names)]
            message = {**message, "headers": headers}
        await self.send(message)


class Gateway:
    """REST, Server-Sent Events and WebSockets; one instance serves a process."""

    def __init__(
        self,
        *,
        backends: Backends,
        routes: Iterable[Route],
        sockets: Iterable[SocketRoute],
        observer: Observer,
        spans: Spans,
        log: Log,
        access: Access,
    ) -> None:
        self._access = access
        self._backends = backends
        self._routes = Router(
            ((route.key, route.path, (route, route.rules())) for route in routes), rest=REST
        )
        self._sockets = Router(("GET", socket.path, (socket, socket.rules())) for socket in sockets)
        self._observer = observer
        self._spans = spans
        self._clock = backends.clock
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await _lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = _traceparent(scope)
        with (
            self._spans.span(HTTP_SPAN, parent=given, kind="SERVER") as span,
            trace(current_traceparent() or child_traceparent(given)),
        ):
            await self._answer(scope, receive, send, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        begun_ms = self._clock.monotonic_ms()
        method = scope["method"]
        started = _Started(send, [], scope.get("scheme") == "https")
        template, namespace = UNKNOWN_ROUTE, ""
        refusal: Callable[[FlowmeshError], Response] = error_response
        try:
            path = _raw_path(scope)
            found = self._routes.match(path)
            if found is None:
                if self._sockets.match(path) is None:
                    raise _route_not_found()
                await _send(_other_protocol(), method, started)
                return
            leaf, params = found
            template = leaf.template
            served = leaf.methods.get(_target(scope, leaf.methods))
            if served is None:
                await _send(_other_method(method, leaf), method, started)
                return
            route, rules = served
            refusal = route.refusal
            await self._access.admit_http(scope, public=route.public)
            request = Request(scope, params, receive)
            request.check(rules)
            namespace = request.namespace
            failpoint("gateway.received")
            answer = await route.endpoint(self._backends, request)
            failpoint("gateway.answered")
            if "GET" in leaf.methods and PAGE in leaf.methods:
                answer = replace(answer, headers=(*answer.headers, _VARY))
            await _send(answer, method, started, self._access.revocable)
        except ClientGone:
            started.statuses.append(CLIENT_GONE_STATUS)
        except Exception as raised:
            response = refusal(self._error(raised, template))
            if started.statuses:
                # The head was sent: abort the connection to signal the error.
                raise
            await _send(response, method, started)
        finally:
            seconds = (self._clock.monotonic_ms() - begun_ms) / 1_000
            status = started.statuses[-1] if started.statuses else CLIENT_GONE_STATUS
            known = method if template != UNKNOWN_ROUTE else "any"
            self._observer.observe(template, known, status, seconds, namespace)
            _describe(span, template, method, status)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        with trace(child_traceparent(_traceparent(scope))):
            await self._converse(scope, receive, send)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._sockets.match(_raw_path(scope))
        socket = Socket(scope, found[1] if found else {}, receive, send)
        await socket.opened()
        try:
            if found is None:
                raise _route_not_found()
            route, rules = found[0].methods["GET"]
            await self._access.admit_http(scope, public=False)
            socket.check(rules)
            with self._access.revocable():
                await route.endpoint(self._backends, socket)
        except Exception as raised:  # noqa: BLE001 - as above
            error = self._error(raised, found[0].template if found else UNKNOWN_ROUTE)
            refusal = error_response(error)
            if socket.accepted:
                with contextlib.suppress(OSError, RuntimeError):
                    await socket.close(*_closing(raised))
            else:
                await socket.refuse(refusal.status, refusal.body)

    def _error(self, raised: Exception, template: str) -> FlowmeshError:
        """Return the error to show; one that is not expected is logged."""
        if not isinstance(raised, FlowmeshError):
            self._log.error("request failed", route=template, exc_info=raised)
            return internal_error()
        # Drop the frames: a task that keeps the error would keep the request body too.
        return raised.with_traceback(None)


def _closing(raised: Exception) -> tuple[int, str]:
    """Return the code and the reason that close a WebSocket after an error."""
    if isinstance(raised, Unauthenticated):
        return POLICY_VIOLATION, raised.reason
    return INTERNAL_ERROR, ""


def _describe(span: Span, template: str, method: str, status: int) -> None:
    """Describe a span by its route; paths hold ids and the secrets of links."""
    routed = template != UNKNOWN_ROUTE
    attributes: dict[str, str | int] = {
        "http.request.method": method if routed else "_OTHER",
        "http.response.status_code": status,
    }
    if routed:
        attributes["http.route"] = template
    span.describe(f"{method} {template}" if routed else HTTP_SPAN, attributes)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail(str(status))


def _traceparent(scope: Scope) -> str:
    return next(
        (str(value, "latin-1") for name, value in scope["headers"] if name == b"traceparent"), ""
    )


def _raw_path(scope: Scope) -> str:
    raw = scope.get("raw_path")
    if raw is None:
        return str(scope["path"])
    return str(bytes(raw).partition(b"?")[0], "latin-1")


def _target(scope: Scope, methods: Collection[str]) -> str:
    """Return the method of the route: browsers get the page of a path that has one."""
    method = "GET" if scope["method"] == "HEAD" else str(scope["method"])
    if method != "GET" or PAGE not in methods:
        return method
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return PAGE if "GET" not in methods or b"text/html" in accepted.lower() else method


def _route_not_found() -> NotFound:
    return NotFound("ROUTE_NOT_FOUND", "There is no such path; /openapi.json lists all paths.")


def _other_protocol() -> Response:
    error = UpgradeRequired("UPGRADE_REQUIRED", "This path is a WebSocket endpoint.")
    return error_response(error, headers=((b"upgrade", b"websocket"), (b"connection", b"upgrade")))


def _other_method(method: str, leaf: Leaf[Any]) -> Response:
    allow = ((b"allow", leaf.allowed.encode()),)
    if method == "OPTIONS":
        return Response(HTTPStatus.NO_CONTENT, headers=allow)
    error = MethodNotAllowed("METHOD_NOT_ALLOWED", f"This path does not support {method}.")
    return error_response(error, headers=allow)


async def _send(
    response: AnyResponse, method: str, send: Send, revocable: Revocable = nullcontext
) -> None:
    headers = [(b"content-type", response.media_type.encode()), *response.headers]
    if isinstance(response, StreamResponse):
        await _send_stream(response, headers, method, send, revocable)
        return
    if response.status == HTTPStatus.NO_CONTENT:
        headers = list(response.headers)
    else:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
    body = b"" if method == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})


async def _send_stream(
    response: StreamResponse,
    headers: list[tuple[bytes, bytes]],
    method: str,
    send: Send,
    revocable: Revocable,
) -> None:
    async with contextlib.aclosing(response.chunks) as chunks:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        try:
            with revocable():
                if method != "HEAD":
                    async for chunk in chunks:
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except Unauthenticated as revoked:
            # Only a client of events can tell an end from the whole.
            if response.media_type != EVENT_STREAM:
                raise
            await send({"type": "http.response.body", "body": error_event(revoked)})
            return
        await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Acknowledge the lifespan events; the runtime itself starts and stops the service."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
