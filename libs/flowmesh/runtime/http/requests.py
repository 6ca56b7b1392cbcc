"""Bodies of requests over ASGI, read within bounds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from flowmesh.errors import TooLarge, UnsupportedMediaType
from flowmesh.jsontext.integers import is_whole

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# The status in metrics of a client that disconnected, as proxies use it.
CLIENT_GONE_STATUS = 499


class ClientGone(Exception):
    """The client disconnected before the end of its request."""


class Body:
    """The body of a request, read once."""

    __slots__ = ("_headers", "_receive", "_whole")

    def __init__(self, receive: Receive, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._receive = receive
        self._headers = headers
        self._whole = False

    async def pieces(self, bytes_max: int, reason: str = "BODY_TOO_LARGE") -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises TooLarge with `reason`, UnsupportedMediaType for a coded body, and ClientGone.
        """
        for name, value in self._headers:
            text = str(value, "latin-1")
            if name == b"content-length" and (not is_whole(text) or int(text) > bytes_max):
                raise _too_large(reason, bytes_max)
            if name == b"content-encoding" and text not in ("", "identity"):
                text = "Content-Encoding: send the body uncompressed."
                raise UnsupportedMediaType("CONTENT_TYPE_UNSUPPORTED", text)
        size = 0
        while not self._whole:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._whole = not message.get("more_body", False)
            piece = message.get("body", b"")
            size += len(piece)
            if size > bytes_max:
                raise _too_large(reason, bytes_max)
            if piece:
                yield piece

    async def read(self, bytes_max: int, seconds: float, reason: str = "BODY_TOO_LARGE") -> bytes:
        """Return the whole body. Raises TimeoutError, and the errors of `pieces`."""
        async with asyncio.timeout(seconds):
            pieces = [piece async for piece in self.pieces(bytes_max, reason)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(reason: str, bytes_max: int) -> TooLarge:
    unit, name = (1024, "KiB") if bytes_max % 2**20 else (2**20, "MiB")
    size = f"{bytes_max} bytes" if bytes_max % 1024 else f"{bytes_max // unit} {name}"
    return TooLarge(reason, f"The body is limited to {size}.")
