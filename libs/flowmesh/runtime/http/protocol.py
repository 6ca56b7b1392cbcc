"""HTTP/1.1 of uvicorn with bounds on the head of a request and strict framing of the body.

Without bounds, a silent connection stays open forever, and an endless header is copied with every
chunk. Framing follows RFC 9112: a request of ambiguous length is rejected and its connection is
closed, and responses keep the order of requests. The body of a request is read before an offered
protocol upgrade is considered (RFC 9110, 7.8). Rejections are JSON and are not logged, because any
client could fill the log.
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
# At most the method, the version and the spaces of a request line.
_AROUND_TARGET_BYTES = 32
_LONG_LINE = f"The request line exceeds the limit of {HEAD_BYTES_MAX} bytes."
_LONG_HEAD = f"The request line and headers exceed the limit of {HEAD_BYTES_MAX} bytes."


def problem(status: int, reason: str, message: str) -> dict[str, Any]:
    """Return the body of a REST error."""
    return {"error": {"code": status, "reason": reason, "message": message, "details": []}}


class Refusal(Exception):
    """The rejection of a request before it reaches the app, with its response."""

    def __init__(self, status: int, message: str, reason: str = "REQUEST_INVALID") -> None:
        super().__init__(message)
        self.status = status
        self.body = orjson.dumps(problem(status, reason, message))

    async def answer(self, _scope: Any, _receive: Any, send: Any) -> None:
        """Reject the request and close its connection; an ASGI app."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed if the head of a request is late, too long or invalid."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._refused = False
        self._running: RequestResponseCycle | None = None
        # True while a second parser is set to the position of the first one.
        self._resuming = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.getpeercert():
            self.app_state = {**self.app_state, CERTIFIED: True}
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_complete()
        if self._running is not None:
            # uvicorn notifies only the newest request, which may be queued behind this one.
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
            text = f"The request is not valid HTTP/1.1: {error}."
            self._refuse(cause if isinstance(cause, Refusal) else Refusal(400, text))
            return
        if awaited is not None and self._head_timer is awaited:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self._refuse(self._too_long())

    def _feed(self, data: bytes) -> None:
        """Parse the data. The parser stops after each head that offers a protocol upgrade."""
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
        """Continue with HTTP/1.1. The parser assumes no body after an offered upgrade, so a new
        parser reads the body."""
        framing = self._framing()
        if framing is None:
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._resuming = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%s: %s\r\n\r\n" % framing)
        self._resuming = False

    def _framing(self) -> tuple[bytes, bytes] | None:
        """Return the header with the length of the body; None without a body."""
        for header in self.headers:
            if header[0] in (b"content-length", b"transfer-encoding"):
                return header
        return None

    def _should_upgrade(self) -> bool:
        """Return whether to upgrade to a WebSocket. Other offers are ignored, and so are offers
        behind unanswered requests."""
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
        # Trailers are not headers: proxies do not check them.
        if self._head_timer is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._resuming:
            return
        self._check_head()
        self._head_complete()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and self._framing() is not None:
            # The parser stops here because of the upgrade; the body has not been read.
            return
        super().on_message_complete()

    def _check_head(self) -> None:
        """Raise Refusal for ambiguous heads that the parser accepts."""
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise Refusal(505, f"HTTP/{version} is not supported; send HTTP/1.1.")
        if self.parser.get_method() == b"CONNECT":
            raise Refusal(
                405, "CONNECT is not supported: this server is not a proxy.", "METHOD_NOT_ALLOWED"
            )
        hosts = 0
        # A head that arrives in one read is complete before its bytes are counted.
        head_bytes = len(self.url)
        for name, value in self.headers:
            head_bytes += len(name) + len(value) + 4
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                if version == "1.0":
                    raise Refusal(400, "HTTP/1.0 has no Transfer-Encoding; send Content-Length.")
                if value.strip().lower() != b"chunked":
                    raise Refusal(501, "The only supported Transfer-Encoding is chunked.")
        if head_bytes > HEAD_BYTES_MAX:
            raise self._too_long()
        if hosts != 1 and (hosts or version == "1.1"):
            raise Refusal(400, f"A request must have one Host header; this one has {hosts}.")

    def _too_long(self) -> Refusal:
        """Return the refusal of a long head: 414 if its request line alone is too long."""
        is_line = len(self.url) + _AROUND_TARGET_BYTES > HEAD_BYTES_MAX
        return Refusal(414, _LONG_LINE) if is_line else Refusal(431, _LONG_HEAD)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the unreadable request after the earlier ones, and close the connection."""
        in_head = self._head_timer is not None
        self._refused = True
        self._head_complete()
        cycle = self.cycle
        if in_head:
            self._enqueue(self._last_cycle(), refusal)
        elif self.pipeline:
            # The newest request is queued, and its body is invalid.
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
        """Return the cycle of a request with an invalid head, after those of earlier requests."""
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

    def _head_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Signal to the app that its client has disconnected."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()
