"""The event bus of an application: one engine, or several by topic. Events are CloudEvents."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from flowmesh.apps.messaging.messages import Broker, Message, Subscribed, check_topic, fits
from flowmesh.contract.json_value import Json

CE_TYPE = "ce-type"


class EventBus:
    """A broker whose messages have the headers of CloudEvents; topics choose the engine."""

    def __init__(
        self,
        *,
        app: str,
        engines: Mapping[str, Broker],
        routing: Sequence[tuple[str, str]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._app = app
        self._engines = engines
        self._routing = routing
        self._default = next(iter(engines.values()))
        self._now = now
        self._interests: list[str] = []

    def subscribe(self, subscription: Subscribed) -> None:
        """Subscribe on every engine that topics of the pattern may go to."""
        self._interests.append(subscription.topic)
        for engine in self._of_pattern(subscription.topic):
            engine.subscribe(subscription)

    def wanted(self, topic: str) -> bool:
        """Return whether a subscription takes a topic."""
        return any(fits(each, topic) for each in self._interests)

    async def publish(
        self, topic: str, value: Json, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> str:
        given = dict(headers or {})
        kind = value.get("type") if isinstance(value, dict) else None
        given.setdefault("ce-specversion", "1.0")
        given.setdefault(CE_TYPE, kind if isinstance(kind, str) else topic)
        given.setdefault("ce-source", f"/apps/{self._app}")
        given.setdefault("ce-time", self._now().isoformat())
        return await self._of(check_topic(topic)).publish(topic, value, key=key, headers=given)

    async def start(self) -> None:
        for each in self._engines.values():
            await each.start()

    async def open(self) -> None:
        for each in self._engines.values():
            await each.open()

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self._engines.values()))

    async def stop(self) -> None:
        for each in self._engines.values():
            await each.stop()

    async def health(self) -> str:
        found = [await each.health() for each in self._engines.values()]
        return "; ".join(filter(None, found))

    def _of(self, topic: str) -> Broker:
        for pattern, engine in self._routing:
            if fits(pattern, topic):
                return self._engines[engine]
        return self._default

    def _of_pattern(self, pattern: str) -> list[Broker]:
        """Return the engine of a topic; all engines for a pattern with wildcards."""
        if "*" not in pattern and ">" not in pattern:
            return [self._of(pattern)]
        return list(self._engines.values())


def event_of(message: Message) -> str:
    """Return the type of the event in a message; "" if it names none."""
    value = message.value
    named = value.get("type") or value.get("event") if isinstance(value, dict) else None
    if isinstance(named, str):
        return named
    found = message.headers.get(CE_TYPE, "")
    return "" if found == message.topic else found


def event_view(message: Message) -> dict[str, Json]:
    """Return a message as an event: its type, its topic, its id and its data."""
    kind = event_of(message) or message.topic
    return {"type": kind, "topic": message.topic, "id": message.id, "data": message.value}
