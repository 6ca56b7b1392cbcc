"""The message broker as one object: declare, bind, publish, subscribe."""

import asyncio
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.errors import NotFound
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.client.parts.messages import position, raise_refusal
from flowmesh.sdk.messaging.subscription import MessageHandler, Subscription, hello_of
from flowmesh.sdk.values.messages import (
    ExchangeType,
    HeaderValue,
    Message,
    Outgoing,
    PublishOutcome,
    Ttl,
)

T = TypeVar("T")
CONCURRENCY = 10
WITHIN_S = 0.2


class MessageBroker:
    """`broker = MessageBroker()`; connects to FLOWMESH_ADDRESS, or uses a client.

    Publishing to an unknown exchange declares it as a durable topic exchange, and subscribing to an
    unknown queue declares it, both with a warning; `strict=True` refuses instead.
    """

    def __init__(self, client: Client | str = "", *, strict: bool = False) -> None:
        self._own = None if isinstance(client, Client) else Client(client)
        self.client = client if isinstance(client, Client) else self._own or Client()
        self._strict = strict
        self._subscriptions: list[Subscription] = []
        self._batch: list[tuple[str, Outgoing]] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the subscriptions, whose running handlers have 5 s, and disconnect."""
        subscriptions, self._subscriptions = self._subscriptions, []
        await asyncio.gather(*(each.close() for each in subscriptions))
        if self._own is not None:
            await self._own.close()

    async def declare_queue(
        self,
        name: str,
        max_size: int = 0,
        durable: bool = True,
        dead_letter_queue: str | bool | None = None,
        **options: Any,
    ) -> bool:
        """Declare a queue; further options are those of `client.broker.declare_queue`."""
        return await self.client.broker.declare_queue(
            name,
            max_size=max_size,
            durable=durable,
            dead_letter_queue=dead_letter_queue,
            **options,
        )

    async def declare_exchange(
        self, name: str, type: ExchangeType = "topic", *, alternate: str = ""
    ) -> bool:
        """Declare an exchange; return False if it exists already."""
        return await self.client.broker.declare_exchange(name, type, alternate=alternate)

    async def bind(self, queue: str, exchange: str, key: str = "", **options: Any) -> bool:
        """Bind a queue to an exchange; options are those of `client.broker.bind`."""
        return await self.client.broker.bind(queue, exchange, key, **options)

    async def publish(
        self,
        body: Json,
        routing_key: str = "",
        exchange: str = "",
        *,
        headers: Mapping[str, HeaderValue] | None = None,
        priority: int = 0,
        ttl: Ttl = None,
        delay: Ttl = None,
        id: str = "",
        mandatory: bool = False,
    ) -> PublishOutcome | None:
        """Publish a message; it is stored once this returns. Inside `batch()` it returns None.

        With `delay`, in seconds, its queues get it later.
        """
        message = Outgoing(
            body=body,
            routing_key=routing_key,
            headers=headers or {},
            priority=priority,
            ttl=ttl,
            delay=delay,
            id=id,
        )
        if self._batch is not None:
            self._batch.append((exchange, message))
            return None
        return await self._ensured(
            exchange, lambda: self.client.messages.publish_one(message, exchange, mandatory)
        )

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """Collect the messages published inside the block, and publish them at its end.

        Raises the first refusal, after all messages were sent.
        """
        collected: list[tuple[str, Outgoing]] = []
        self._batch = collected
        try:
            yield
        finally:
            self._batch = None
        by_exchange: dict[str, list[Outgoing]] = {}
        for exchange, message in collected:
            by_exchange.setdefault(exchange, []).append(message)
        outcomes = [
            outcome
            for exchange, messages in by_exchange.items()
            for outcome in await self._publish(messages, exchange)
        ]
        for outcome in outcomes:
            raise_refusal(outcome)

    def subscribe(
        self,
        queue: str,
        handler: MessageHandler,
        *,
        concurrency: int = CONCURRENCY,
        group: str = "",
        start: pb.Position | None = None,
    ) -> Subscription:
        """Call `handler(body)` or `handler(body, message)` for each message, in the background.

        Returning acknowledges, an exception asks for another attempt, `Reject` makes the message a
        dead letter. `group` names the group of a stream.
        """

        async def prepare() -> None:
            if not self._strict and not group:
                await self._ensure_queue(queue)

        subscription = Subscription(
            caller=self.client.caller,
            hello=hello_of(
                namespace=self.client.namespace,
                queue=queue,
                group=group,
                credit=concurrency,
                version=self.client.broker.version,
                start=start or position(),
                consumer=uuid.uuid4().hex,
            ),
            received=self.client.messages.received,
            handler=handler,
            prepare=prepare,
        )
        self._subscriptions.append(subscription)
        return subscription

    async def batches(
        self, queue: str, size: int, *, within: float = WITHIN_S, group: str = ""
    ) -> AsyncIterator[tuple[Message, ...]]:
        """Yield batches of at most `size` messages, collected for at most `within` seconds.

        A batch is acknowledged when the next one is requested; leaving the loop early returns the
        last batch for another attempt.
        """
        while True:
            found = await self._collect(queue, size, within, group)
            try:
                yield found
            except BaseException:
                await self.client.messages.nack(*found)
                raise
            await self.client.messages.ack(*found)

    async def _collect(
        self, queue: str, size: int, within: float, group: str
    ) -> tuple[Message, ...]:
        receive = self.client.messages.receive
        found: tuple[Message, ...] = ()
        while not found:
            found = await receive(queue, size, wait=5.0, group=group)
        until = asyncio.get_running_loop().time() + within
        while (left := size - len(found)) > 0:
            wait = until - asyncio.get_running_loop().time()
            if wait <= 0:
                break
            found += await receive(queue, left, wait=wait, group=group)
        return found

    async def _publish(
        self, messages: list[Outgoing], exchange: str, *, mandatory: bool = False
    ) -> tuple[PublishOutcome, ...]:
        publish = self.client.messages.publish_many
        return await self._ensured(
            exchange, lambda: publish(messages, exchange, mandatory=mandatory)
        )

    async def _ensured(self, exchange: str, publish: Callable[[], Awaitable[T]]) -> T:
        """Publish; declare a missing exchange and publish again."""
        try:
            return await publish()
        except NotFound as error:
            if self._strict or error.reason != "EXCHANGE_NOT_FOUND":
                raise
        warnings.warn(
            f"exchange {exchange!r} does not exist and is declared as a topic exchange",
            stacklevel=4,
        )
        await self.declare_exchange(exchange, "topic")
        return await publish()

    async def _ensure_queue(self, name: str) -> None:
        try:
            await self.client.broker.queue(name)
        except NotFound:
            text = f"queue {name!r} does not exist and is declared as a durable queue"
            warnings.warn(text, stacklevel=3)
            await self.declare_queue(name)
