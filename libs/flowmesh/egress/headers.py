"""Checks of headers, and the headers that follow a redirect to another host."""

import re
from collections.abc import Mapping

from flowmesh.egress.errors import HeaderInvalid

HEADERS_MAX = 100
HEADER_BYTES_MAX = 16 * 1024

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# Headers of the connection or the client.
_NOT_SETTABLE = frozenset(
    {
        "host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer",
        "keep-alive", "proxy-authorization", "proxy-connection", "expect",
    }
)  # fmt: skip

# Headers that are sent to another host. An allow list, because any header of a user can carry
# a secret.
_SAFE_ACROSS_HOSTS = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "content-type", "user-agent",
        "idempotency-key", "traceparent",
    }
)  # fmt: skip


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise HeaderInvalid for a name or value that could alter the request around it."""
    if len(headers) > HEADERS_MAX:
        raise HeaderInvalid(f"a request has at most {HEADERS_MAX} headers, not {len(headers)}")
    total = 0
    for name, value in headers.items():
        total += len(name) + len(value)
        if not _NAME.fullmatch(name):
            raise HeaderInvalid(f"header name {name[:64]!r} holds characters that are not allowed")
        if name.lower() in _NOT_SETTABLE:
            raise HeaderInvalid(f"header {name} is set by the client and cannot be given")
        if _FORBIDDEN_IN_VALUE.search(value):
            raise HeaderInvalid(f"the value of header {name} holds control characters")
    if total > HEADER_BYTES_MAX:
        raise HeaderInvalid(f"headers are limited to {HEADER_BYTES_MAX} bytes in all")


def across_hosts(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that may be sent to another origin."""
    return {name: value for name, value in headers.items() if name.lower() in _SAFE_ACROSS_HOSTS}
