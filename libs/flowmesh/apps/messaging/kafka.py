"""A broker over Apache Kafka: an idempotent producer, offsets committed after the receivers."""

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowmesh.apps.http.messages import json_or_text
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.delivery import Delivery
from flowmesh.apps.messaging.messages import (
    REASON_HEADER,
    Message,
    Subscribed,
    check_pattern,
    check_topic,
    encoded,
    new_id,
)
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, Unavailable
from flowmesh.extras import needed_by

RECORDS_MAX = 500
POLL_MS = 200
SEND_S = 15.0
TOPIC_S = 3.0
METADATA_MS = 2_000
DEAD_LETTERS = ".dead-letters"
_ID = "fm-id"
_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """The way to a cluster that asks for credentials."""

    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str = ""
    password: str = ""
    ca: str = ""

    def options(self) -> dict[str, Any]:
        """Return the options of a client. Raises Invalid."""
        protocol = self.protocol.upper()
        if protocol not in _PROTOCOLS:
            text = f"security.protocol is one of {', '.join(_PROTOCOLS)}, not {self.protocol!r}"
            raise Invalid("APP_CONFIG_INVALID", text)
        found: dict[str, Any] = {"security_protocol": protocol}
        if protocol.startswith("SASL"):
            found |= {
                "sasl_mechanism": self.mechanism.upper(),
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        if protocol.endswith("SSL"):
            from aiokafka.helpers import create_ssl_context

            found["ssl_context"] = create_ssl_context(cafile=self.ca or None)
        return found


class KafkaBroker:
    """One producer, and one consumer for all subscriptions of the application."""

    def __init__(
        self,
        *,
        name: str,
        brokers: Sequence[str],
        delivery: Delivery,
        group: str,
        client: str,
        acks: str = "all",
        from_start: bool = True,
        security: Security,
    ) -> None:
        self._name = name
        self.delivery = delivery
        self._group = group
        self._from_start = from_start
        self._acks: Any = "all" if acks == "all" else int(acks)
        self._subscriptions: list[Subscribed] = []
        self._producer: Any = None
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._options = {
            "bootstrap_servers": list(brokers),
            "client_id": client,
            "metadata_max_age_ms": METADATA_MS,
            **security.options(),
        }

    def subscribe(self, subscription: Subscribed) -> None:
        check_pattern(subscription.topic)
        self._subscriptions.append(subscription)

    async def start(self) -> None:
        with needed_by("messaging.kafka", "brokers"):
            from aiokafka import AIOKafkaProducer
            from aiokafka.errors import KafkaError
        self._producer = AIOKafkaProducer(
            acks=self._acks, enable_idempotence=self._acks == "all", **self._options
        )
        try:
            await self._producer.start()
            await self._create([e.topic for e in self._subscriptions if not _is_pattern(e.topic)])
        except (KafkaError, OSError) as error:
            await self._producer.stop()
            self._producer = None
            text = f"{self._name}: no connection to Kafka: {type(error).__name__}"
            raise Unavailable("BROKER_UNAVAILABLE", text) from None

    async def open(self) -> None:
        if not self._subscriptions:
            return
        from aiokafka import AIOKafkaConsumer

        consumer = self._consumer = AIOKafkaConsumer(
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest" if self._from_start else "latest",
            **self._options,
        )
        topics = {each.topic for each in self._subscriptions}
        if any(map(_is_pattern, topics)):
            consumer.subscribe(pattern="|".join(f"(?:{_regex(each)})" for each in sorted(topics)))
        else:
            consumer.subscribe(sorted(topics))
        await consumer.start()
        self._task = asyncio.create_task(self._consume())

    async def publish(
        self, topic: str, value: Json, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> str:
        from aiokafka.errors import KafkaError

        body, id = encoded(value), new_id()
        check_topic(topic)
        if self._producer is None:
            raise HttpProblem(503, "BROKER_UNAVAILABLE", f"{self._name} is closed")
        given = [(k, v.encode()) for k, v in {**(headers or {}), _ID: id}.items()]
        try:
            async with asyncio.timeout(SEND_S):
                await self._producer.send_and_wait(
                    topic, body, key=key.encode() or None, headers=given
                )
        except (KafkaError, OSError, TimeoutError) as error:
            text = f"{self._name}: Kafka did not take the message: {type(error).__name__}"
            raise HttpProblem(503, "BROKER_UNAVAILABLE", text) from None
        return id

    async def close(self) -> None:
        """End after the records in work; others stay for the next start."""
        self._closing = True
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def stop(self) -> None:
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def health(self) -> str:
        if self._producer is None:
            return f"{self._name} is closed"
        if self._task is not None and self._task.done():
            return f"{self._name}: the consumer has ended"
        ready = any(self._producer.client._conns.values())
        return "" if ready else f"{self._name}: no connection to Kafka"

    async def _create(self, topics: Sequence[str]) -> None:
        """Ask for the topics, which a broker with automatic creation creates by its defaults.

        A consumer of a topic that is still missing finds it when it appears.
        """
        from aiokafka.errors import KafkaError

        for topic in dict.fromkeys(topics):
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(TOPIC_S):
                    await self._producer.partitions_for(topic)

    async def _consume(self) -> None:
        """Deliver the records of each partition in order, then commit their offsets."""
        from aiokafka.errors import KafkaError

        consumer = self._consumer
        while not self._closing:
            try:
                found = await consumer.getmany(timeout_ms=POLL_MS, max_records=RECORDS_MAX)
            except KafkaError:
                await asyncio.sleep(1)
                continue
            if found:
                await asyncio.gather(*(self._partition(p, r) for p, r in found.items()))

    async def _partition(self, partition: Any, records: Sequence[Any]) -> None:
        from aiokafka.errors import KafkaError

        for index, record in enumerate(records):
            if partition not in self._consumer.assignment():
                return  # it belongs to another member now, which reads it again
            if not await self._record(record):
                return  # the next start reads it again
            last = self._closing or index == len(records) - 1
            if last or index % 50 == 49:
                with contextlib.suppress(KafkaError):
                    await self._consumer.commit({partition: record.offset + 1})
            if self._closing:
                return

    async def _record(self, record: Any) -> bool:
        """Deliver a record; return whether it is delivered, or a dead letter."""
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
        message = Message(
            topic=record.topic,
            value=json_or_text(record.value or b"null"),
            id=headers.pop(_ID, f"{record.topic}-{record.partition}-{record.offset}"),
            key=(record.key or b"").decode("utf-8", "replace"),
            headers=headers,
        )
        for each in self._subscriptions:
            if not each.takes(record.topic):
                continue
            reason = await self.delivery.until_dead(each, message)
            letter = reason and not record.topic.endswith(DEAD_LETTERS)
            if letter and not await self._dead(message, each.name, reason):
                return False
        return True

    async def _dead(self, message: Message, subscription: str, reason: str) -> bool:
        """Publish a dead letter, again until this succeeds; return False if a stop ends that."""
        headers = {**message.headers, REASON_HEADER: reason, "fm-subscription": subscription}
        topic = message.topic + DEAD_LETTERS
        while True:
            try:
                await self.publish(topic, message.value, key=message.key, headers=headers)
                return True
            except HttpProblem:
                if self._closing:
                    return False
                await asyncio.sleep(1)


def _is_pattern(topic: str) -> bool:
    return "*" in topic or ">" in topic


def _regex(topic: str) -> str:
    """Return the expression of a topic with wildcards; dead letters fit no wildcard."""
    words = [
        "[^.]+" if word == "*" else ".+" if word == ">" else re.escape(word)
        for word in topic.split(".")
    ]
    guard = rf"(?!.*{re.escape(DEAD_LETTERS)}$)" if _is_pattern(topic) else ""
    return f"^{guard}{'[.]'.join(words)}$"
