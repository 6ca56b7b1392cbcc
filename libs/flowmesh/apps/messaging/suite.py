"""A broker over the message broker of the suite: an exchange of topics, a queue a subscription."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from flowmesh.apps.document.expansion import ADDRESS
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.delivery import Delivery
from flowmesh.apps.messaging.messages import (
    Message,
    Subscribed,
    check_pattern,
    check_topic,
    encoded,
    new_id,
)
from flowmesh.contract.json_value import Json
from flowmesh.egress.connector import check_endpoint
from flowmesh.egress.errors import Unreachable
from flowmesh.egress.policy import Policy
from flowmesh.errors import FlowmeshError, Unavailable

_KEY = "app-key"
# Names that the broker and its users here keep for themselves travel behind a prefix.
_BEHIND = "app-"
_RESERVED = ("fm-", "nats-", _BEHIND)


def outgoing(headers: Mapping[str, str], key: str) -> dict[str, str]:
    """Return the headers of a message as the broker of the suite accepts them."""
    given = {
        f"{_BEHIND}{name}" if name.lower().startswith(_RESERVED) else name: value
        for name, value in headers.items()
    }
    return {**given, **({_KEY: key} if key else {})}


def incoming(headers: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """Return the headers of a message as they were published, and its key.

    Each name loses one prefix at most.
    """
    found = {str(name): str(value) for name, value in headers.items()}
    key = found.pop(_KEY, "")
    plain = {
        rest if (rest := name.removeprefix(_BEHIND)).lower().startswith(_RESERVED) else name: value
        for name, value in found.items()
    }
    return plain, key


def token_at(address: str) -> str | None:
    """Return the token for the suite at an address: None for that of the environment.

    A credential of the environment goes to the suite that is named there only.
    """
    named = os.environ.get(ADDRESS, "")
    return "" if address and named and address != named else None


class SuiteBroker:
    """Durable messages; a failed receiver gets its message again, by the rules of the queue.

    Without an address it takes the suite that the application is attached to; another one is
    within the egress policy.
    """

    def __init__(
        self,
        *,
        name: str,
        app: str,
        address: str,
        policy: Policy,
        delivery: Delivery,
        exchange: str = "",
    ) -> None:
        self._name = name
        self._app = app
        self._address = address
        self._policy = policy
        self._exchange = exchange or f"app.{app}"
        self.delivery = delivery
        self._subscriptions: list[Subscribed] = []
        self._broker: Any = None
        self._taking: list[Any] = []

    def subscribe(self, subscription: Subscribed) -> None:
        check_pattern(subscription.topic)
        self._subscriptions.append(subscription)

    async def start(self) -> None:
        if self._address:
            await self._check_address()
        from flowmesh.sdk.client.client import Client
        from flowmesh.sdk.messaging.broker import MessageBroker

        client = Client(self._address, token=token_at(self._address))
        self._broker = MessageBroker(client, strict=True)
        try:
            await self._broker.declare_exchange(self._exchange, "topic")
            for each in self._subscriptions:
                queue = self._queue(each)
                await self._broker.declare_queue(
                    queue, max_attempts=self.delivery.attempts, dead_letter_queue=True
                )
                key = each.topic.replace(">", "#")
                await self._broker.bind(queue, self._exchange, key)
        except FlowmeshError as error:
            await self._disconnect()
            text = f"{self._name}: the broker of the suite refused: {error.message}"
            raise Unavailable("BROKER_UNAVAILABLE", text) from None

    async def _disconnect(self) -> None:
        broker, self._broker = self._broker, None
        await broker.close()
        await broker.client.close()

    async def _check_address(self) -> None:
        """Raise EgressBlocked, and Unavailable for a host that cannot be resolved."""
        try:
            await asyncio.to_thread(check_endpoint, self._policy, self._address)
        except Unreachable as error:
            raise Unavailable("BROKER_UNAVAILABLE", f"{self._name}: {error}") from None

    async def open(self) -> None:
        for each in self._subscriptions:
            subscription = self._broker.subscribe(
                self._queue(each), self._receiver(each), concurrency=each.concurrency
            )
            self._taking.append(subscription)
            await subscription.ready()

    async def publish(
        self, topic: str, value: Json, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> str:
        encoded(value)
        id = new_id()
        if self._broker is None:
            raise HttpProblem(503, "BROKER_UNAVAILABLE", f"{self._name} is closed")
        given = outgoing(headers or {}, key)
        try:
            await self._broker.publish(
                value, check_topic(topic), self._exchange, headers=given, id=id
            )
        except FlowmeshError as error:
            text = f"{self._name}: the broker of the suite refused: {error.message}"
            raise HttpProblem(503, "BROKER_UNAVAILABLE", text) from None
        return id

    async def close(self) -> None:
        taking, self._taking = self._taking, []
        await asyncio.gather(*(each.close() for each in taking))

    async def stop(self) -> None:
        if self._broker is not None:
            await self._disconnect()

    async def health(self) -> str:
        return "" if self._broker is not None else f"{self._name} is closed"

    def _queue(self, subscription: Subscribed) -> str:
        return f"app.{self._app}.{subscription.name}"

    def _receiver(self, subscription: Subscribed) -> Any:
        async def receive(body: Json, raw: Any) -> None:
            headers, key = incoming(raw.headers)
            message = Message(raw.routing_key, body, raw.id, key, headers, raw.attempt)
            await subscription.receive(message)

        return receive
