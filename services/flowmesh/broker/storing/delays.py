"""Delayed messages: scheduled by the message bus, then published as if they arrived now.

They share one stream. Each waits on a subject of its own; when it is due, the server moves it to
the subject of due messages, from which every instance publishes it. Its id makes that happen once.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.broker import limits
from flowmesh.broker.storing.cipher import BodyCipher
from flowmesh.broker.storing.jetstream import MESSAGE_ID, JetStream, Stored, StreamMissing
from flowmesh.errors import Overloaded

FULL_RETRY_MS: Final = 5_000
_SCHEDULE: Final = "Nats-Schedule"
_AT: Final = "@at "


@dataclass(frozen=True, slots=True)
class Delayed:
    """A delayed message with its position, and the instant at which it is due; 0 is now."""

    sequence: int
    at_us: int
    request: pb.PublishRequest


class Delays:
    """The stream of delayed messages."""

    def __init__(
        self, *, jetstream: JetStream, prefix: str, replicas: int, cipher: BodyCipher
    ) -> None:
        self._jetstream = jetstream
        self._cipher = cipher
        self._replicas = replicas
        self._subjects = f"{prefix}.delayed"
        self.due = f"{self._subjects}.due"
        self.stream = f"{prefix.upper()}_DELAYED"
        # As of the last count, and messages of this instance since then.
        self._held = 0

    async def put(
        self,
        namespace: str,
        exchange: str,
        message: message_pb2.Message,
        at_us: int,
        *,
        moved: str = "",
    ) -> Stored:
        """Store a message until an instant; the same id is stored once.

        `moved` is the place in another cell from which it comes: the same place is stored once,
        though the id was stored here before. Raises Overloaded if too many messages are delayed.
        """
        if self._held >= limits.DELAYED_MAX:
            text = f"{limits.DELAYED_MAX:,} messages are delayed, the most that are possible"
            raise Overloaded("QUEUE_FULL", text, retry_after_ms=FULL_RETRY_MS)
        self._held += 1
        stored = await self._cipher.stored(namespace, message, encrypt=message.encrypted)
        body = pb.PublishRequest(namespace=namespace, exchange=exchange, messages=[stored])
        name = f"{namespace}\n{exchange}\n{message.message_id}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        at = datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        headers = {
            MESSAGE_ID: moved or digest,
            _SCHEDULE: f"{_AT}{at}",
            "Nats-Schedule-Target": self.due,
        }
        subject = f"{self._subjects}.at.{digest}"
        data = body.SerializeToString()
        try:
            return await self._jetstream.put(subject, data, headers)
        except StreamMissing:
            await self._ensure()
            return await self._jetstream.put(subject, data, headers)

    async def held(self) -> int:
        """Count the delayed messages."""
        try:
            info = await self._jetstream.api(f"STREAM.INFO.{self.stream}", None)
            self._held = int(info["state"]["messages"])
        except StreamMissing:
            self._held = 0
        return self._held

    async def due_messages(self, sequence: int, count: int) -> list[Delayed]:
        """Return due messages from a position on."""
        return await self._page(self.due, sequence, count)

    async def page(self, sequence: int, count: int) -> list[Delayed]:
        """Return delayed and due messages of all namespaces from a position on."""
        return await self._page(f"{self._subjects}.>", sequence, count)

    async def _page(self, subjects: str, sequence: int, count: int) -> list[Delayed]:
        await self._cipher.until_known()
        page = await self._jetstream.page(self.stream, subjects, sequence, count)
        return [self._delayed(raw, headers) for raw, headers in page]

    def _delayed(self, raw: bytes, headers: Mapping[str, str]) -> Delayed:
        request = pb.PublishRequest.FromString(raw)
        sealed = request.messages[0].SerializeToString()
        request.messages[0].CopyFrom(self._cipher.opened(request.namespace, sealed))
        schedule = headers.get(_SCHEDULE, "").removeprefix(_AT)
        at_us = int(datetime.fromisoformat(schedule).timestamp() * 1e6) if schedule else 0
        return Delayed(int(headers["Nats-Sequence"]), at_us, request)

    async def remove(self, sequence: int) -> None:
        try:
            body = {"seq": sequence, "no_erase": True}
            await self._jetstream.api(f"STREAM.MSG.DELETE.{self.stream}", body)
        except StreamMissing:
            return

    async def _ensure(self) -> None:
        config: dict[str, Any] = {
            "name": self.stream,
            "subjects": [f"{self._subjects}.>"],
            "retention": "limits",
            "storage": "file",
            "duplicate_window": limits.DUPLICATES_S * 1_000_000_000,
            "allow_direct": True,
            "allow_msg_ttl": True,
            "allow_msg_schedules": True,
            "num_replicas": self._replicas,
        }
        await self._jetstream.api(f"STREAM.CREATE.{self.stream}", config)
