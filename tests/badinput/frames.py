"""HTTP/2 by hand, for what no client would send: frames are 9 bytes and what follows."""

import asyncio
import struct
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
ANSWERED_S = 10.0


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def literal(name: str, value: str) -> bytes:
    """A header as HPACK has it that is neither compressed nor kept."""
    return b"\0" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    data = text.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, encoded = len(data) - 127, bytearray([127])
    while rest >= 128:
        encoded.append(rest % 128 + 128)
        rest //= 128
    encoded.append(rest)
    return bytes(encoded) + data


def call_headers(path: str) -> bytes:
    """Those of a gRPC call."""
    return b"".join(
        literal(*pair)
        for pair in (
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        )
    )


@dataclass(slots=True)
class Connection:
    """A connection that has said hello."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def frames(self) -> tuple[int, int, int, bytes]:
        """Kind, flags, stream and body of the next frame; IncompleteReadError at the end."""
        head = await self.reader.readexactly(9)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        return kind, flags, stream, await self.reader.readexactly(int.from_bytes(head[:3], "big"))


async def connect(address: str) -> Connection:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(PREFACE + frame(SETTINGS, 0, 0))
    return Connection(reader, writer)


async def claimed(address: str, path: str, size: int) -> str:
    """A call whose message says that it has so many bytes; the code it ends with."""
    connection = await connect(address)
    try:
        start = frame(HEADERS, END_HEADERS, 1, call_headers(path))
        start += frame(DATA, 0, 1, b"\0" + struct.pack(">I", min(size, 2**32 - 1)) + bytes(1_000))
        connection.writer.write(start)
        async with asyncio.timeout(ANSWERED_S):
            while True:
                kind, _, stream, body = await connection.frames()
                if kind == HEADERS and stream == 1 and b"grpc-status" in body:
                    return (
                        "RESOURCE_EXHAUSTED"
                        if b"8" in body.partition(b"grpc-status")[2][:3]
                        else "?"
                    )
    finally:
        connection.writer.close()
