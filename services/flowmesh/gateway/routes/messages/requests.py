"""Bodies of requests about queues, exchanges and messages."""

import base64
import binascii
from operator import not_
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from flowmesh.api.broker.v1 import message_pb2, topology_pb2
from flowmesh.api.common.v1 import payload_pb2
from flowmesh.errors import Invalid, Violation
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.envelopes import Envelope, Id, OptionalId
from flowmesh.gateway.bodies.payloads import payload_of, payload_of_bytes
from flowmesh.gateway.http.ids import checked_id
from flowmesh.gateway.http.limits import INT64_MAX
from flowmesh.records import Source

WHOLE_MAX = 2**32 - 1
BINARY = "application/octet-stream"
Whole = Annotated[int, Meta(ge=0, le=WHOLE_MAX)]
Long = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Header = str | int | float | bool

_MATCHES = {
    "all": topology_pb2.HEADERS_MATCH_UNSPECIFIED,
    "any": topology_pb2.HEADERS_MATCH_ANY,
    "all-with-x": topology_pb2.HEADERS_MATCH_ALL_WITH_X,
    "any-with-x": topology_pb2.HEADERS_MATCH_ANY_WITH_X,
}


class MessageRetryBody(Envelope, frozen=True, kw_only=True):
    """The redelivery of failed messages."""

    max_attempts: Whole = 0
    initial_delay_ms: Long | None = None
    factor: Annotated[float, Meta(ge=0)] = 0
    max_delay_ms: Long = 0


class QueueRequest(Envelope, frozen=True, kw_only=True):
    """The arguments of a queue; see docs/messages.md for the defaults."""

    kind: Annotated[Literal["queue", "stream"], Source(empty="queue")] = "queue"
    durable: Annotated[bool, Source("transient", not_)] = True
    max_size: Long = 0
    max_bytes: Long = 0
    overflow: Annotated[Literal["reject", "drop_oldest", "dead_letter"], Source(empty="reject")] = (
        "reject"
    )
    message_ttl_ms: Long = 0
    on_expiry: Annotated[Literal["drop", "dead_letter"], Source(empty="drop")] = "drop"
    max_priority: Whole = 0
    retry: MessageRetryBody = MessageRetryBody()
    visibility_timeout_ms: Long = 0
    dead_letter_queue: OptionalId = ""
    exclusive: bool = False
    auto_delete: bool = False
    single_active: bool = False
    encrypt: bool = False
    schema: Annotated[Any, Meta(description="JSON Schema of the bodies.")] = UNSET


class ExchangeRequest(Envelope, frozen=True, kw_only=True):
    """The arguments of an exchange."""

    type: Literal["direct", "fanout", "topic", "headers"] = "topic"
    alternate: OptionalId = ""


class BindingRequest(Envelope, frozen=True, kw_only=True):
    """A binding to a queue or to another exchange."""

    queue: OptionalId = ""
    exchange: OptionalId = ""
    key: str = ""
    headers: Annotated[
        dict[str, Header | None],
        Meta(description="Headers that messages must have; null asks for any value."),
    ] = msgspec.field(default_factory=dict)
    match: Literal["all", "any", "all-with-x", "any-with-x"] = "all"

    def message(self, source: str) -> topology_pb2.Binding:
        if bool(self.queue) == bool(self.exchange):
            raise _invalid("queue", "give either a queue or an exchange")
        binding = topology_pb2.Binding(source=source, key=self.key, match=_MATCHES[self.match])
        if self.queue:
            binding.queue = self.queue
        else:
            binding.exchange = self.exchange
        set_headers(binding.arguments, self.headers)
        return binding


class MessageBody(Envelope, frozen=True, kw_only=True):
    """A message: JSON in `body`, or other bytes in `bodyBase64`.

    `{"$payload": {"digest", "sizeBytes"}}` as `body` refers to a stored value.
    """

    body: Annotated[Any, Meta(description="Any JSON value.")] = UNSET
    body_base64: Annotated[str, Meta(description="Bytes, instead of `body`.")] = ""
    content_type: str = ""
    id: OptionalId = ""
    routing_key: str = ""
    headers: dict[str, Header] = msgspec.field(default_factory=dict)
    priority: Whole = 0
    ttl_ms: Long = 0
    delay_ms: Annotated[Long, Meta(description="Delay before its queues get it.")] = 0
    correlation_id: str = ""
    reply_to: str = ""

    async def message(
        self, backends: Backends, namespace: str, key: str = ""
    ) -> message_pb2.Message:
        """Return the message; a large body is stored first."""
        payload = await self._payload(backends, namespace)
        made = message_pb2.Message(
            message_id=self.id and checked_id("messages[].id", self.id),
            body=payload.data,
            content_type=self.content_type,
            routing_key=key or self.routing_key,
            priority=self.priority,
            ttl_ms=self.ttl_ms,
            delay_ms=self.delay_ms,
            correlation_id=self.correlation_id,
            reply_to=self.reply_to,
        )
        if payload.HasField("reference"):
            made.reference.CopyFrom(payload.reference)
        set_headers(made.headers, self.headers)
        return made

    async def _payload(self, backends: Backends, namespace: str) -> payload_pb2.Payload:
        if not self.body_base64:
            body = None if self.body is UNSET else self.body
            return await payload_of(backends, namespace, "messages[].body", body)
        if self.body is not UNSET:
            raise _invalid("body", "give either body or bodyBase64")
        try:
            data = base64.b64decode(self.body_base64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _invalid("bodyBase64", "is not base64") from error
        return await payload_of_bytes(backends, namespace, self.content_type or BINARY, data)


class PublishMessagesRequest(Envelope, frozen=True, kw_only=True):
    """Messages to publish, at most 500."""

    messages: Annotated[list[MessageBody], Meta(min_length=1, max_length=500)]
    mandatory: Annotated[
        bool, Meta(description="Report messages that lead to no queue as UNROUTABLE.")
    ] = False


class PositionBody(Envelope, frozen=True, kw_only=True):
    """A position in a stream; its beginning by default."""

    sequence: Long = 0
    at: Annotated[str, Meta(description="An instant in RFC 3339.")] = ""
    latest: bool = False


class ReceiveMessagesRequest(Envelope, frozen=True, kw_only=True):
    """A request for messages, which are delivered again unless they are settled in time."""

    count: Annotated[int, Meta(ge=1, le=500)] = 1
    wait_ms: Annotated[int, Meta(ge=0, le=20_000)] = 0
    group: Annotated[OptionalId, Meta(description="The group of a stream.")] = ""


class NackBody(Envelope, frozen=True, kw_only=True):
    """A failed delivery."""

    receipt: str
    delay_ms: Long | None = None
    reject: Annotated[bool, Meta(description="Make it a dead letter at once.")] = False
    error: str = ""


class SettleMessagesRequest(Envelope, frozen=True, kw_only=True):
    """Settlements of received messages by receipt, at most 500 in all."""

    acks: list[str] = msgspec.field(default_factory=list)
    nacks: list[NackBody] = msgspec.field(default_factory=list)
    extends: list[str] = msgspec.field(default_factory=list)


class RedriveMessagesRequest(Envelope, frozen=True, kw_only=True):
    """A redrive of dead letters; all given filters must match."""

    to: Annotated[
        OptionalId,
        Meta(description="Target (default: the original queue)."),
        Source("to_queue"),
    ] = ""
    reason: Literal["", "rejected", "expired", "max_size", "attempts"] = ""
    from_queue: OptionalId = ""
    sequences: Annotated[list[Long], Meta(max_length=500)] = msgspec.field(default_factory=list)
    count: Annotated[int, Meta(ge=0, le=10_000), Source("max")] = 0
    rate: Annotated[Whole, Meta(description="Messages per second; 0 is unlimited.")] = 0
    sequence: Annotated[Long, Meta(description="`nextSequence` of the former call.")] = 0


class DiscardMessagesRequest(Envelope, frozen=True, kw_only=True):
    """Positions of messages to delete."""

    sequences: Annotated[list[Long], Meta(min_length=1, max_length=500)]


class SeekGroupRequest(Envelope, frozen=True, kw_only=True):
    """A new position of a group."""

    group: Id
    position: PositionBody = PositionBody()


def set_headers(target: Any, given: dict[str, Any]) -> None:
    """Set typed headers in a map of a message."""
    for name, value in given.items():
        match value:
            case None:
                target[name].SetInParent()
            case bool():
                target[name].flag = value
            case int():
                if not -(2**63) <= value < 2**63:
                    raise _invalid(f"headers.{name}", "must be an integer of 64 bits")
                target[name].whole = value
            case float():
                target[name].number = value
            case _:
                target[name].text = value


def _invalid(field: str, what: str) -> Invalid:
    violation = Violation(field, what, "REQUEST_INVALID")
    return Invalid("REQUEST_INVALID", f"{field}: {what}.", violations=(violation,))
