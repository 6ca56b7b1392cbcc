"""`publish`: publishes an event to subscribers, as CloudEvents 1.0 in JSON.
`message.publish`: publishes a message to an exchange or a queue.

A task names a subject; the worker maps it to a subject of the bus below its own prefix.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.errors import (
    FlowmeshError,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from flowmesh.executors import failures
from flowmesh.executors.base import Attempt, Executor, Output, Step
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.templates import Rendered
from flowmesh.standards.events import SUBJECT, SUBJECT_FORM

EVENT_BYTES_MAX = 256 * 1024
_TYPE_CHARACTERS_MAX = 256
_MESSAGE = ("exchange", "key", "body", "headers", "priority", "project", "credential")
_HEADERS = {"content-type": "application/cloudevents+json; charset=utf-8"}


class Publisher(Protocol):
    """Publishes events: `Subjects`, a wrapper that also fires triggers, or a dry run's recorder."""

    async def publish(
        self, namespace: str, subject: str, event: dict[str, Json], headers: Mapping[str, str]
    ) -> None:
        """Return after the event is sent. Raises FlowmeshError."""


class MessageSender(Protocol):
    """Publishes messages: the worker's client of the broker, or a dry run's recorder."""

    async def send_message(self, namespace: str, message: dict[str, Json]) -> int:
        """Store a message and return the number of its queues. Raises FlowmeshError.

        `project` is another project with the queue, `credential` an API key for it.
        """


class EventBus(Protocol):
    """The part of `flowmesh.bus.Bus` that `Subjects` uses."""

    async def publish_core(
        self, subject: str, data: bytes, *, headers: dict[str, str] | None = None
    ) -> None: ...
    async def flush(self) -> None: ...


class Subjects:
    """Publishes to `<prefix>.<namespace>.<subject>` of NATS only.

    The message id is the id of the event, so a stream over these subjects stores a repeat once.
    """

    def __init__(self, bus: EventBus, prefix: str) -> None:
        self._bus = bus
        self._prefix = prefix

    async def publish(
        self, namespace: str, subject: str, event: dict[str, Json], headers: Mapping[str, str]
    ) -> None:
        # Encode the namespace as one word, so that it cannot reach into another one.
        word = re.sub(r"[^A-Za-z0-9_-]", lambda found: f"%{ord(found[0]):02X}", namespace)
        data = orjson.dumps(event)
        if len(data) > EVENT_BYTES_MAX:
            raise invalid(f"the event has {len(data)} bytes; at most {EVENT_BYTES_MAX} are sent")
        sent = {**headers, "Nats-Msg-Id": str(event["id"])}
        await self._bus.publish_core(f"{self._prefix}.{word}.{subject}", data, headers=sent)
        await self._bus.flush()


async def send_event(
    publisher: Publisher, attempt: Attempt, subject: str, event: dict[str, Json]
) -> None:
    """Publish the event of an attempt. Raises TaskFailure."""
    try:
        await publisher.publish(attempt.task.namespace, subject, event, _HEADERS)
    except (Invalid, TooLarge) as error:
        raise invalid(error.message, reason=error.reason) from error
    except FlowmeshError as error:
        raise TaskFailure(
            failures.NETWORK, error.message, retry_after_ms=error.retry_after_ms
        ) from error


class PublishStep(Step):
    def __init__(
        self, spec: TaskSpec, config: dict[str, Json], publisher: Publisher, now_us: NowUs
    ) -> None:
        self._publisher = publisher
        self._now_us = now_us
        given = {key: config.get(key) for key in ("subject", "type", "data")}
        self._given = Rendered(given, spec.dialect, now_us)

    async def run(self, attempt: Attempt) -> Output:
        given = self._given.over(attempt)
        subject = given["subject"]
        if not isinstance(subject, str) or not SUBJECT.match(subject):
            raise invalid(f"the subject must be {SUBJECT_FORM}")
        event = self._event(attempt, subject, given)
        await send_event(self._publisher, attempt, subject, event)
        return Output.of({"id": event["id"], "subject": subject})

    def _event(self, attempt: Attempt, subject: str, given: dict[str, Any]) -> dict[str, Json]:
        task = attempt.task
        now = datetime.fromtimestamp(self._now_us() / 1_000_000, UTC)
        return {
            "specversion": "1.0",
            "id": task.idempotency_key,
            "source": f"/namespaces/{task.namespace}/workflows/{task.workflow_id}",
            "type": str(given["type"] or subject)[:_TYPE_CHARACTERS_MAX],
            "subject": task.execution_id,
            "time": now.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": given["data"],
        }


def publish_executor(publisher: Publisher, now_us: NowUs) -> Executor:
    """Return the executor of `publish`."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> PublishStep:
        return PublishStep(spec, config, publisher, now_us)

    return prepare


class MessageStep(Step):
    """One message; its id is derived from the attempt's idempotency key, so a repeat is one."""

    def __init__(
        self, spec: TaskSpec, config: dict[str, Json], messages: MessageSender, now_us: NowUs
    ) -> None:
        self._messages = messages
        self._given = Rendered({key: config.get(key) for key in _MESSAGE}, spec.dialect, now_us)

    async def run(self, attempt: Attempt) -> Output:
        given = self._given.over(attempt)
        key = attempt.task.idempotency_key
        message = {
            "id": f"task-{hashlib.sha256(key.encode()).hexdigest()[:40]}",
            "exchange": self._text(given, "exchange"),
            "key": self._text(given, "key"),
            "body": given["body"],
            "headers": given["headers"] or {},
            "priority": given["priority"] or 0,
            "project": self._text(given, "project"),
            "credential": self._text(given, "credential"),
        }
        try:
            queues = await self._messages.send_message(attempt.task.namespace, message)
        except (Invalid, NotFound, TooLarge) as error:
            raise invalid(error.message, reason=error.reason) from error
        except (Forbidden, Unauthenticated) as error:
            details = {"reason": error.reason}
            raise TaskFailure(failures.AUTHENTICATION, error.message, details=details) from error
        except FlowmeshError as error:
            raise TaskFailure(
                failures.NETWORK, error.message, retry_after_ms=error.retry_after_ms
            ) from error
        return Output.of({"id": message["id"], "queues": queues})

    def _text(self, given: dict[str, Any], name: str) -> str:
        value = given[name] or ""
        if not isinstance(value, str):
            raise invalid(f"the {name} of a message is a text, not {type(value).__name__}")
        return value


def message_executor(messages: MessageSender, now_us: NowUs) -> Executor:
    """Return the executor of messages."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> MessageStep:
        return MessageStep(spec, config, messages, now_us)

    return prepare
