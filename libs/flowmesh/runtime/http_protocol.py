"""uvicorn's HTTP/1.1 with bounds on the head of a request: how long it may take, how large it is.

Without them a silent connection would stay for ever, and a header without an end would be copied
anew with every piece of it. What is no request is answered as any refusal is, without a line in
the log: whoever can connect could fill it.
"""

import asyncio
import sys
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0
HEAD_BYTES_MAX = 64 * 1024
_STATUS = {400: "Bad Request", 431: "Request Header Fields Too Large"}


def problem(status: int, reason: str, message: str) -> dict[str, Any]:
    """The one shape of refusals that REST clients know."""
    return {"error": {"code": status, "reason": reason, "message": message, "details": []}}


class BoundedProtocol(HttpToolsProtocol):
    """A connection that ends when a request's head does not come, or does not end."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                most = f"The line and the headers of a request have at most {HEAD_BYTES_MAX} bytes."
                self._refuse(431, most)

    def send_400_response(self, msg: str) -> None:
        """Called while the error of the parser is handled, whose text says what is wrong."""
        self._refuse(400, f"This is no request of HTTP/1.1: {sys.exception() or msg}.")

    def _refuse(self, status: int, message: str) -> None:
        body = orjson.dumps(problem(status, "REQUEST_INVALID", message))
        head = (
            f"HTTP/1.1 {status} {_STATUS[status]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def on_message_begin(self) -> None:
        if self._head_timer is None:
            self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
