"""Messages, queues and bindings as plain values, and their conversion."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import not_
from typing import Annotated, Any, Literal, TypeVar

import orjson

from flowmesh.api.broker.v1 import message_pb2, message_service_pb2, topology_pb2
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.records import Source, value_from
from flowmesh.sdk.values.payloads import JSON_ENCODING, decode_bytes, encode

BINARY = "application/octet-stream"
T = TypeVar("T")
HeaderValue = str | int | float | bool | bytes
Ttl = float | timedelta | None
ExchangeType = Literal["direct", "fanout", "topic", "headers"]
Overflow = Literal["reject", "drop_oldest", "dead_letter"]
OnExpiry = Literal["drop", "dead_letter"]
Match = Literal["all", "any", "all-with-x", "any-with-x"]

_EXCHANGE_TYPES = {
    "direct": topology_pb2.EXCHANGE_TYPE_DIRECT,
    "fanout": topology_pb2.EXCHANGE_TYPE_FANOUT,
    "topic": topology_pb2.EXCHANGE_TYPE_TOPIC,
    "headers": topology_pb2.EXCHANGE_TYPE_HEADERS,
}
_OVERFLOWS = {
    "": topology_pb2.OVERFLOW_UNSPECIFIED,
    "reject": topology_pb2.OVERFLOW_UNSPECIFIED,
    "drop_oldest": topology_pb2.OVERFLOW_DROP_OLDEST,
    "dead_letter": topology_pb2.OVERFLOW_DEAD_LETTER,
}
_EXPIRIES = {
    "drop": topology_pb2.ON_EXPIRY_UNSPECIFIED,
    "dead_letter": topology_pb2.ON_EXPIRY_DEAD_LETTER,
}
_MATCHES = {
    "all": topology_pb2.HEADERS_MATCH_UNSPECIFIED,
    "any": topology_pb2.HEADERS_MATCH_ANY,
    "all-with-x": topology_pb2.HEADERS_MATCH_ALL_WITH_X,
    "any-with-x": topology_pb2.HEADERS_MATCH_ANY_WITH_X,
}
_REASONS = {
    "": message_pb2.DEATH_REASON_UNSPECIFIED,
    "rejected": message_pb2.DEATH_REASON_REJECTED,
    "expired": message_pb2.DEATH_REASON_EXPIRED,
    "max_size": message_pb2.DEATH_REASON_MAX_SIZE,
    "attempts": message_pb2.DEATH_REASON_ATTEMPTS,
}


def _body(message: message_pb2.Message) -> Json:
    """Return JSON decoded, also CloudEvents; other or invalid content as bytes."""
    if message.HasField("reference"):
        return None
    kind = message.content_type.partition(";")[0].strip().lower()
    if kind != JSON_ENCODING and not kind.endswith("+json"):
        return message.body
    try:
        return decode_bytes(message.body)
    except (orjson.JSONDecodeError, ValueError):
        return message.body


def _headers_of(headers: Mapping[str, message_pb2.HeaderValue]) -> dict[str, Any]:
    kinds = ((name, value, value.WhichOneof("value")) for name, value in headers.items())
    return {name: getattr(value, kind) if kind else None for name, value, kind in kinds}


def _kind_word(kind: int) -> str:
    return "stream" if kind == topology_pb2.QUEUE_KIND_STREAM else "queue"


def _depths_of(priorities: Iterable[topology_pb2.PriorityDepth]) -> dict[int, int]:
    return {each.priority: each.depth for each in priorities}


def _pending_of(groups: Iterable[topology_pb2.GroupState]) -> dict[str, int]:
    return {each.group: each.pending for each in groups}


class Reject(Exception):
    """Raised by a handler to make its message a dead letter at once."""


@dataclass(frozen=True, slots=True)
class Death:
    """The reason why a message became a dead letter."""

    reason: str
    queue: str
    first_at: datetime | None
    last_at: datetime | None
    count: int
    error: Annotated[str, Source("last_error")]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `ttl` and `delay` are in seconds; the same `id` is stored once."""

    body: Json
    routing_key: str = ""
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    priority: int = 0
    ttl: Ttl = None
    id: str = ""
    content_type: str = ""
    correlation_id: str = ""
    reply_to: str = ""
    delay: Ttl = None


@dataclass(frozen=True, slots=True)
class Message:
    """A delivered or browsed message. `body` is decoded JSON, or bytes of another content type.

    A body above 256 KiB is stored apart: `digest` names it, and `body` of a browsed message is
    then None; `client.messages.fetch(message)` reads it.
    """

    id: Annotated[str, Source("message_id")]
    body: Annotated[Json, Source(".", read=_body)]
    data: Annotated[bytes, Source("body")]
    routing_key: str
    exchange: str
    headers: Annotated[Mapping[str, HeaderValue], Source(read=_headers_of)]
    priority: int
    content_type: str
    correlation_id: str
    reply_to: str
    published_at: datetime | None
    death: Death | None
    queue: str
    sequence: int
    attempt: int = 0
    receipt: str = ""
    digest: Annotated[str, Source("reference.digest")] = ""


@dataclass(frozen=True, slots=True)
class PublishOutcome:
    """The effect of one published message: refused if it has a `reason`."""

    id: Annotated[str, Source("message_id")]
    queues: int
    duplicate: bool
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue and its content."""

    name: Annotated[str, Source("queue.queue")]
    kind: Annotated[str, Source("queue.", read=_kind_word)]
    durable: Annotated[bool, Source("queue.transient", read=not_)]
    depth: int
    ready: int
    in_flight: int
    bytes: int
    oldest_at: datetime | None
    consumers: int
    dead_letters: int
    dead_letter_queue: Annotated[str, Source("queue.")]
    max_size: Annotated[int, Source("queue.")]
    max_priority: Annotated[int, Source("queue.")]
    priorities: Annotated[Mapping[int, int], Source(read=_depths_of)]
    groups: Annotated[Mapping[str, int], Source(read=_pending_of)]
    exclusive: Annotated[bool, Source("queue.")] = False
    auto_delete: Annotated[bool, Source("queue.")] = False
    single_active: Annotated[bool, Source("queue.")] = False
    encrypt: Annotated[bool, Source("queue.")] = False


@dataclass(frozen=True, slots=True)
class QueueChanges:
    """States of queues that changed, and names of deleted ones; first the states of all."""

    queues: tuple[QueueState, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A declared exchange."""

    name: Annotated[str, Source("exchange")]
    type: Annotated[str, Source(empty="")]
    alternate: str


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding of an exchange to a queue, or to another exchange."""

    source: str
    queue: str
    exchange: str
    key: str


@dataclass(frozen=True, slots=True)
class Redriven:
    """The effect of a redrive."""

    moved: int
    kept: int
    error: str


@dataclass(frozen=True, slots=True)
class QueueFinding:
    """A reason why messages are not processed."""

    cause: str
    explanation: str
    remedy: str


def header_message(value: object, name: str) -> message_pb2.HeaderValue:
    """Return a typed value; None asks for the presence of the header, in bindings."""
    match value:
        case None:
            return message_pb2.HeaderValue()
        case bool():
            return message_pb2.HeaderValue(flag=value)
        case int() if -(2**63) <= value < 2**63:
            return message_pb2.HeaderValue(whole=value)
        case float():
            return message_pb2.HeaderValue(number=value)
        case str():
            return message_pb2.HeaderValue(text=value)
        case bytes():
            return message_pb2.HeaderValue(data=value)
    text = f"header {name!r} must be text, an integer of 64 bits, a number, a boolean or bytes"
    raise Invalid("MESSAGE_INVALID", text)


def outgoing_message(given: Outgoing, new_id: str) -> message_pb2.Message:
    """Return the message to send; bytes are sent unchanged, other bodies as JSON."""
    raw = isinstance(given.body, bytes | bytearray | memoryview)
    message = message_pb2.Message(
        message_id=given.id or new_id,
        body=bytes(given.body) if raw else encode(given.body),
        content_type=given.content_type or (BINARY if raw else JSON_ENCODING),
        routing_key=given.routing_key,
        priority=_unsigned("priority", given.priority),
        ttl_ms=milliseconds("ttl", given.ttl),
        delay_ms=milliseconds("delay", given.delay),
        correlation_id=given.correlation_id,
        reply_to=given.reply_to,
    )
    for name, value in given.headers.items():
        message.headers[name].CopyFrom(header_message(value, name))
    return message


def received_message(queue: str, delivery: message_service_pb2.Delivery) -> Message:
    return message_value(
        queue,
        delivery.message,
        delivery.sequence,
        attempt=delivery.attempt,
        receipt=delivery.receipt,
    )


def inlined(message: message_pb2.Message, data: bytes) -> message_pb2.Message:
    """Return the message with its stored body."""
    whole = message_pb2.Message()
    whole.CopyFrom(message)
    whole.ClearField("reference")
    whole.body = data
    return whole


def message_value(
    queue: str,
    message: message_pb2.Message,
    sequence: int,
    *,
    attempt: int = 0,
    receipt: str = "",
) -> Message:
    return value_from(
        Message, message, queue=queue, sequence=sequence, attempt=attempt, receipt=receipt
    )


def exchange_type(word: str) -> topology_pb2.ExchangeType.ValueType:
    return _choice("type", word, _EXCHANGE_TYPES)


def overflow(word: str) -> topology_pb2.Overflow.ValueType:
    return _choice("overflow", word, _OVERFLOWS)


def on_expiry(word: str) -> topology_pb2.OnExpiry.ValueType:
    return _choice("on_expiry", word, _EXPIRIES)


def headers_match(word: str) -> topology_pb2.HeadersMatch.ValueType:
    return _choice("match", word, _MATCHES)


def death_reason(word: str) -> message_pb2.DeathReason.ValueType:
    return _choice("reason", word, _REASONS)


def milliseconds(name: str, value: Ttl) -> int:
    """Return seconds or a timedelta in ms."""
    if value is None:
        return 0
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0 <= seconds < 10**9:
        raise Invalid("MESSAGE_INVALID", f"{name} must be a number of seconds, not {seconds}")
    return round(seconds * 1_000)


def _choice(name: str, word: str, known: Mapping[str, T]) -> T:
    if word not in known:
        words = ", ".join(each for each in known if each)
        raise Invalid("REQUEST_INVALID", f"{name} must be one of {words}, not {word!r}")
    return known[word]


def _unsigned(name: str, value: int) -> int:
    if not 0 <= value < 2**32:
        raise Invalid("MESSAGE_INVALID", f"{name} must be from 0 to 9, not {value}")
    return value
