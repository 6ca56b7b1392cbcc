"""Reads an answer's body with a bound on what it becomes, not on what was sent."""

import zlib
from collections.abc import AsyncIterator

from flowmesh.egress.errors import Interrupted, ResponseTooLarge

RESPONSE_BYTES_MAX = 10 * 1024 * 1024
RATIO_MAX = 100
# Below this a high ratio is a small repetitive document, not a bomb.
RATIO_FLOOR_BYTES = 1024 * 1024

ACCEPT_ENCODING = "gzip, deflate"
_GZIP = 16 + zlib.MAX_WBITS
# How every member of a gzip body begins (RFC 1952, 2.3.1); there may be several.
_GZIP_MEMBER = b"\x1f"


async def read_body(chunks: AsyncIterator[bytes], encoding: str, bytes_max: int) -> bytes:
    """The whole body, decompressed; raises ResponseTooLarge as soon as a bound is passed."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return await _plain(chunks, bytes_max)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Interrupted("the answer uses a content encoding that was not asked for")
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
    """Some servers send raw deflate where the standard asks for the zlib form."""
    if window == zlib.MAX_WBITS and first and first[0] & 0x0F != 8:
        return -zlib.MAX_WBITS
    return window


def _too_large(bytes_max: int) -> ResponseTooLarge:
    return ResponseTooLarge(f"answers are limited to {bytes_max} bytes once decompressed")
