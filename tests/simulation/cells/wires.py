"""Calls to the gateways of the simulated cells: of gRPC by method, of HTTP by URL."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, Self

import aiohttp
import grpc
import grpc.aio
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import Default

from flowmesh.errors import FlowmeshError
from flowmesh.rpc.status import abort
from tests.simulation.servers.loop import elapsed

if TYPE_CHECKING:
    from tests.simulation.cells.gateway import Gateway
    from tests.simulation.cells.world import CellWorld

CALL_TIMEOUT_S = 10.0
NOTICE_S = 0.002
"""After this a client notices that a gateway is gone."""


@cache
def classes_of(path: str) -> tuple[Any, Any]:
    """Return the classes of the request and the answer of a method."""
    service, _, name = path.lstrip("/").rpartition("/")
    method = Default().FindServiceByName(service).methods_by_name[name]
    of = message_factory.GetMessageClass
    return of(method.input_type), of(method.output_type)


class _Aborted(Exception):
    """A call that its server ended with an error."""


class ServerContext:
    """The context of a call as a gateway sees it."""

    def __init__(self, metadata: Any, loop: asyncio.AbstractEventLoop, until: float) -> None:
        self._metadata = tuple(metadata or ())
        self._loop, self._until = loop, until
        self.initial: tuple[tuple[str, str], ...] = ()

    def invocation_metadata(self) -> Any:
        return self._metadata

    def time_remaining(self) -> float:
        return max(0.0, self._until - self._loop.time())

    async def send_initial_metadata(self, metadata: Any) -> None:
        self.initial = tuple(metadata)

    async def abort(self, code: grpc.StatusCode, details: str, trailing: Any = ()) -> NoReturn:
        raise _Aborted(code, details, trailing)


class Call:
    """A call with one answer, as its client holds it."""

    def __init__(
        self, world: "CellWorld", address: str, path: str, data: Any, timeout_s: float, meta: Any
    ) -> None:
        self._world, self._path = world, path
        loop = world.loop
        self._context = ServerContext(meta, loop, loop.time() + timeout_s)
        self._answer: asyncio.Future[Any] = loop.create_future()
        request_class = classes_of(path)[0]
        content = data if isinstance(data, bytes) else data.SerializeToString()
        self._request = request_class.FromString(content)
        loop.outside(timeout_s, self._fail, grpc.StatusCode.DEADLINE_EXCEEDED, "")
        if world.loses_call():
            return
        loop.outside(world.latency(), self._arrive, address)

    def __await__(self) -> Any:
        return self._answer.__await__()

    async def initial_metadata(self) -> Any:
        await asyncio.wait([self._answer])
        return self._context.initial

    def done(self) -> bool:
        return self._answer.done()

    async def code(self) -> grpc.StatusCode:
        error = self._answer.exception()
        return error.code() if isinstance(error, grpc.aio.AioRpcError) else grpc.StatusCode.OK

    def cancel(self) -> None:
        self._fail(grpc.StatusCode.CANCELLED, "")

    def _arrive(self, address: str) -> None:
        gateway = self._world.gateway_at(address)
        if gateway is None or not gateway.process.alive:
            self._gone()
            return
        gateway.process.on_death.append(lambda: self._world.loop.outside(NOTICE_S, self._gone))
        gateway.process.spawn(self._serve(gateway))

    def _gone(self) -> None:
        self._context.initial = ()
        self._fail(grpc.StatusCode.UNAVAILABLE, "")

    async def _serve(self, gateway: "Gateway") -> None:
        loop, context = self._world.loop, self._context
        try:
            try:
                answer = await gateway.serve(self._path, self._request, context)
            except FlowmeshError as error:
                await abort(context, error)  # type: ignore[arg-type]
        except _Aborted as ended:
            loop.outside(self._world.latency(), self._fail, *ended.args)
            return
        except Exception as error:  # noqa: BLE001 (no caller may see such an answer)
            loop.failures.append(f"{self._path} failed: {error!r}")
            return
        if not self._world.loses_call():
            loop.outside(self._world.latency(), self._succeed, answer)

    def _succeed(self, answer: Any) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)

    def _fail(self, code: grpc.StatusCode, details: str, trailing: Any = ()) -> None:
        if self._answer.done():
            return
        initial = grpc.aio.Metadata(*self._context.initial)
        ended = grpc.aio.Metadata(*trailing)
        self._answer.set_exception(grpc.aio.AioRpcError(code, initial, ended, details))
        # A client that is killed does not look.
        self._answer.exception()


class Channel:
    """The channel of a client to one address, or to another one with each call."""

    def __init__(self, world: "CellWorld", address: Callable[[], str]) -> None:
        self._world, self._address = world, address

    def unary_unary(self, path: str, *_: Any, **__: Any) -> Callable[..., Call]:
        def call(request: Any, *, timeout: float = CALL_TIMEOUT_S, metadata: Any = ()) -> Call:
            return Call(self._world, self._address(), path, request, timeout, metadata)

        return call

    unary_stream = stream_unary = stream_stream = unary_unary


class Target:
    """The connection of a gateway to the gateways of another cell."""

    def __init__(self, world: "CellWorld", address: str) -> None:
        self._channel = Channel(world, lambda: address)

    def callable(self, kind: str, path: str, _serialize: Any, _deserialize: Any) -> Any:
        return self._channel.unary_unary(path)

    async def close(self) -> None:
        return None


class Session:
    """Requests of HTTP to gateways, as far as a moving command makes them."""

    def __init__(self, world: "CellWorld") -> None:
        self._world = world

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def get(self, url: str, *, headers: dict[str, str]) -> "_Exchange":
        return _Exchange(self._world, "GET", url, headers)

    def post(self, url: str, *, headers: dict[str, str]) -> "_Exchange":
        return _Exchange(self._world, "POST", url, headers)


class _Exchange:
    """A request and the head of its answer."""

    def __init__(self, world: "CellWorld", method: str, url: str, headers: dict[str, str]) -> None:
        base, path = url[: url.index("/api")], url[url.index("/api") :]
        self._world, self._base = world, base
        self.status, self.headers = 0, dict[str, str]()
        self._answer: asyncio.Future[None] = world.loop.create_future()
        self._scope = {
            "type": "http",
            "method": method,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("198.51.100.1", 1),
        }

    async def __aenter__(self) -> Self:
        await elapsed(self._world.latency())
        gateway = self._world.gateway_at(self._base)
        if gateway is None or not gateway.process.alive:
            raise aiohttp.ClientConnectionError
        gateway.process.on_death.append(lambda: self._world.loop.outside(NOTICE_S, self._lost))
        gateway.process.spawn(gateway.http(self._scope, self._receive, self._send))
        await self._answer
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def _receive(self) -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                str(name, "latin-1"): str(value, "latin-1") for name, value in message["headers"]
            }
            self._world.loop.outside(self._world.latency(), self._arrived)

    def _arrived(self) -> None:
        if not self._answer.done():
            self._answer.set_result(None)

    def _lost(self) -> None:
        if not self._answer.done():
            self._answer.set_exception(aiohttp.ClientConnectionError())
            self._answer.exception()
