"""Bodies of responses about queues, exchanges and messages."""

import base64
from typing import Any

import orjson
from msgspec import UNSET, UnsetType

from flowmesh.api.broker.v1 import message_pb2, topology_pb2
from flowmesh.api.common.v1.payload_pb2 import Payload
from flowmesh.gateway.bodies.answers import Answer, Instant, Json
from flowmesh.views import instant, raw_json, raw_value

_JSON = "application/json"


class DeathValue(Answer, kw_only=True):
    """The reason why a message became a dead letter."""

    reason: str
    queue: str
    first_at: Instant
    last_at: Instant
    count: int
    error: str | UnsetType = UNSET


class MessageValue(Answer, kw_only=True):
    """A message: JSON in `body`, or other bytes in `bodyBase64`.

    `{"$payload": {"digest", "sizeBytes"}}` is a body that is stored apart.
    """

    id: str
    sequence: int
    routing_key: str
    exchange: str
    content_type: str
    published_at: Instant
    priority: int
    headers: dict[str, Json]
    body: Json | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET
    correlation_id: str | UnsetType = UNSET
    reply_to: str | UnsetType = UNSET
    death: DeathValue | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    receipt: str | UnsetType = UNSET
    visible_until: Instant | UnsetType = UNSET


class MessageList(Answer, kw_only=True):
    """Messages, oldest first; `nextSequence` is 0 after the last."""

    messages: list[MessageValue]
    next_sequence: int = 0


class ReceivedMessages(Answer, kw_only=True):
    """Received messages, to be settled by receipt."""

    messages: list[MessageValue]


class OutcomeValue(Answer, kw_only=True):
    """The effect of one message; refused if it has a `reason`."""

    id: str
    queues: int
    duplicate: bool
    reason: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class OutcomeList(Answer, kw_only=True):
    """Outcomes in the order of the messages."""

    outcomes: list[OutcomeValue]


class SettledValue(Answer, kw_only=True):
    """The effect of one settlement; refused if it has a `reason`."""

    receipt: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class SettledList(Answer, kw_only=True):
    """Outcomes in the order of acks, nacks and extends."""

    outcomes: list[SettledValue]


class StreamGroup(Answer, kw_only=True):
    """A group of a stream."""

    group: str
    pending: int
    in_flight: int
    acknowledged: int


class QueueDetails(Answer, kw_only=True):
    """A queue of messages and its content."""

    queue: str
    kind: str
    durable: bool
    max_size: int
    max_bytes: int
    overflow: str
    message_ttl_ms: int
    on_expiry: str
    max_priority: int
    max_attempts: int
    visibility_timeout_ms: int
    dead_letter_queue: str | UnsetType = UNSET
    exclusive: bool
    auto_delete: bool
    single_active: bool
    encrypt: bool
    depth: int
    ready: int
    in_flight: int
    bytes: int
    oldest_at: Instant | UnsetType = UNSET
    consumers: int
    dead_letters: int
    priorities: dict[str, int]
    groups: list[StreamGroup]


class QueueRemoved(Answer, kw_only=True):
    """A queue that was deleted."""

    queue: str


class QueueDetailsList(Answer, kw_only=True):
    """Queues by name."""

    queues: list[QueueDetails]
    next_page_token: str


class DeclaredValue(Answer, kw_only=True):
    """A declaration; `created` is false if it existed with the same arguments."""

    created: bool


class RemovedValue(Answer, kw_only=True):
    """A removal; `removed` is false if there was nothing to remove."""

    removed: bool


class ExchangeValue(Answer, kw_only=True):
    """An exchange."""

    exchange: str
    type: str
    alternate: str | UnsetType = UNSET


class ExchangeList(Answer, kw_only=True):
    """Exchanges by name."""

    exchanges: list[ExchangeValue]


class BindingValue(Answer, kw_only=True):
    """A binding to a queue or to an exchange."""

    source: str
    queue: str | UnsetType = UNSET
    exchange: str | UnsetType = UNSET
    key: str
    headers: dict[str, Json]
    match: str


class BindingList(Answer, kw_only=True):
    """Bindings of exchanges."""

    bindings: list[BindingValue]


class RedrivenValue(Answer, kw_only=True):
    """The effect of a redrive; repeat it from `nextSequence` while `remaining` is true."""

    moved: int
    kept: int
    remaining: bool
    next_sequence: int
    error: str | UnsetType = UNSET


class CountValue(Answer, kw_only=True):
    """A number of messages."""

    count: int


class FindingValue(Answer, kw_only=True):
    """A reason why messages are not processed."""

    cause: str
    explanation: str
    remedy: str


class FindingList(Answer, kw_only=True):
    """The reasons why the messages of a queue are not processed."""

    findings: list[FindingValue]


def word(enum: Any, prefix: str, value: int, default: str) -> str:
    """Return the word of an enum value; `default` is that of the unspecified one."""
    name = str(enum.Name(value)).removeprefix(prefix).lower()
    return default if name == "unspecified" else name


def header_values(headers: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in sorted(headers.items()):
        kind = value.WhichOneof("value")
        given = getattr(value, kind) if kind else None
        found[name] = base64.b64encode(given).decode() if isinstance(given, bytes) else given
    return found


def message_value(message: message_pb2.Message, sequence: int) -> MessageValue:
    value = MessageValue(
        id=message.message_id,
        sequence=sequence,
        routing_key=message.routing_key,
        exchange=message.exchange,
        content_type=message.content_type,
        published_at=instant(message.published_at_us),
        priority=message.priority,
        headers=header_values(message.headers),
        correlation_id=message.correlation_id or UNSET,
        reply_to=message.reply_to or UNSET,
    )
    if message.HasField("reference"):
        given = Payload(encoding=message.content_type, reference=message.reference)
        value.body = raw_value(given)
    elif _is_json(message):
        value.body = raw_json(message.body)
    else:
        value.body_base64 = base64.b64encode(message.body).decode()
    if message.HasField("death"):
        death = message.death
        value.death = DeathValue(
            reason=word(message_pb2.DeathReason, "DEATH_REASON_", death.reason, ""),
            queue=death.queue,
            first_at=instant(death.first_at_us),
            last_at=instant(death.last_at_us),
            count=death.count,
            error=death.last_error or UNSET,
        )
    return value


def queue_value(state: topology_pb2.QueueState) -> QueueDetails:
    queue = state.queue
    return QueueDetails(
        queue=queue.queue,
        kind=word(topology_pb2.QueueKind, "QUEUE_KIND_", queue.kind, "queue"),
        durable=not queue.transient,
        max_size=queue.max_size,
        max_bytes=queue.max_bytes,
        overflow=word(topology_pb2.Overflow, "OVERFLOW_", queue.overflow, "reject"),
        message_ttl_ms=queue.message_ttl_ms,
        on_expiry=word(topology_pb2.OnExpiry, "ON_EXPIRY_", queue.on_expiry, "drop"),
        max_priority=queue.max_priority,
        max_attempts=queue.retry.max_attempts,
        visibility_timeout_ms=queue.visibility_timeout_ms,
        dead_letter_queue=queue.dead_letter_queue or UNSET,
        exclusive=queue.exclusive,
        auto_delete=queue.auto_delete,
        single_active=queue.single_active,
        encrypt=queue.encrypt,
        depth=state.depth,
        ready=state.ready,
        in_flight=state.in_flight,
        bytes=state.bytes,
        oldest_at=instant(state.oldest_at_us) if state.oldest_at_us else UNSET,
        consumers=state.consumers,
        dead_letters=state.dead_letters,
        priorities={str(each.priority): each.depth for each in state.priorities},
        groups=[
            StreamGroup(
                group=each.group,
                pending=each.pending,
                in_flight=each.in_flight,
                acknowledged=each.acknowledged,
            )
            for each in state.groups
        ],
    )


def binding_value(binding: topology_pb2.Binding) -> BindingValue:
    match = word(topology_pb2.HeadersMatch, "HEADERS_MATCH_", binding.match, "all")
    return BindingValue(
        source=binding.source,
        queue=binding.queue or UNSET,
        exchange=binding.exchange or UNSET,
        key=binding.key,
        headers=header_values(binding.arguments),
        match=match.replace("_", "-"),
    )


def _is_json(message: message_pb2.Message) -> bool:
    if message.content_type.partition(";")[0] != _JSON:
        return False
    try:
        orjson.loads(message.body)
    except orjson.JSONDecodeError:
        return False
    return True
