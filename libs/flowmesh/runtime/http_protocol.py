"""uvicorn's HTTP/1.1 with bounds on the head of a request, and strict about where a body ends.

Without the bounds a silent connection would stay for ever, and a header without an end would be
copied anew with every piece of it. Framing follows RFC 9112: a request whose length is in doubt
is refused and ends its connection, answers keep the order of requests, and an offer to change the
protocol that is not taken up leaves the body with its request (RFC 9110, 7.8). Refusals are JSON
as everywhere, without a line in the log, which any client could fill otherwise.
"""

import asyncio
from typing import Any

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

# In the state of a request: its client has shown a certificate that was verified.
CERTIFIED = "certified"
HEAD_S = 10.0
HEAD_BYTES_MAX = 64 * 1024


def problem(status: int, reason: str, message: str) -> dict[str, Any]:
    """The one shape of refusals that REST clients know."""
    return {"error": {"code": status, "reason": reason, "message": message, "details": []}}


class Refusal(Exception):
    """A request that is not handed to the app, and how it is answered."""

    def __init__(self, status: int, message: str, reason: str = "REQUEST_INVALID") -> None:
        super().__init__(message)
        self.status = status
        self.body = orjson.dumps(problem(status, reason, message))

    async def answer(self, _scope: Any, _receive: Any, send: Any) -> None:
        """An ASGI app: refuses the request and ends its connection."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class BoundedProtocol(HttpToolsProtocol):
    """A connection that ends when a request's head does not come, does not end or is not valid."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._refused = False
        self._running: RequestResponseCycle | None = None
        # While a second parser is brought to where the first one stopped.
        self._resuming = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.getpeercert():
            self.app_state = {**self.app_state, CERTIFIED: True}
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        if self._running is not None:
            # uvicorn tells the newest request only, which may wait behind this one.
            _disconnect(self._running)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        awaited = self._head_timer
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            text = f"This is no request of HTTP/1.1: {error}."
            self._refuse(cause if isinstance(cause, Refusal) else Refusal(400, text))
            return
        if awaited is not None and self._head_timer is awaited:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                most = f"The line and the headers of a request have at most {HEAD_BYTES_MAX} bytes."
                self._refuse(Refusal(431, most))

    def _feed(self, data: bytes) -> None:
        """Parses data. The parser stops behind each head that offers another protocol."""
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stopped:
                data = data[stopped.args[0] :]
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                self._resume()
            else:
                return

    def _resume(self) -> None:
        """Reads on in HTTP/1.1. The parser takes it that no body follows the head of an offer, so
        another one reads the body."""
        framing = self._framing()
        if framing is None:
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._resuming = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%s: %s\r\n\r\n" % framing)
        self._resuming = False

    def _framing(self) -> tuple[bytes, bytes] | None:
        """The header that says how long the body is; None without a body."""
        for header in self.headers:
            if header[0] in (b"content-length", b"transfer-encoding"):
                return header
        return None

    def _should_upgrade(self) -> bool:
        """Whether the connection becomes a WebSocket; any other offer is ignored, as is one behind
        requests that are not answered yet."""
        answered = self.cycle is None or self.cycle.response_complete
        return (
            answered
            and self.scope["method"] == "GET"
            and self.scope["http_version"] == "1.1"
            and self._framing() is None
            and super()._should_upgrade()
        )

    def on_message_begin(self) -> None:
        if self._resuming:
            return
        if self._head_timer is None:
            self._await_head()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are no headers: a proxy in front has not looked at them.
        if self._head_timer is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._resuming:
            return
        self._check_head()
        self._head_came()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and self._framing() is not None:
            # Only the parser that stops here says so: the body is still to come.
            return
        super().on_message_complete()

    def _check_head(self) -> None:
        """Raises for what the parser lets through although its meaning is in doubt."""
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Refusal(505, f"HTTP/{version} is not served here; send HTTP/1.1.")
        if self.parser.get_method() == b"CONNECT":
            raise Refusal(405, "CONNECT is not served here: no proxy.", "METHOD_NOT_ALLOWED")
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                if version == "1.0":
                    raise Refusal(400, "HTTP/1.0 has no Transfer-Encoding; send Content-Length.")
                if value.strip().lower() != b"chunked":
                    raise Refusal(501, "Transfer-Encoding: chunked is the only one known here.")
        if hosts != 1 and (hosts or version == "1.1"):
            raise Refusal(400, f"A request has one Host header; this one has {hosts}.")

    def _refuse(self, refusal: Refusal) -> None:
        """Answers what cannot be read on, in its turn, and ends the connection."""
        in_head = self._head_timer is not None
        self._refused = True
        self._head_came()
        cycle = self.cycle
        if in_head:
            self._enqueue(self._last_cycle(), refusal)
        elif self.pipeline:
            # The newest request waits for its turn, and its body is broken.
            self.pipeline[0] = (cycle, refusal.answer)
        elif cycle.response_started:
            self.transport.close()
        else:
            _disconnect(cycle)
            self._start_asgi_task(self._last_cycle(), refusal.answer)

    def _enqueue(self, cycle: RequestResponseCycle, refusal: Refusal) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._start_asgi_task(cycle, refusal.answer)
        else:
            self.pipeline.appendleft((cycle, refusal.answer))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _last_cycle(self) -> RequestResponseCycle:
        """The turn of a request whose head is not valid, behind those that came before it."""
        return RequestResponseCycle(
            scope={**self.scope, "method": "GET"},
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _disconnect(cycle: RequestResponseCycle) -> None:
    """What the app sees when its client is gone; it cannot answer any more."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()
