"""Reading of response bodies with a limit on the decompressed size."""

import zlib
from collections.abc import AsyncIterator

from flowmesh.egress.errors import Interrupted, ResponseTooLarge

RESPONSE_BYTES_MAX = 10 * 1024 * 1024
RATIO_MAX = 100
# Below this a high ratio is a small repetitive document, not a bomb.
RATIO_FLOOR_BYTES = 1024 * 1024

ACCEPT_ENCODING = "gzip, deflate"
_GZIP = 16 + zlib.MAX_WBITS
# The first byte of each member of a gzip body (RFC 1952, 2.3.1).
_GZIP_MEMBER = b"\x1f"


async def read_body(chunks: AsyncIterator[bytes], encoding: str, bytes_max: int) -> bytes:
    """Return the decompressed body. Raises ResponseTooLarge as soon as it exceeds a limit."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return await _plain(chunks, bytes_max)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Interrupted("the response uses a content encoding that was not requested")
    return await _inflated(chunks, _GZIP if "gzip" in encoding else zlib.MAX_WBITS, bytes_max)


async def _plain(chunks: AsyncIterator[bytes], bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > bytes_max:
            raise _too_large(bytes_max)
        parts.append(chunk)
    return b"".join(parts)


async def _inflated(chunks: AsyncIterator[bytes], window: int, bytes_max: int) -> bytes:
    inflater: zlib._Decompress | None = None
    parts: list[bytes] = []
    received = size = 0
    async for chunk in chunks:
        received += len(chunk)
        if inflater is None:
            inflater = zlib.decompressobj(_window_of(chunk, window))
        pending = chunk
        while pending:
            if inflater.eof:
                if window != _GZIP or not pending.startswith(_GZIP_MEMBER):
                    return b"".join(parts)
                inflater = zlib.decompressobj(_GZIP)
            try:
                part = inflater.decompress(pending, bytes_max - size + 1)
            except zlib.error:
                raise Interrupted("the answer's compressed body is damaged") from None
            pending = inflater.unused_data or inflater.unconsumed_tail
            size += len(part)
            if size > bytes_max:
                raise _too_large(bytes_max)
            if size > RATIO_FLOOR_BYTES and size > received * RATIO_MAX:
                raise ResponseTooLarge(f"the answer expands more than {RATIO_MAX} times")
            parts.append(part)
    if inflater is not None and not inflater.eof:
        raise Interrupted("the answer's compressed body ends too early")
    return b"".join(parts)


def _window_of(first: bytes, window: int) -> int:
    """Return the window bits; some servers send raw deflate instead of the zlib format."""
    if window == zlib.MAX_WBITS and first and first[0] & 0x0F != 8:
        return -zlib.MAX_WBITS
    return window


def _too_large(bytes_max: int) -> ResponseTooLarge:
    return ResponseTooLarge(f"answers are limited to {bytes_max} bytes once decompressed")
