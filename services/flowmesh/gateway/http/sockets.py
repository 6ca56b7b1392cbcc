"""A WebSocket over ASGI that sends text, and discards or receives messages of the client."""

from typing import Any

import msgspec

from flowmesh.gateway.http.requests import Head
from flowmesh.runtime.http.requests import Receive, Scope, Send

NORMAL = 1000
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013
# Limit of the reason in a close frame (RFC 6455).
_REASON_BYTES_MAX = 123
# Offered by browsers beside `flowmesh.bearer.<token>`, because they need one that is accepted.
SUBPROTOCOL = "flowmesh"


class Socket(Head):
    """A WebSocket connection, at first not accepted."""

    def __init__(self, scope: Scope, params: dict[str, str], receive: Receive, send: Send) -> None:
        super().__init__(scope, params)
        self._receive = receive
        self._send = send
        self.accepted = False

    def _named(self) -> str:
        # Browsers set no headers here.
        return super()._named() or self.text("namespace")

    async def accept(self) -> None:
        protocol = SUBPROTOCOL if SUBPROTOCOL in self._scope.get("subprotocols", ()) else None
        await self._send({"type": "websocket.accept", "subprotocol": protocol})
        self.accepted = True

    async def send_json(self, value: Any) -> None:
        await self.send_text(msgspec.json.encode(value).decode("utf-8"))

    async def send_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})

    async def received(self) -> str | None:
        """Return the next message as text; None after the client has closed."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        return str(message.get("bytes") or b"", "utf-8", "replace") if text is None else str(text)

    async def received_bytes(self) -> bytes | None:
        """Return the next message as bytes; None after the client has closed."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        return bytes(message.get("bytes") or b"") if text is None else str(text).encode()

    async def send_bytes(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        await self._send(
            {"type": "websocket.close", "code": code, "reason": reason[:_REASON_BYTES_MAX]}
        )

    async def refuse(self, status: int, body: bytes) -> None:
        """Reject the handshake with an HTTP error."""
        if "websocket.http.response" not in self._scope.get("extensions", {}):
            await self.close(INTERNAL_ERROR)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await self._send(
            {"type": "websocket.http.response.start", "status": status, "headers": headers}
        )
        await self._send({"type": "websocket.http.response.body", "body": body})

    async def opened(self) -> None:
        """Receive the initial `websocket.connect` message."""
        await self._receive()

    async def gone(self) -> None:
        """Return when the client has closed; discard its messages."""
        while (await self._receive())["type"] != "websocket.disconnect":
            pass
