"""A broker over one stream in Redis; each subscription is a group of consumers."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any

import orjson

from flowmesh.apps.http.messages import json_or_text
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
from flowmesh.errors import Unavailable

BLOCK_MS = 1_000
READ_MAX = 64
# A message that a consumer has not acknowledged for this time is taken over by another.
TAKE_OVER_MS = 60_000


class RedisBroker:
    """Messages in a bounded stream; those of a consumer that died are taken over."""

    def __init__(
        self,
        *,
        name: str,
        app: str,
        url: str,
        delivery: Delivery,
        messages_max: int,
        kept_s: float = 0.0,
    ) -> None:
        """Messages are removed `kept_s` after they were published; 0 bounds their number alone."""
        self._name = name
        self._app = app
        self._url = url
        self._stream = f"fm:apps:{app}:{name}"
        self._max = messages_max
        self._kept_s = kept_s
        self.delivery = delivery
        self._consumer = new_id()
        self._subscriptions: list[Subscribed] = []
        self._redis: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    def subscribe(self, subscription: Subscribed) -> None:
        check_pattern(subscription.topic)
        self._subscriptions.append(subscription)

    async def start(self) -> None:
        from redis.asyncio import Redis
        from redis.exceptions import RedisError, ResponseError

        self._redis = Redis.from_url(self._url, socket_connect_timeout=5)
        try:
            for each in self._subscriptions:
                try:
                    await self._redis.xgroup_create(self._stream, each.name, "$", mkstream=True)
                except ResponseError as error:
                    if "BUSYGROUP" not in str(error):
                        raise
            await self._redis.ping()
        except (RedisError, OSError) as error:
            await self._redis.aclose()
            self._redis = None
            text = f"{self._name}: no connection to Redis: {type(error).__name__}"
            raise Unavailable("BROKER_UNAVAILABLE", text) from None

    async def open(self) -> None:
        self._tasks = [asyncio.create_task(self._consume(each)) for each in self._subscriptions]

    async def publish(
        self, topic: str, value: Json, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> str:
        from redis.exceptions import RedisError

        id = new_id()
        fields = {
            "topic": check_topic(topic),
            "value": encoded(value),
            "id": id,
            "key": key,
            "headers": orjson.dumps(dict(headers or {})),
        }
        if self._redis is None:
            raise HttpProblem(503, "BROKER_UNAVAILABLE", f"{self._name} is closed")
        try:
            await self._redis.xadd(self._stream, fields, maxlen=self._max, approximate=True)
            if self._kept_s:
                oldest = int((time.time() - self._kept_s) * 1_000)
                await self._redis.xtrim(self._stream, minid=oldest, approximate=False)
        except (RedisError, OSError) as error:
            text = f"{self._name}: Redis did not take the message: {type(error).__name__}"
            raise HttpProblem(503, "BROKER_UNAVAILABLE", text) from None
        return id

    async def close(self) -> None:
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks)
            self._tasks.clear()

    async def stop(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()
            self._redis = None

    async def health(self) -> str:
        from redis.exceptions import RedisError

        with contextlib.suppress(RedisError, OSError, AttributeError):
            await self._redis.ping()
            return ""
        return f"{self._name}: no connection to Redis"

    async def _consume(self, subscription: Subscribed) -> None:
        from redis.exceptions import RedisError

        taken_at = 0.0
        while not self._closing:
            try:
                if time.monotonic() - taken_at > TAKE_OVER_MS / 2_000:
                    taken_at = time.monotonic()
                    left = await self._redis.xautoclaim(
                        self._stream, subscription.name, self._consumer, TAKE_OVER_MS
                    )
                    await self._handle(subscription, left[1])
                found = await self._redis.xreadgroup(
                    subscription.name,
                    self._consumer,
                    {self._stream: ">"},
                    count=READ_MAX,
                    block=BLOCK_MS,
                )
                for _, entries in found:
                    await self._handle(subscription, entries)
            except (RedisError, OSError):
                await asyncio.sleep(1)

    async def _handle(self, subscription: Subscribed, entries: list[Any]) -> None:
        """Deliver entries in order and acknowledge each, also one that became a dead letter."""
        for number, raw in entries:
            if raw:
                message = _message(raw)
                if subscription.takes(message.topic):
                    await self.delivery.until_dead(subscription, message)
            await self._redis.xack(self._stream, subscription.name, number)


def _message(raw: Mapping[bytes, bytes]) -> Message:
    return Message(
        topic=raw[b"topic"].decode(),
        value=json_or_text(raw[b"value"]),
        id=raw[b"id"].decode(),
        key=raw[b"key"].decode(),
        headers=orjson.loads(raw[b"headers"]),
    )
