"""HTTP requests and WebSockets of the gateway that are for another cell."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote

import aiohttp
from yarl import URL

from flowmesh.cells import MOVE_HEADER, Cell, cell_of, place_of_token
from flowmesh.egress import OPEN
from flowmesh.egress.connector import http_session
from flowmesh.errors import FlowmeshError, Misdirected
from flowmesh.gateway.cells import advice, lists
from flowmesh.gateway.cells.front import HOP, Front, answered_by_another, silent
from flowmesh.gateway.http.errors import error_response
from flowmesh.gateway.http.requests import Response
from flowmesh.rpc.status import CELL_ADDRESS
from flowmesh.runtime.http.requests import Receive, Scope, Send
from flowmesh.runtime.http.server import ASGI3

CONNECTIONS_MAX = 1_000
CONNECT_S = 2.0
SOCKET_MESSAGE_BYTES_MAX = 1024 * 1024
_NAMESPACE = b"flowmesh-namespace"
_HOP = HOP.encode()
_MOVE = MOVE_HEADER.encode()
# Methods that change nothing; a project that moves serves them all the time.
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
# Headers of one connection; the front has checked the origin of a page.
_OWN = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te"),
        *(b"trailer", b"transfer-encoding", b"upgrade", b"host", b"origin", b"referer", _HOP),
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
    }
)
_OVER_CELLS = frozenset({lists.PATH, advice.PATH})
# Paths with a token of a waiting node or of an approval, which names a project and an execution.
_TOKEN = re.compile(r"/(?:approve|api/v1/hooks/t)/([^/?]+)")
_IN_PATH = re.compile(r"/api/v1/(hooks|projects)/([^/?]+)")

Headers = list[tuple[bytes, bytes]]


class HttpFront:
    """An app around the gateway's: it forwards, or lets the gateway answer."""

    def __init__(self, app: ASGI3, front: Front, tls: ssl.SSLContext | None) -> None:
        self._app = app
        self._front = front
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = http_session(OPEN, connections_max=CONNECTIONS_MAX, tls=self._tls)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        hop = _header(scope, _HOP)
        sender = _Numbered(send, self._front.own.number) if hop else send
        try:
            if _path(scope) in _OVER_CELLS and scope.get("method") == "GET":
                await self._over_cells(scope, receive, sender)
                return
            cell = self._cell(scope, hop)
            if cell is None:
                await self._app(scope, receive, sender)
            elif scope["type"] == "http":
                await _Forwarded(self.session, cell, scope, receive, send).forward()
            else:
                await _forward_socket(self.session, cell, scope, receive, send)
        except FlowmeshError as error:
            await _reply(scope, receive, sender, _refusal(error, scope))

    async def _over_cells(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a question about projects of several cells."""
        headers = [
            (name, value)
            for name, value in _sent_headers(scope, self._front.own)
            if name not in (HOP, "flowmesh-namespace", "accept")
        ]
        query = str(scope.get("query_string", b""), "latin-1")
        if _path(scope) == lists.PATH:
            read = lists.CellLists(self._front, self.session)
            response = await read.executions(query, headers)
        else:
            response = await advice.CellAdvice(self._front, self.session).advice(query, headers)
        await _reply(scope, receive, send, response)

    def _cell(self, scope: Scope, hop: str) -> Cell | None:
        path = _path(scope)
        name, id_cell = self._place(scope, path)
        return self._front.elsewhere(
            [name] if name else [],
            id_cell=id_cell,
            hop=hop,
            changes=scope["type"] == "http" and scope["method"] not in _READS,
            move=_header(scope, _MOVE),
        )

    def _place(self, scope: Scope, path: str) -> tuple[str, int | None]:
        """Return the namespace of a call, empty without one, and the cell of its id."""
        token = _TOKEN.match(path)
        if token is not None:
            return place_of_token(unquote(token[1])) or ("", None)
        return self._namespace(scope, path), cell_of(path)

    def _namespace(self, scope: Scope, path: str) -> str:
        found = _IN_PATH.match(path)
        if found is not None:
            name = unquote(found[2])
            # A project is also named by an id, which the directory does not know.
            known = found[1] == "hooks" or self._front.directory.projects.get(name) is not None
            return name if known else ""
        named = _header(scope, _NAMESPACE)
        if named or (scope["type"] == "http" and not path.startswith("/hubs/")):
            return named
        return dict(parse_qsl(str(scope["query_string"], "latin-1"))).get("namespace", "")


class _Numbered:
    """A sender that adds the number of this cell to the head of an answer."""

    def __init__(self, send: Send, number: int) -> None:
        self._send = send
        self._header = (_HOP, str(number).encode())

    async def __call__(self, message: Any) -> None:
        if message["type"].endswith("http.response.start") or message["type"] == "websocket.accept":
            message = {**message, "headers": [*message.get("headers", ()), self._header]}
        await self._send(message)


class _Forwarded:
    """A request that is sent to another cell, and its answer, piece by piece."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        cell: Cell,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._session = session
        self._cell = cell
        self._scope = scope
        self._receive = receive
        self._send = send
        self._read = asyncio.Event()
        self._started = False

    async def forward(self) -> None:
        """Forward until the answer ends or the client is gone. Raises CELL_UNAVAILABLE."""
        work = asyncio.ensure_future(self._exchange())
        gone = asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for each in (work, gone):
                each.cancel()
            await asyncio.wait((work, gone))

    async def _exchange(self) -> None:
        scope = self._scope
        has_body = _header(scope, b"content-length") not in ("", "0") or bool(
            _header(scope, b"transfer-encoding")
        )
        if not has_body:
            self._read.set()
        try:
            async with self._session.request(
                scope["method"],
                _target(self._cell.http, scope),
                headers=_sent_headers(scope, self._cell),
                data=self._pieces() if has_body else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            ) as answer:
                await self._answer(answer)
        except (aiohttp.ClientError, OSError, TimeoutError):
            if self._started:
                raise
            raise silent(self._cell) from None

    async def _answer(self, answer: aiohttp.ClientResponse) -> None:
        if answer.headers.get(HOP) != str(self._cell.number):
            raise answered_by_another(self._cell)
        headers = _kept(answer.raw_headers)
        self._started = True
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await self._send(start)
        async for piece in answer.content.iter_any():
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def _pieces(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            more = message.get("more_body", False)
            yield message.get("body", b"")
        self._read.set()

    async def _gone(self) -> None:
        """Return when the client has disconnected; its body is read first."""
        await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _forward_socket(
    session: aiohttp.ClientSession, cell: Cell, scope: Scope, receive: Receive, send: Send
) -> None:
    """Forward a WebSocket: the handshake, then the messages of both sides."""
    headers = [
        (name, value)
        for name, value in _sent_headers(scope, cell)
        if not name.startswith("sec-websocket-")
    ]
    try:
        async with session.ws_connect(
            _target(cell.http, scope),
            headers=headers,
            protocols=tuple(scope.get("subprotocols", ())),
            max_msg_size=SOCKET_MESSAGE_BYTES_MAX,
            timeout=aiohttp.ClientWSTimeout(ws_close=CONNECT_S),
        ) as other:
            await receive()
            await send({"type": "websocket.accept", "subprotocol": other.protocol})
            await _converse(other, receive, send)
    except aiohttp.WSServerHandshakeError as error:
        await _reply(scope, receive, send, Response(error.status))
    except (aiohttp.ClientError, OSError, TimeoutError):
        raise silent(cell) from None


async def _converse(other: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send) -> None:
    up = asyncio.ensure_future(_to_cell(other, receive))
    down = asyncio.ensure_future(_to_client(other, send))
    try:
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (up, down):
            each.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _to_cell(other: aiohttp.ClientWebSocketResponse, receive: Receive) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        text = message.get("text")
        await (other.send_bytes(message["bytes"]) if text is None else other.send_str(text))
    await other.close()


async def _to_client(other: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    async for message in other:
        kind = "text" if message.type is aiohttp.WSMsgType.TEXT else "bytes"
        await send({"type": "websocket.send", kind: message.data})
    with suppress(OSError, RuntimeError):
        await send({"type": "websocket.close", "code": other.close_code or 1011})


async def _reply(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()
        kind = "websocket.http.response"
    length = str(len(response.body)).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", length)]
    headers = [*head, (b"cache-control", b"no-store"), *response.headers]
    await send({"type": f"{kind}.start", "status": int(response.status), "headers": headers})
    body = b"" if scope.get("method") == "HEAD" else response.body
    await send({"type": f"{kind}.body", "body": body})


def _refusal(error: FlowmeshError, scope: Scope) -> Response:
    """Return an error as a response, with the place where the call would be right."""
    if not isinstance(error, Misdirected):
        return error_response(error)
    place = (b"location", str(_target(error.location, scope)).encode())
    return error_response(error, headers=(place, (CELL_ADDRESS.encode(), error.address.encode())))


def _target(base: str, scope: Scope) -> URL:
    query = str(scope.get("query_string", b""), "latin-1")
    return URL(f"{base.rstrip('/')}{_path(scope)}{'?' if query else ''}{query}", encoded=True)


def _path(scope: Scope) -> str:
    return str(bytes(scope["raw_path"]).partition(b"?")[0], "latin-1")


def _header(scope: Scope, name: bytes) -> str:
    return next((str(value, "latin-1") for key, value in scope["headers"] if key == name), "")


def _sent_headers(scope: Scope, cell: Cell) -> list[tuple[str, str]]:
    sent = [(str(k, "latin-1"), str(v, "latin-1")) for k, v in scope["headers"] if k not in _OWN]
    before = _header(scope, b"x-forwarded-for")
    client = str((scope.get("client") or ("",))[0])
    chain = ", ".join(each for each in (before, client) if each)
    return [*sent, ("x-forwarded-for", chain), (HOP, str(cell.number))]


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    lower = [(name.lower(), value) for name, value in headers]
    return [each for each in lower if each[0] not in _OWN]
