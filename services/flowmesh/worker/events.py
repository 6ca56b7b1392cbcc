"""Events and messages published by tasks.

Events go durably to the triggers of their namespace, then to subscribers; messages to the broker.
"""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import grpc.aio
import orjson

from flowmesh.api.broker.v1.message_pb2 import HeaderValue, Message
from flowmesh.api.broker.v1.message_service_pb2 import (
    PublishOutcome,
    PublishRequest,
    PublishResponse,
)
from flowmesh.api.broker.v1.message_service_pb2_grpc import MessageServiceStub
from flowmesh.api.common.v1.payload_pb2 import Payload
from flowmesh.api.event.v1.trigger_service_pb2 import Event, PublishEventRequest
from flowmesh.contract.json_value import Json
from flowmesh.errors import REASONS
from flowmesh.executors.publish import Publisher
from flowmesh.runtime.projects.calls import Metadata, ProjectCalls
from flowmesh.standards.extensions import extension_values, extensions_of


class Triggers(Protocol):
    """The call of TriggerService that publishes events."""

    def PublishEvent(self, request: PublishEventRequest) -> Awaitable[Any]: ...


class Broker(Protocol):
    """The call of MessageService that publishes messages."""

    def Publish(self, request: PublishRequest) -> Awaitable[Any]: ...


class Messages:
    """Publishes messages; a repeat with the same id is stored once."""

    def __init__(self, broker: Broker, projects: ProjectCalls) -> None:
        self._broker = broker
        self._projects = projects

    async def send_message(self, namespace: str, message: dict[str, Json]) -> int:
        """Return the number of queues that hold the message. Raises FlowmeshError."""
        sent = Message(
            message_id=message["id"],
            body=orjson.dumps(message["body"]),
            routing_key=message["key"],
            priority=message["priority"],
        )
        for name, value in message["headers"].items():
            _set_header(sent.headers[name], value)
        project = str(message["project"])
        request = PublishRequest(
            namespace=project or namespace,
            exchange=message["exchange"],
            messages=[sent],
            mandatory=not message["exchange"],
        )
        if project:
            (outcome,) = await self._published(namespace, str(message["credential"]), request)
        else:
            (outcome,) = (await self._broker.Publish(request)).outcomes
        if outcome.reason:
            raise REASONS[outcome.reason].error(outcome.reason, outcome.error, retry_after_ms=500)
        return int(outcome.queues)

    async def _published(
        self, source: str, key: str, request: PublishRequest
    ) -> Sequence[PublishOutcome]:
        """Publish to another project with its API key."""

        async def publish(channel: grpc.aio.Channel, metadata: Metadata) -> PublishResponse:
            return await MessageServiceStub(channel).Publish(request, metadata=metadata)

        return (await self._projects.call(source, key, publish)).outcomes


def _set_header(header: HeaderValue, value: Json) -> None:
    match value:
        case bool():
            header.flag = value
        case int() if -(2**63) <= value < 2**63:
            header.whole = value
        case int() | float():
            header.number = float(value)
        case str():
            header.text = value
        case _:
            header.text = orjson.dumps(value).decode()


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
