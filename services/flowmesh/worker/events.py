"""Events published by tasks: durably to the triggers of their namespace, then to subscribers."""

from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Any, Protocol

import orjson

from flowmesh.api.common.v1.payload_pb2 import Payload
from flowmesh.api.event.v1.trigger_service_pb2 import Event, PublishEventRequest
from flowmesh.executors.publish import Publisher
from flowmesh.standards.extensions import extension_values, extensions_of

Json = Any


class Triggers(Protocol):
    """The call of TriggerService that publishes events."""

    def PublishEvent(self, request: PublishEventRequest) -> Awaitable[Any]: ...


class Events:
    """Publishes events; a repeat with the same source and id fires no trigger again."""

    def __init__(self, triggers: Triggers, subscribers: Publisher) -> None:
        self._triggers = triggers
        self._subscribers = subscribers

    async def publish(
        self, namespace: str, subject: str, event: dict[str, Json], headers: Mapping[str, str]
    ) -> None:
        message = Event(
            id=event["id"],
            source=event["source"],
            type=event["type"],
            subject=event.get("subject", ""),
            time_us=int(datetime.fromisoformat(event["time"]).timestamp() * 1_000_000),
            data=Payload(data=orjson.dumps(event.get("data"))),
            extensions=extensions_of(extension_values(event)),
        )
        await self._triggers.PublishEvent(PublishEventRequest(namespace=namespace, event=message))
        await self._subscribers.publish(namespace, subject, event, headers)
