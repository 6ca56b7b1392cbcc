"""The browser part of `flowmesh login`: a port of this machine that waits for a code (RFC 8252).

Only a request with the `state` of this login ends the wait. Other requests get an error page, so no
other page or program can end a login.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from flowmesh.cli.refusals import Refused

CLIENT: Final = "flowmesh-cli"
HEAD_BYTES_MAX: Final = 16_384
HEAD_S: Final = 5.0
_PATH = "/callback"
_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>Flowmesh</title><p>{text}</p></html>\n"
)
_DONE = "The command received the answer of the login. You may close this window."
_FOREIGN = "This request does not belong to the login that is waiting here."
_HEAD = (
    "HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/html; charset=utf-8\r\n"
    "content-length: {length}\r\nconnection: close\r\ncache-control: no-store\r\n"
    "referrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Listener:
    """A login that waits for its browser."""

    redirect_uri: str
    verifier: str
    state: str
    _code: "asyncio.Future[str]"

    def page(self, authorization_url: str) -> str:
        """Return the address at which the user approves."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "client_id": CLIENT,
            "redirect_uri": self.redirect_uri,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "state": self.state,
        }
        return f"{authorization_url}?{urlencode(query)}"

    async def code(self, within_s: float) -> str:
        """Return the code from the browser; raise Refused if it does not arrive in time."""
        try:
            return await asyncio.wait_for(self._code, within_s)
        except TimeoutError:
            text = f"no answer from the browser within {within_s:g} s"
            raise Refused(text, "`flowmesh login --device` needs no browser here") from None


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """Listen on a free port of this machine until the end of the block."""
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    state = secrets.token_urlsafe(24)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, text = HTTPStatus.BAD_REQUEST, _FOREIGN
        with suppress(TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_S)
            found = _code_of(head.decode("latin-1"), host, state)
            if found and not code.done():
                code.set_result(found)
                status, text = HTTPStatus.OK, _DONE
        with suppress(OSError):
            writer.write(_response(status, text))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    verifier = secrets.token_urlsafe(48)
    try:
        yield Listener(f"http://{host}{_PATH}", verifier, state, code)
    finally:
        server.close()
        await server.wait_closed()


def _code_of(head: str, host: str, state: str) -> str:
    """Return the code of a request with the state of this login; empty for any other."""
    lines = head.split("\r\n")
    method, _, rest = lines[0].partition(" ")
    target = urlsplit(rest.partition(" ")[0])
    # The name of another server that resolves to this machine is refused.
    named = [line.partition(":")[2].strip() for line in lines[1:] if line.lower()[:5] == "host:"]
    if method != "GET" or target.path != _PATH or named != [host]:
        return ""
    query = parse_qs(target.query)
    given, codes = query.get("state", []), query.get("code", [])
    if len(given) != 1 or len(codes) != 1:
        return ""
    return codes[0] if hmac.compare_digest(given[0].encode(), state.encode()) else ""


def _response(status: HTTPStatus, text: str) -> bytes:
    body = _PAGE.format(text=text).encode()
    return _HEAD.format(status=status, length=len(body)).encode() + body
