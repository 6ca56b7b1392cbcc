"""Bodies are counted by what they become."""

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from flowmesh.egress import Interrupted, ResponseTooLarge
from flowmesh.egress.bodies import RATIO_FLOOR_BYTES, read_body

LIMIT = 4 * 1024 * 1024


async def chunks(data: bytes, size: int = 1_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("", lambda data: data),
        ("identity", lambda data: data),
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
    ],
)
async def test_a_body_is_inflated(encoding: str, encode: object) -> None:
    """Every encoding that is asked for is understood, raw deflate included."""
    data = b'{"name": "value"}' * 100
    assert await read_body(chunks(encode(data)), encoding, LIMIT) == data  # type: ignore[operator]


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_the_limit_is_exact(encoding: str) -> None:
    """A body of the limit passes, one byte more does not."""
    encode = gzip.compress if encoding else bytes
    even = bytes(range(256)) * 40
    assert len(await read_body(chunks(encode(even)), encoding, len(even))) == len(even)
    with pytest.raises(ResponseTooLarge):
        await read_body(chunks(encode(even)), encoding, len(even) - 1)


async def test_a_high_ratio_is_stopped_before_the_limit() -> None:
    """Above 1 MiB an expansion of more than 100 times is a bomb; below it is repetition."""
    with pytest.raises(ResponseTooLarge, match="expands"):
        await read_body(chunks(gzip.compress(b"0" * LIMIT, mtime=0)), "gzip", LIMIT)
    small = b"0" * (RATIO_FLOOR_BYTES // 2)
    assert await read_body(chunks(gzip.compress(small, mtime=0)), "gzip", LIMIT) == small


@pytest.mark.parametrize("damaged", [b"not gzip", gzip.compress(b"x" * 10_000, mtime=0)[:-20]])
async def test_a_damaged_body_is_an_interruption(damaged: bytes) -> None:
    """Broken and cut streams fail, never pass as shorter bodies."""
    with pytest.raises(Interrupted):
        await read_body(chunks(damaged), "gzip", LIMIT)


async def test_an_unrequested_encoding_is_refused() -> None:
    """Nothing is guessed about other encodings."""
    with pytest.raises(Interrupted):
        await read_body(chunks(b"..."), "br", LIMIT)


async def test_a_body_of_several_gzip_members_is_read_whole() -> None:
    """Members follow one another, wherever the chunks end, and count together."""
    members = gzip.compress(b"one, ") + gzip.compress(b"two, ") + gzip.compress(b"three")
    for size in (1, 7, 1_000):
        assert await read_body(chunks(members, size), "gzip", LIMIT) == b"one, two, three"
    with pytest.raises(Interrupted):
        await read_body(chunks(members[:-3]), "gzip", LIMIT)
    with pytest.raises(ResponseTooLarge):
        await read_body(chunks(members), "gzip", 12)
