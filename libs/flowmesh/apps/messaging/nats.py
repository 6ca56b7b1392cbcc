"""A broker over NATS: core, or JetStream where a stream is given."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flowmesh.apps.http.messages import json_or_text
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.delivery import DELIVERY_S, Delivery
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

CONNECT_S = 5
PENDING_MAX = 1_000
FETCH_S = 1.0
REDELIVER_S = (0.5, 2.0, 5.0)
KEY_HEADER = "fm-key"
_ID_HEADER = "Nats-Msg-Id"


class NatsBroker:
    """Topics are subjects. A stream is created if it is missing, and takes new topics."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        delivery: Delivery,
        stream: str = "",
        durable: str = "",
        queue: str = "",
        credentials: Path | None = None,
        prefix: str = "",
        kept_s: float = 0.0,
    ) -> None:
        """A stream that this broker creates keeps messages for `kept_s`; 0 keeps them."""
        self._name = name
        self._url = url
        self.delivery = delivery
        self._stream = stream
        self._durable = durable or name
        self._queue = queue
        self._credentials = credentials
        self._prefix = prefix
        self._kept_s = kept_s
        self._subscriptions: list[Subscribed] = []
        self._connection: Any = None
        self._js: Any = None
        self._core: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def subscribe(self, subscription: Subscribed) -> None:
        check_pattern(subscription.topic)
        self._subscriptions.append(subscription)

    async def start(self) -> None:
        import nats
        from nats.errors import Error

        options: dict[str, Any] = {}
        if self._credentials is not None:
            options["user_credentials"] = str(self._credentials)
        try:
            # Lost connections are restored for ever; the first one has its time.
            async with asyncio.timeout(CONNECT_S):
                self._connection = await nats.connect(
                    self._url,
                    name=self._name,
                    connect_timeout=CONNECT_S,
                    max_reconnect_attempts=-1,
                    error_cb=_quiet,
                    **options,
                )
        except (Error, OSError, TimeoutError, ValueError) as error:
            text = f"{self._name}: no connection to NATS: {type(error).__name__}"
            raise Unavailable("BROKER_UNAVAILABLE", text) from None
        if self._stream:
            self._js = self._connection.jetstream()
            await self._cover([self._subject(each.topic) for each in self._subscriptions])

    async def open(self) -> None:
        self._closing.clear()
        for each in self._subscriptions:
            if self._js is not None:
                self._tasks.append(asyncio.create_task(self._pull(each)))
                continue
            self._core.append(
                await self._connection.subscribe(
                    self._subject(each.topic),
                    queue=self._queue,
                    cb=self._receiver(each),
                    pending_msgs_limit=PENDING_MAX * 64,
                )
            )
        if self._core:
            await self._connection.flush()

    async def publish(
        self, topic: str, value: Json, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> str:
        from nats.errors import Error
        from nats.js.errors import NoStreamResponseError

        subject, body, id = self._subject(check_topic(topic)), encoded(value), new_id()
        given = {**(headers or {}), _ID_HEADER: id, **({KEY_HEADER: key} if key else {})}
        if self._connection is None:
            raise HttpProblem(503, "BROKER_UNAVAILABLE", f"{self._name} is closed")
        try:
            if self._js is None:
                await self._connection.publish(subject, body, headers=given)
                return id
            try:
                await self._js.publish(subject, body, headers=given)
            except NoStreamResponseError:
                await self._cover([subject])
                await self._js.publish(subject, body, headers=given)
        except (Error, OSError, TimeoutError) as error:
            text = f"{self._name}: NATS did not take the message: {type(error).__name__}"
            raise HttpProblem(503, "BROKER_UNAVAILABLE", text) from None
        return id

    async def close(self) -> None:
        from nats.errors import Error

        for each in self._core:
            with contextlib.suppress(Error):
                await each.drain()
        self._core.clear()
        # A fetch in progress is left to end: a message that reaches a receiver that has gone
        # waits for the end of its lease at the server.
        self._closing.set()
        if ending := {*self._tasks, *self._running}:
            await asyncio.wait(ending, timeout=DELIVERY_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def stop(self) -> None:
        from nats.errors import Error

        if self._connection is not None:
            with contextlib.suppress(Error, TimeoutError, OSError):
                await self._connection.flush(2)
            await self._connection.close()
            self._connection = None

    async def health(self) -> str:
        connected = self._connection is not None and self._connection.is_connected
        return "" if connected else f"{self._name}: no connection to NATS"

    def _subject(self, topic: str) -> str:
        return f"{self._prefix}{topic}"

    async def _cover(self, subjects: list[str]) -> None:
        """Create the stream, or add the subjects that it lacks."""
        from nats.errors import Error
        from nats.js.errors import NotFoundError

        try:
            found = await self._js.stream_info(self._stream)
        except NotFoundError:
            covered = sorted(set(subjects)) or ["_"]
            age_s = self._kept_s or None
            await self._js.add_stream(name=self._stream, subjects=covered, max_age=age_s)
            return
        except (Error, OSError, TimeoutError) as error:
            text = f"{self._name}: NATS has no JetStream: {type(error).__name__}"
            raise Unavailable("BROKER_UNAVAILABLE", text) from None
        present = list(found.config.subjects or [])
        wanted = [s for s in subjects if not any(_covers(p, s) for p in present)]
        aged = bool(self._kept_s) and found.config.max_age != self._kept_s
        if aged:
            found.config.max_age = self._kept_s
        if wanted or aged:
            left = [p for p in present if not any(_covers(s, p) for s in wanted)]
            found.config.subjects = sorted({*left, *wanted})
            await self._js.update_stream(found.config)

    def _receiver(self, subscription: Subscribed) -> Callable[[Any], Any]:
        async def receive(raw: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            await self.delivery.until_dead(subscription, self._message(raw, 1))

        return receive

    async def _pull(self, subscription: Subscribed) -> None:
        """Fetch, deliver and acknowledge; unacknowledged messages are redelivered."""
        from nats.errors import Error
        from nats.errors import TimeoutError as NoMessages

        durable = f"{self._durable}-{subscription.name}".replace(".", "_").replace("*", "any")
        source: Any = None
        while not self._closing.is_set():
            try:
                if source is None:
                    source = await self._js.pull_subscribe(
                        self._subject(subscription.topic),
                        durable=durable.replace(">", "all").replace(" ", "_"),
                        stream=self._stream,
                    )
                found = await source.fetch(subscription.concurrency, timeout=FETCH_S)
            except NoMessages:
                continue
            except (Error, OSError):
                source = None
                await asyncio.sleep(FETCH_S)
                continue
            tasks = [asyncio.create_task(self._settle(subscription, each)) for each in found]
            self._running.update(tasks)
            for task in tasks:
                task.add_done_callback(self._running.discard)
            await asyncio.wait(tasks)

    async def _settle(self, subscription: Subscribed, raw: Any) -> None:
        from nats.errors import Error

        attempt = raw.metadata.num_delivered
        message = self._message(raw, attempt)
        if attempt > self.delivery.attempts:
            self.delivery.bury(subscription, message, "delivered too often without an answer")
            await raw.term()
            return
        beat = asyncio.create_task(_in_progress(raw))
        try:
            reason = await self.delivery.once(subscription, message)
        finally:
            beat.cancel()
        with contextlib.suppress(Error):
            if not reason:
                await raw.ack_sync()
            elif attempt >= self.delivery.attempts:
                self.delivery.bury(subscription, message, reason)
                await raw.term()
            else:
                await raw.nak(delay=REDELIVER_S[min(attempt, len(REDELIVER_S)) - 1])

    def _message(self, raw: Any, attempt: int) -> Message:
        headers = dict(raw.headers or {})
        return Message(
            topic=raw.subject.removeprefix(self._prefix),
            value=json_or_text(raw.data),
            id=headers.pop(_ID_HEADER, ""),
            key=headers.pop(KEY_HEADER, ""),
            headers=headers,
            attempt=attempt,
        )


async def _in_progress(raw: Any) -> None:
    while True:
        await asyncio.sleep(10)
        await raw.in_progress()


async def _quiet(_error: Exception) -> None:
    """Leave errors of the connection to the health check; the client reconnects automatically."""


def _covers(pattern: str, subject: str) -> bool:
    from flowmesh.apps.messaging.messages import fits

    return pattern == subject or fits(pattern, subject)
