"""Requests that two servers could read differently, or that are too long, are refused."""

import ast
import asyncio
from pathlib import Path

import pytest

from flowmesh.runtime.http.protocol import HEAD_BYTES_MAX
from tests.features.apps import running, written
from tests.features.closed import Closed

CLOSED_S = 10.0
LONG = b"a" * (HEAD_BYTES_MAX + 4_000)
HOST = b"host: localhost\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
# By its kind, what is sent and the first word of the answer.
REQUESTS = {
    "both lengths": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"content-length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 3\r\n" * 2 + b"\r\nabc",
    "a signed length": b"POST / HTTP/1.1\r\n" + HOST + b"content-length: +3\r\n\r\nabc",
    "a length of other digits": b"POST / HTTP/1.1\r\n" + HOST + b"content-length: \xb2\r\n\r\nab",
    "chunked twice": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: x\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n",
    "a chunk of no size": b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nx\r\nabc\r\n0\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"content-length : 3\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n c\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\n" + HOST + b"a: b\0c\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a long head in one read": b"GET / HTTP/1.1\r\n" + HOST + b"a: " + LONG + b"\r\n\r\n",
    "a long path in one read": b"GET /" + LONG + b" HTTP/1.1\r\n" + HOST + b"\r\n",
}

TOO_LONG = {"a long head in one read": 431, "a long path in one read": 414}


async def answer(address: str, sent: bytes) -> bytes:
    """Return what the server answers until it closes the connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    # The server may refuse before it has read all.
    writer.write(sent)
    try:
        async with asyncio.timeout(CLOSED_S):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("kind", REQUESTS)
async def test_the_gateway_refuses_and_closes(installation: Closed, kind: str) -> None:
    """With one answer of an error, so that nothing behind it is read as a request."""
    address = installation.suite.http_url.removeprefix("http://")
    smuggled = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    found = await answer(address, REQUESTS[kind] + smuggled)
    assert found == b"" or found.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), found[:200]
    assert found.count(b"HTTP/1.1 ") <= 1, found
    if kind in TOO_LONG:
        assert found == b"" or found.startswith(b"HTTP/1.1 %d" % TOO_LONG[kind]), found[:200]


MANY = "9" * 5_000
RANGES = ("\xb2-", "-\xb2", "\xb21-", f"{MANY}-", f"-{MANY}", "0x1-", "1_0-", "+1-")


async def test_numbers_of_other_digits_are_no_numbers(tmp_path: Path) -> None:
    """In ranges and parameters of an application: no answer is an error of the server."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a.txt").write_text("text")
    text = """
name: files
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: files, type: static.fileserver, config: {root: www, prefix: /}}
- {name: logs, type: log.collector}
"""
    async with running(written(tmp_path, text)) as app:
        for spec in RANGES:
            head = f"host: x\r\nrange: bytes={spec}\r\nconnection: close"
            sent = f"GET /a.txt HTTP/1.1\r\n{head}\r\n\r\n".encode("latin-1")
            found = await answer(app.url.removeprefix("http://"), sent)
            assert found.startswith((b"HTTP/1.1 200", b"HTTP/1.1 416")), (spec[:20], found[:200])
            limit = await app.call("GET", f"/logs?limit={spec[:-1] or spec}")
            assert limit.status < 500, (spec[:20], limit.body)
        assert b"Traceback" not in b"".join(app.lines)


def test_no_text_is_a_number_by_isdigit() -> None:
    """`isdigit` holds for digits that `int` refuses, such as a superscript two."""
    root = Path(__file__).resolve().parents[3]
    files = [each for folder in ("libs", "services") for each in (root / folder).rglob("*.py")]
    found = [
        f"{file.relative_to(root)}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "isdigit"
    ]
    # Bytes have ASCII digits only.
    assert [each for each in found if "apphost/running/log.py" not in each] == []
