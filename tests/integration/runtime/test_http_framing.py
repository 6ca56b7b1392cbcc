"""Where a request ends on the wire (RFC 9112): every HTTP port of the suite is this server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from flowmesh.runtime.access import OpenAccess
from flowmesh.runtime.checks import Checks
from flowmesh.runtime.http.requests import Receive, Scope, Send
from flowmesh.runtime.http.server import HttpServer, answer, listen
from flowmesh.telemetry import Metrics

ANSWERED_S = 10.0
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
OFFERS = ("h2c", "websocket", "TLS/1.2", "h2c, websocket")
INNER = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    value: Any


class Port:
    """The HTTP server before an app that answers what it was asked."""

    def __init__(self, number: int) -> None:
        self.number = number
        # Set when all of what a client says has been read.
        self.released = asyncio.Event()
        self.gone = asyncio.Event()
        self.seen: list[str] = []

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1000})
            return
        self.seen.append(scope["path"])
        if scope["path"] == "/early":
            await answer(send, 200, {"path": "/early"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        if scope["path"] == "/held":
            await self.released.wait()
        if scope["path"] == "/watched":
            await receive()
            self.gone.set()
            return
        names = [str(name, "ascii") for name, _ in scope["headers"]]
        asked = {"method": scope["method"], "path": scope["path"], "body": str(body, "latin-1")}
        await answer(send, 200, asked | {"headers": names})

    async def said(self, *packets: bytes, answers: int = 1) -> list[Answer]:
        """The answers to packets that arrive one after the other; fails if there are more."""
        self.released.clear()
        async with asyncio.timeout(ANSWERED_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
            for packet in packets:
                writer.write(packet)
                await self.read_so_far()
            self.released.set()
            came = [await _answer(reader) for _ in range(answers)]
            await self.read_so_far()
            if not reader.at_eof():
                writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        return came

    async def read_so_far(self) -> None:
        """Returns when the server has read what was written: it has answered on a connection that
        was opened later."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await _answer(reader)
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
    return Answer(int(lines[0].split()[1]), json.loads(await reader.readexactly(length)))


@asynccontextmanager
async def _served() -> AsyncIterator[Port]:
    server = HttpServer(checks=Checks(), metrics=Metrics(), about=dict, access=OpenAccess())
    listener = listen("127.0.0.1", 0)
    port = Port(listener.getsockname()[1])
    server.mount(port.app)
    await server.start(listener)
    await server.open_app()
    try:
        yield port
    finally:
        await server.stop()


@pytest.fixture(scope="module")
async def shared_port() -> AsyncIterator[Port]:
    async with _served() as served:
        yield served


@pytest.fixture
def port(shared_port: Port) -> Port:
    """The server, which has seen nothing yet."""
    shared_port.seen.clear()
    shared_port.gone.clear()
    return shared_port


def request(method: str, *headers: str, body: bytes = b"", path: str = "/a") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: x", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def offering(method: str, offer: str, body: bytes) -> bytes:
    length = f"Content-Length: {len(body)}"
    return request(method, "Connection: Upgrade", f"Upgrade: {offer}", length, body=body)


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("method", METHODS)
async def test_a_body_is_read_before_an_offered_upgrade(
    port: Port, method: str, offer: str
) -> None:
    """In one packet and in two, a body that looks like a request is none."""
    said = offering(method, offer, INNER)
    head = said.removesuffix(INNER)
    for packets in ((said,), (head, INNER)):
        (came,) = await port.said(*packets)
        assert (came.status, came.value["method"]) == (200, method)
        assert (came.value["path"], came.value["body"]) == ("/a", INNER.decode())


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_request_with_an_offer_may_arrive_split_anywhere(port: Port, framing: str) -> None:
    """It is one request, and the one behind it is answered after it."""
    if framing == "length":
        first = offering("POST", "h2c", b"hello")
    else:
        chunked = ("Connection: Upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked")
        first = request("POST", *chunked, body=b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
    said = first + request("GET", path="/b")
    for place in range(1, len(said)):
        one, two = await port.said(said[:place], said[place:], answers=2)
        assert (one.value["path"], one.value["body"]) == ("/a", "hello"), place
        assert (two.value["path"], two.value["body"]) == ("/b", ""), place


@pytest.mark.parametrize("method", METHODS)
async def test_an_offer_without_a_body_is_ignored(port: Port, method: str) -> None:
    """What follows is the next request."""
    offer = request(method, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
    one, two = await port.said(offer + request("GET", path="/b"), answers=2)
    assert (one.value["method"], one.value["path"], two.value["path"]) == (method, "/a", "/b")


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 405), ("TRACE", 405)])
async def test_health_ports_keep_bodies_with_their_requests_too(
    port: Port, method: str, status: int
) -> None:
    """A probe path answers once for a body that looks like a request."""
    said = offering(method, "h2c", INNER).replace(b"/a", b"/health")
    assert [each.status for each in await port.said(said)] == [status]


async def test_a_websocket_behind_open_requests_is_not_opened(port: Port) -> None:
    """The offer is ignored, so that answers keep their order."""
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    shake = ("Connection: Upgrade", "Upgrade: websocket", key, "Sec-WebSocket-Version: 13")
    said = request("GET", path="/held") + request("GET", *shake, path="/ws")
    came = await port.said(said, answers=2)
    assert [each.value["path"] for each in came] == ["/held", "/ws"]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (("Content-Length: 5", "Transfer-Encoding: chunked"), b"0\r\n\r\n", 400),
        (("Transfer-Encoding: chunked", "Content-Length: 5"), b"0\r\n\r\n", 400),
        (("Content-Length: 3", "Content-Length: 3"), b"abc", 400),
        (("Content-Length: 3", "Content-Length: 30"), b"abc", 400),
        (("Content-Length: 3, 3",), b"abc", 400),
        (("Content-Length: +3",), b"abc", 400),
        (("Content-Length: -3",), b"abc", 400),
        (("Content-Length: 0x3",), b"abc", 400),
        (("Content-Length: 3 0",), b"abc", 400),
        (("Content-Length:",), b"abc", 400),
        (("Content-Length: 99999999999999999999",), b"abc", 400),
        (("Content-Length : 3",), b"abc", 400),
        (("Transfer-Encoding: identity",), b"0\r\n\r\n", 501),
        (("Transfer-Encoding: xchunked",), b"0\r\n\r\n", 501),
        (("Transfer-Encoding: gzip, chunked",), b"0\r\n\r\n", 501),
        (("Transfer-Encoding: chunked, identity",), b"0\r\n\r\n", 400),
        (("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), b"0\r\n\r\n", 400),
        (("Transfer-Encoding: \x0bchunked",), b"0\r\n\r\n", 400),
        (("Transfer-Encoding:\r\n chunked",), b"0\r\n\r\n", 400),
        (("X: a\r\n b", "Content-Length: 3"), b"abc", 400),
        (("X: a\nContent-Length: 3",), b"abc", 400),
        (("X: a\rContent-Length: 3",), b"abc", 400),
        (("X: a\0b", "Content-Length: 3"), b"abc", 400),
        (("Host: y",), b"", 400),
    ],
)
async def test_heads_that_are_in_doubt_are_refused(
    port: Port, headers: tuple[str, ...], body: bytes, status: int
) -> None:
    """Whatever is offered, in one packet and in two; nothing behind them is read as a request."""
    for offer in ((), ("Connection: Upgrade", "Upgrade: h2c")):
        head = request("POST", *offer, *headers)
        for packets in ((head + body + INNER,), (head, body + INNER)):
            (came,) = await port.said(*packets)
            assert (came.status, came.value["error"]["code"]) == (status, status)
    assert port.seen == []


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET /a HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n\n", 400),
        (b"GET /a HTTP/1.1\r\n\r\n", 400),
        (b"GET /a\r\n\r\n", 505),
        (b"GET /a HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"BREW /a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_of_http_1_1_is_refused(
    port: Port, said: bytes, status: int
) -> None:
    """Bare line feeds, no host, other versions and a proxy's method."""
    (came,) = await port.said(said + INNER)
    assert came.status == status
    assert port.seen == []


@pytest.mark.parametrize(
    "body",
    [
        b"g\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\n",
    ],
)
async def test_invalid_chunks_are_refused(port: Port, body: bytes) -> None:
    """Whatever is offered, and in the turn of their request."""
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    for head in (CHUNKED, CHUNKED.removesuffix(b"\r\n") + offer):
        for packets in ((head + body + INNER,), (head, body + INNER)):
            (came,) = await port.said(*packets)
            assert came.status == 400, packets
        one, two = await port.said(request("GET", path="/b") + head + body + INNER, answers=2)
        assert (one.value["path"], two.status) == ("/b", 400)


async def test_pipelined_requests_are_answered_in_order(port: Port) -> None:
    """In one packet or in several, with bodies that look like requests, and a refusal last."""
    said = b"".join(
        (
            request("GET", path="/held"),
            offering("POST", "h2c", INNER),
            CHUNKED.replace(b"/a", b"/c") + b"3\r\nabc\r\n0\r\n\r\n",
            request("GET", "X: a\r\n b", path="/d"),
            request("GET", path="/e"),
        )
    )
    for size in (len(said), 100, 7):
        packets = [said[start : start + size] for start in range(0, len(said), size)]
        *answered, refused = await port.said(*packets, answers=4)
        assert [each.value["path"] for each in answered] == ["/held", "/a", "/c"]
        assert [each.value["body"] for each in answered] == ["", INNER.decode(), "abc"]
        assert refused.status == 400
    assert "/e" not in port.seen


async def test_a_large_body_is_separated_from_the_next_head(port: Port) -> None:
    """The end of a body and the begin of a head in one packet: the head is not found too large."""
    body = b"x" * 200_000
    first = request("POST", f"Content-Length: {len(body)}", body=body)
    second = request("GET", path="/b")
    one, two = await port.said(first + second[:10], second[10:], answers=2)
    assert (len(one.value["body"]), two.value["path"]) == (len(body), "/b")


async def test_a_body_behind_an_early_answer_is_dropped(port: Port) -> None:
    """It is not read as the next request."""
    early = request("POST", f"Content-Length: {len(INNER)}", path="/early")
    one, two = await port.said(early, INNER + request("GET", path="/b"), answers=2)
    assert (one.value["path"], two.value["path"]) == ("/early", "/b")


async def test_trailers_are_no_headers(port: Port) -> None:
    """What a proxy in front has not seen says nothing of the caller."""
    trailer = b"0\r\nFlowmesh-Permissions: everything\r\n\r\n"
    (came,) = await port.said(CHUNKED + b"3\r\nabc\r\n", trailer)
    assert came.value["headers"] == ["host", "transfer-encoding"]


async def test_a_client_that_leaves_is_noticed_behind_pipelined_requests(port: Port) -> None:
    """The request that is worked on ends, although others wait behind it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(request("GET", path="/watched") + request("GET", path="/b"))
    await port.read_so_far()
    writer.close()
    async with asyncio.timeout(ANSWERED_S):
        await port.gone.wait()
