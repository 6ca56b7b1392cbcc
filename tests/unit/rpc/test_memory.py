"""A call that is over keeps nothing, long before the cycle collector comes by."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import grpc.aio
import pytest

from flowmesh.errors import FlowmeshError, NotFound
from flowmesh.rpc import Handlers, LocalTarget, RemoteTarget, channel_to
from flowmesh.rpc.scope import enter_call, timeout_within
from flowmesh.rpc.status import STREAM_ENDED
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import until

SERVICE = "test.Refusing"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
CALLS = 5


class Request:
    """A request that tells when it is gone; a message cannot."""

    alive: ClassVar[weakref.WeakSet["Request"]] = weakref.WeakSet()

    def __init__(self, _data: bytes = b"") -> None:
        self.alive.add(self)


async def _refuse_one(request: Any, _context: Any) -> bytes:
    raise NotFound("NOT_FOUND", "no")


async def _refuse_one_of_many(requests: AsyncIterator[Any], _context: Any) -> bytes:
    _first = await anext(requests)
    raise NotFound("NOT_FOUND", "no")


async def _refuse_after_one(request: Any, _context: Any) -> AsyncIterator[bytes]:
    yield b"one"
    raise NotFound("NOT_FOUND", "no")


async def _refuse_many(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[bytes]:
    _first = await anext(requests)
    yield b"one"
    raise NotFound("NOT_FOUND", "no")


BEHAVIOURS: dict[str, Callable[..., Any]] = dict(
    zip(
        KINDS,
        (_refuse_one, _refuse_after_one, _refuse_one_of_many, _refuse_many),
        strict=True,
    )
)


@asynccontextmanager
async def _target(where: str) -> AsyncIterator[LocalTarget | RemoteTarget]:
    handlers = Handlers(Metrics())
    handlers.add_registered_method_handlers(
        SERVICE,
        {
            kind: getattr(grpc, f"{kind}_rpc_method_handler")(
                behaviour, request_deserializer=Request, response_serializer=bytes
            )
            for kind, behaviour in BEHAVIOURS.items()
        },
    )
    if where == "local":
        yield LocalTarget(handlers)
        return
    server = grpc.aio.server()
    handlers.install(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    target = RemoteTarget(f"127.0.0.1:{port}")
    yield target
    await target.close()
    await server.stop(None)


async def _refused(channel: Any, kind: str, where: str) -> None:
    request: Any = Request() if where == "local" else b""

    async def requests() -> AsyncIterator[Any]:
        yield request
        yield request

    call = getattr(channel, kind)(f"/{SERVICE}/{kind}")
    given = requests() if kind.startswith("stream") else request
    # The second request may come after the refusal, which grpc.aio forgets then.
    with pytest.raises(FlowmeshError, match=f"no|{STREAM_ENDED}"):
        await (_to_the_end(call(given)) if kind.endswith("stream") else call(given))


async def _to_the_end(responses: AsyncIterator[Any]) -> None:
    async for _ in responses:
        pass


@pytest.mark.parametrize(
    ("where", "kind"), [("local", "unary_unary"), *(("remote", kind) for kind in KINDS)]
)
async def test_a_refused_request_is_released(no_collector: None, where: str, kind: str) -> None:
    """Whatever its kind; a hostile client could otherwise fill the memory with them."""
    async with _target(where) as target:
        for _ in range(CALLS):
            await _refused(channel_to(target), kind, where)

        async def gone() -> bool:
            return not Request.alive

        await until("let go", gone, within_s=5)


async def test_the_task_of_a_call_goes_with_its_end(no_collector: None) -> None:
    """Its deadline is known in the context that the task itself holds."""

    async def serve() -> None:
        enter_call((), 1.0)
        assert timeout_within(None) is not None

    async def is_gone() -> bool:
        return gone() is None

    task = asyncio.create_task(serve())
    gone = weakref.ref(task)
    await task
    del task
    await until("gone", is_gone, within_s=1.0)
