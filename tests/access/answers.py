"""Calls of any method with any credential, and answers that can be compared byte by byte."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from tests.access.contracts import Method
from tests.features.closed import Caller

DETAILS = "grpc-status-details-bin"
ANSWERED_S = 20.0
# A stream that sends nothing for so long has sent what it has.
QUIET_S = 0.2
FRAMES_MAX = 50
CLIENT_ERROR = "Internal error from Core"
# Names that the suite makes up: executions, bulks, tenants, keys, their secrets, and times.
MADE = re.compile(
    rb"(?:exec|bulk)-[0-9a-z]{20}|(?:co|org|prj|usr|inv|ses|key)_[0-9a-z]{8,}"
    rb"|fm_[\w-]{50,}|[0-9a-f]{32,64}|\d{4}-\d\d-\d\dT[\d:.]+Z"
)
# Numbers of changes, which the calls themselves count up.
COUNTERS = ("sequence", "etag", "version", "topology_version")
COUNTED = re.compile(rb'"(?:etag|version|sequence)":"?\d+"?')
CHANGING_HEADERS = ("date", "content-length", "etag", "location")

_channels: dict[str, grpc.aio.Channel] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a call: its status with all details, and the messages before it."""

    code: str
    message: str = ""
    details: bytes = b""
    frames: tuple[bytes, ...] = ()
    # The type of the messages; None for bodies of HTTP.
    kind: type[Message] | None = None

    @property
    def reason(self) -> str:
        info = error_details_pb2.ErrorInfo()
        for detail in status_pb2.Status.FromString(self.details).details:
            detail.Unpack(info)
        return str(info.reason)

    @property
    def data(self) -> bytes:
        """Return everything that the caller received."""
        return b"\0".join((self.code.encode(), self.message.encode(), self.details, *self.frames))

    def blind(self, names: Iterable[str]) -> bytes:
        """Return what does not depend on the names, on made up ones and on the time."""
        # Answers before the refusal of a later message depend on the speed of both sides.
        frames = _timeless(self.kind, self.frames) if self.code == "OK" or not self.kind else ()
        found = b"\0".join((self.code.encode(), self.message.encode(), self.details, *frames))
        for name in sorted(names, key=len, reverse=True):
            found = found.replace(name.encode(), b"?")
        return MADE.sub(b"?", found)

    def __str__(self) -> str:
        return f"{self.code} {self.message} {self.frames!r:.300}"


async def call(caller: Caller, method: Method, *requests: Any, quiet_s: float = QUIET_S) -> Answer:
    """Send the messages and return the answer; a stream is read until it is quiet.

    A call that was refused while the client wrote may end with an error of the client itself.
    """
    while True:
        answer = await _called(caller, method, requests, quiet_s)
        if answer.message != CLIENT_ERROR:
            return answer


async def _called(
    caller: Caller, method: Method, requests: Sequence[Any], quiet_s: float
) -> Answer:
    # Not with the interceptors of the caller: they leave tasks behind when a stream is canceled.
    stub = getattr(_channel(caller), method.arity)(
        method.path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=bytes,
    )
    inward, outward = method.arity.split("_")
    metadata = caller.metadata
    running = stub(requests[0], metadata=metadata) if inward == "unary" else stub(metadata=metadata)
    frames: list[bytes] = []
    code, message, details = "OK", "", b""
    try:
        async with asyncio.timeout(ANSWERED_S):
            if inward == "stream":
                await _write(running, requests, ends=outward == "unary")
            if outward == "unary":
                frames.append(await running)
            else:
                await _read(running, frames, quiet_s)
    except grpc.aio.AioRpcError as error:
        code, message = error.code().name, str(error.details())
        details = bytes(dict(error.trailing_metadata() or ()).get(DETAILS, b""))
    finally:
        running.cancel()
    return Answer(code, message, details, tuple(frames), method.response)


def _channel(caller: Caller) -> grpc.aio.Channel:
    address = caller.suite.grpc_address
    if address not in _channels:
        _channels[address] = grpc.aio.insecure_channel(address)
    return _channels[address]


async def _write(running: Any, requests: Sequence[Any], *, ends: bool) -> None:
    """Send the messages of a stream, as far as it takes them."""
    try:
        for request in requests:
            await running.write(request)
        if ends:
            await running.done_writing()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        # It was refused before; the answer says so.
        return


async def _read(running: Any, frames: list[bytes], quiet_s: float) -> None:
    """Read a stream until it ends or is quiet."""
    while len(frames) < FRAMES_MAX:
        reading = asyncio.ensure_future(running.read())
        await asyncio.wait({reading}, timeout=quiet_s)
        if not reading.done():
            running.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            return
        frame = reading.result()
        if frame is grpc.aio.EOF:
            # A refusal is the end of a stream, too.
            if await running.code() is not grpc.StatusCode.OK:
                await _raise_end(running)
            return
        frames.append(frame)


async def _raise_end(running: Any) -> None:
    raise grpc.aio.AioRpcError(
        await running.code(),
        await running.initial_metadata(),
        await running.trailing_metadata(),
        await running.details(),
    )


def _timeless(kind: type[Message] | None, frames: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the frames without times and counters; those of a stream as one message."""
    if kind is None:
        return tuple(COUNTED.sub(b"", frame) for frame in frames)
    message = kind.FromString(b"".join(frames))
    _clear_times(message)
    return (message.SerializeToString(deterministic=True),)


def _clear_times(message: Message) -> None:
    for field, value in message.ListFields():
        if field.name.endswith(("_us", "_ms")) or field.name in COUNTERS:
            message.ClearField(field.name)
        elif field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        else:
            for each in value if field.is_repeated else (value,):
                _clear_times(each)
            if field.is_repeated:
                value.sort(key=lambda each: each.SerializeToString(deterministic=True))


async def rest(
    caller: Caller, session: aiohttp.ClientSession, method: str, path: str, **options: Any
) -> Answer:
    """Send a request; the answer has its status, its headers and the beginning of its body."""
    url = f"{caller.suite.http_url}{path}"
    headers = dict(options.pop("headers", {}))
    if caller.credential:
        headers["authorization"] = f"Bearer {caller.credential}"
    body = b""
    async with session.request(method, url, headers=headers, **options) as response:
        try:
            async with asyncio.timeout(QUIET_S):
                async for chunk in response.content.iter_any():
                    body += chunk
        except TimeoutError:
            pass
        kept = {k: v for k, v in response.headers.items() if k.lower() not in CHANGING_HEADERS}
        return Answer(str(response.status), repr(sorted(kept.items())), b"", (body,))


async def socket(
    caller: Caller, session: aiohttp.ClientSession, path: str, **options: Any
) -> Answer:
    """Open a WebSocket; the answer has the status of its opening, and its first messages."""
    url = f"{caller.suite.http_url}{path}"
    protocols = (f"flowmesh.bearer.{caller.credential}",) if caller.credential else ()
    frames: list[bytes] = []
    try:
        async with session.ws_connect(url, protocols=protocols, **options) as opened:
            while len(frames) < FRAMES_MAX:
                frames.append(str(await opened.receive_str(timeout=QUIET_S)).encode())
    except aiohttp.WSServerHandshakeError as refused:
        return Answer(str(refused.status), refused.message)
    except (TimeoutError, aiohttp.WSMessageTypeError):
        pass
    return Answer("101", frames=tuple(frames))
