"""The block format of Snappy with literals only: valid for every reader, and not smaller.

Remote write demands the format, and a request of a process has some tens of KiB.
"""

from typing import Final

LITERAL_BYTES_MAX: Final = 65_536
SHORT_BYTES_MAX: Final = 60
"""Longest literal whose tag has its length; some readers refuse a longer form of it."""

_TWO_BYTES: Final = 61 << 2
"""Tag of a literal whose length less one follows in two bytes."""


def block(data: bytes) -> bytes:
    """Return the data as a block: its length as a varint, then literals."""
    parts = [_varint(len(data))]
    for start in range(0, len(data), LITERAL_BYTES_MAX):
        literal = data[start : start + LITERAL_BYTES_MAX]
        parts += [_head(len(literal)), literal]
    return b"".join(parts)


def _head(length: int) -> bytes:
    if length <= SHORT_BYTES_MAX:
        return bytes([(length - 1) << 2])
    return bytes([_TWO_BYTES]) + (length - 1).to_bytes(2, "little")


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
