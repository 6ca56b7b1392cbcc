"""A subscription: a stream of deliveries whose handler runs here, with reconnects."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import grpc

from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.api.broker.v1 import message_service_pb2_grpc as rpc
from flowmesh.errors import Invalid
from flowmesh.sdk.transport.calls import Caller
from flowmesh.sdk.transport.duplex import StreamBroken, converse
from flowmesh.sdk.transport.reconnect import Reconnect
from flowmesh.sdk.values.messages import Message, Reject

_log = logging.getLogger("flowmesh.sdk")
MessageHandler = Callable[..., Any]
"""`handler(body)` or `handler(body, message)`, async or not."""

EXTEND_EVERY_S = 1.0
ERROR_CHARACTERS_MAX = 1_000
CLOSE_S = 5.0


class Subscription:
    """Calls a handler for each message of a queue, at most `concurrency` at a time.

    Returning acknowledges the message, an exception returns it for another attempt, and `Reject`
    makes it a dead letter. The visibility timeout of a running handler is extended.
    """

    def __init__(
        self,
        *,
        caller: Caller,
        hello: pb.ConsumeHello,
        received: Callable[[str, pb.Delivery], Awaitable[Message]],
        handler: MessageHandler,
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        self.queue = hello.queue
        self._caller = caller
        self._stub = rpc.MessageServiceStub(caller.channel)
        self._hello = hello
        self._received = received
        self._handler = handler
        self._takes_message = _takes_message(handler)
        self._prepare = prepare
        self._connection = 0
        self._running: dict[int, tuple[asyncio.Task[None], pb.Delivery, float]] = {}
        self._frame = pb.ConsumeRequest()
        # Deliveries whose settlement the server has not confirmed.
        self._settling: set[int] = set()
        self._all_settled = asyncio.Event()
        self._all_settled.set()
        self._wake = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._runner = asyncio.create_task(self._run(), name=f"flowmesh-consume-{self.queue}")
        self._runner.add_done_callback(self._ended)

    async def ready(self) -> None:
        """Wait until messages are requested; raise the refusal of the server."""
        waiter = asyncio.create_task(self._subscribed.wait())
        try:
            await asyncio.wait((waiter, self._runner), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        if self._runner.done() and not self._runner.cancelled():
            self._runner.result()

    async def close(self) -> None:
        """Stop: running handlers have 5 s to end, the others are delivered again."""
        if not self._runner.done():
            self._frame.credit = 0
            self._wake.set()
            tasks = [task for task, _, _ in self._running.values()]
            if tasks:
                await asyncio.wait(tasks, timeout=CLOSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._all_settled.wait()
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)

    def _ended(self, runner: "asyncio.Task[None]") -> None:
        for task, _, _ in self._running.values():
            task.cancel()
        if not runner.cancelled() and (error := runner.exception()) is not None:
            _log.error("the subscription of queue %s ended: %s", self.queue, error)

    async def _run(self) -> None:
        await self._prepare()
        reconnect = Reconnect(self._caller, asyncio.get_running_loop().time)

        def receive(response: pb.ConsumeResponse) -> bool:
            reconnect.connected()
            self._receive(response)
            return True

        while True:
            try:
                await reconnect.opening()
                self._restart()
                stream = self._stub.Consume()
                await converse(stream, receive, self._write(stream), self._extend())
            except grpc.aio.AioRpcError as error:
                await reconnect.broken(error)
            except StreamBroken:
                return  # the client was closed
            reconnect.ended()
            if reconnect.hopeless:
                raise reconnect.error()
            await reconnect.pause()

    def _restart(self) -> None:
        """Forget deliveries of a broken stream, which are delivered again."""
        self._connection += 1
        for task, _, _ in self._running.values():
            task.cancel()
        self._running.clear()
        self._confirmed(list(self._settling))
        self._frame = pb.ConsumeRequest(hello=self._hello)
        self._wake.set()

    async def _write(self, stream: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            frame, self._frame = self._frame, pb.ConsumeRequest()
            if frame.ByteSize():
                await stream.write(frame)

    async def _extend(self) -> None:
        """Extend the visibility of handlers that have used half of it."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(EXTEND_EVERY_S)
            for number, (task, delivery, due) in list(self._running.items()):
                if clock() >= due:
                    self._frame.extends.append(number)
                    self._running[number] = (task, delivery, clock() + self._half_s(delivery))
                    self._wake.set()

    def _half_s(self, delivery: pb.Delivery) -> float:
        return float(delivery.visible_ms) / 2_000

    def _receive(self, response: pb.ConsumeResponse) -> None:
        if response.subscribed:
            self._subscribed.set()
        self._confirmed((*response.settled, *response.stale))
        clock = asyncio.get_running_loop().time
        for delivery in response.deliveries:
            task = asyncio.create_task(self._handle(delivery, self._connection))
            due = clock() + self._half_s(delivery)
            self._running[delivery.delivery] = (task, delivery, due)

    def _confirmed(self, numbers: Iterable[int]) -> None:
        self._settling.difference_update(numbers)
        if not self._settling:
            self._all_settled.set()

    async def _handle(self, delivery: pb.Delivery, connection: int) -> None:
        number = delivery.delivery
        nack: pb.Nack | None = None
        try:
            await self._call(await self._received(self.queue, delivery))
        except Reject as error:
            nack = pb.Nack(delivery=number, reject=True, error=_text(error, str(error)))
        except Exception as error:  # noqa: BLE001 any failure of a handler is an attempt
            text = f"{type(error).__name__}: {error}"
            id = delivery.message.message_id
            _log.warning("message %s of queue %s failed: %s", id, self.queue, text)
            nack = pb.Nack(delivery=number, error=_text(error, text))
        if connection != self._connection:
            return
        self._running.pop(number, None)
        self._settling.add(number)
        self._all_settled.clear()
        if nack is None:
            self._frame.acks.append(number)
        else:
            self._frame.nacks.append(nack)
        self._wake.set()

    async def _call(self, message: Message) -> None:
        arguments = (message.body, message) if self._takes_message else (message.body,)
        if inspect.iscoroutinefunction(self._handler):
            await self._handler(*arguments)
            return
        outcome = await asyncio.to_thread(self._handler, *arguments)
        if inspect.isawaitable(outcome):
            await outcome


def _takes_message(handler: MessageHandler) -> bool:
    """Return whether a handler has a second parameter. Raises Invalid for what cannot be called."""
    if not callable(handler):
        raise Invalid("REQUEST_INVALID", "the handler of a subscription is not callable")
    try:
        parameters = inspect.signature(handler).parameters.values()
    except ValueError:
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [each for each in parameters if each.kind in kinds and each.default is each.empty]
    if len(required) > 2:
        raise Invalid("REQUEST_INVALID", "a handler takes the body, or the body and the message")
    return len(required) == 2


def _text(error: BaseException, text: str) -> str:
    shown = text or type(error).__name__
    return shown[:ERROR_CHARACTERS_MAX]


def hello_of(
    *,
    namespace: str,
    queue: str,
    group: str,
    credit: int,
    version: int,
    start: pb.Position,
    consumer: str,
) -> pb.ConsumeHello:
    return pb.ConsumeHello(
        namespace=namespace,
        queue=queue,
        group=group,
        credit=credit,
        topology_version=version,
        start=start,
        consumer_id=consumer,
    )
