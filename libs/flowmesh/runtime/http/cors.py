"""Cross-origin resource sharing: the web pages of listed origins that may read responses.

Implements the parts of the Fetch standard that a server takes part in. Without listed origins no
response has a header of it, so browsers keep every response from pages of other origins.
"""

from collections.abc import Collection, Iterable, MutableMapping
from typing import Any

from flowmesh.runtime.http.requests import Send

Header = tuple[bytes, bytes]

# Request headers that the REST API reads.
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Flowmesh-Actor",
    "Flowmesh-Namespace",
    "Flowmesh-Permissions",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Traceparent",
    "Tracestate",
    # Sent by SignalR clients.
    "X-Requested-With",
    "X-SignalR-User-Agent",
)
# Response headers beyond those that every page may read.
RESPONSE_HEADERS = (
    "Content-Disposition",
    "ETag",
    "Flowmesh-File-Version",
    "Location",
    "Preference-Applied",
    "Retry-After",
)
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
# Browsers repeat the preflight request after this time.
_PREFLIGHT_KEPT_S = b"600"
_VARY = (b"vary", b"Origin")


class Cors:
    """Adds the headers for pages of exactly the listed origins, with credentials."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def origin(self, headers: Iterable[Header]) -> bytes:
        """Return the listed origin of a request; empty for any other request."""
        for name, value in headers:
            if name == b"origin":
                return value if str(value, "latin-1").lower() in self._origins else b""
        return b""

    def preflight(self, method: str, headers: Iterable[Header]) -> tuple[Header, ...]:
        """Return the headers that answer a preflight request; none for any other request."""
        asked = any(name == b"access-control-request-method" for name, _ in headers)
        if method != "OPTIONS" or not asked:
            return ()
        return (
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", ", ".join(REQUEST_HEADERS).encode()),
            (b"access-control-max-age", _PREFLIGHT_KEPT_S),
        )

    def answering(self, send: Send, origin: bytes) -> Send:
        """Return a `send` that adds the headers for an origin to the head of a response."""
        added: list[Header] = [_VARY]
        if origin:
            added += [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", ", ".join(RESPONSE_HEADERS).encode()),
            ]

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        return answer
