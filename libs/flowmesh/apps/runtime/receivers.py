"""Receivers: all that can handle a message, a hook or a job, found by name."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowmesh.apps.messaging.messages import Message, new_id, reason_of
from flowmesh.apps.pipeline.starting import PIPELINE, run_with
from flowmesh.apps.wiring.ports import COMPONENT, RECEIVER, TRANSFORMER, Port
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json

Receive = Callable[[Message], Awaitable[Json]]

_ERROR_WORDS = frozenset({"error", "errors"})


def receiver_of(name: str, registry: ServiceRegistry) -> Receive | None:
    """Return what handles messages under a name; None if it cannot handle them."""
    receiver: Receive | None = registry.get(RECEIVER, name)
    if receiver is not None:
        return receiver
    if (component := registry.get(COMPONENT, name)) is not None:
        return _of_component(component)
    if (program := registry.get(PIPELINE, name)) is not None:

        async def run(message: Message) -> Json:
            meta = {"topic": message.topic, "messageId": message.id}
            return await run_with(program, message.value, meta)

        return run
    if (transformer := registry.get(TRANSFORMER, name)) is not None:

        async def transform(message: Message) -> Json:
            return await transformer.transform("", message.value)

        return transform
    return None


def _of_component(component: Any) -> Receive:
    async def call(message: Message) -> Json:
        value = message.value
        return await component.call("", value if isinstance(value, dict) else {"input": value})

    return call


@dataclass(frozen=True, slots=True)
class Producer:
    """The topics that a module's results and failures go to."""

    broker: Callable[[], Any]
    results: Sequence[str] = ()
    errors: Sequence[str] = field(default_factory=tuple)

    async def emit(self, value: Json, message: Message) -> None:
        for topic in self.results:
            await self.broker().publish(topic, value, key=message.key)

    async def emit_failure(self, error: BaseException, message: Message) -> None:
        event = {"value": message.value, "topic": message.topic, "error": reason_of(error)}
        for topic in self.errors:
            await self.broker().publish(topic, event, key=message.key)


def topics_of(raw: Sequence[Json]) -> tuple[list[str], list[str]]:
    """Return the topics of results and of failures.

    An entry is `{topic, on: success | error}`, or a topic; one with the word error takes failures.
    """
    results: list[str] = []
    errors: list[str] = []
    for each in raw:
        if isinstance(each, dict):
            topic, failures = str(each.get("topic")), each.get("on") == "error"
        else:
            topic = str(each)
            words = topic.replace("-", ".").replace("_", ".").split(".")
            failures = bool(_ERROR_WORDS & set(words))
        (errors if failures else results).append(topic)
    return results, errors


def emitting(receive: Receive, producer: Producer) -> Receive:
    """Return a receiver whose result is published; a failure with a topic is handled."""

    async def call(message: Message) -> Json:
        try:
            result = await receive(message)
        except Exception as error:
            if not producer.errors:
                raise
            await producer.emit_failure(error, message)
            return None
        await producer.emit(result, message)
        return result

    return call


def as_message(topic: str, value: Json, key: str = "") -> Message:
    return Message(topic, value, new_id(), key)


PRODUCER: Port[Producer] = Port("Producer")
