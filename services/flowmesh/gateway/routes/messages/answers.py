"""Bodies of responses about queues, exchanges and messages."""

import base64
from collections.abc import Iterable
from operator import not_
from typing import Annotated, Any

import orjson
from msgspec import UNSET, UnsetType

from flowmesh.api.broker.v1 import message_pb2, topology_pb2
from flowmesh.api.common.v1.payload_pb2 import Payload
from flowmesh.gateway.bodies.answers import Answer, Instant, Json
from flowmesh.records import APART, Source, reader, words_of
from flowmesh.views import raw_json, raw_value

_JSON = "application/json"
_MATCHES = words_of(topology_pb2.HeadersMatch.DESCRIPTOR) | {0: "all"}


def header_values(headers: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in sorted(headers.items()):
        kind = value.WhichOneof("value")
        given = getattr(value, kind) if kind else None
        found[name] = base64.b64encode(given).decode() if isinstance(given, bytes) else given
    return found


def _match(number: int) -> str:
    return _MATCHES[number].replace("_", "-")


def _depths(priorities: Iterable[topology_pb2.PriorityDepth]) -> dict[str, int]:
    return {str(each.priority): each.depth for each in priorities}


class DeathValue(Answer, kw_only=True):
    """The reason why a message became a dead letter."""

    reason: Annotated[str, Source(empty="")]
    queue: str
    first_at: Instant
    last_at: Instant
    count: int
    error: Annotated[str, Source("last_error")] | UnsetType = UNSET


class MessageValue(Answer, kw_only=True):
    """A message: JSON in `body`, or other bytes in `bodyBase64`.

    `{"$payload": {"digest", "sizeBytes"}}` is a body that is stored apart.
    """

    id: Annotated[str, Source("message_id")]
    sequence: int
    routing_key: str
    exchange: str
    content_type: str
    published_at: Instant
    priority: int
    headers: Annotated[dict[str, Json], Source(read=header_values)]
    body: Annotated[Json, APART] | UnsetType = UNSET
    body_base64: Annotated[str, APART] | UnsetType = UNSET
    correlation_id: str | UnsetType = UNSET
    reply_to: str | UnsetType = UNSET
    death: DeathValue | UnsetType = UNSET
    attempt: Annotated[int, APART] | UnsetType = UNSET
    receipt: Annotated[str, APART] | UnsetType = UNSET
    visible_until: Annotated[Instant, APART] | UnsetType = UNSET


class MessageList(Answer, kw_only=True):
    """Messages, oldest first; `nextSequence` is 0 after the last."""

    messages: list[MessageValue]
    next_sequence: int = 0


class ReceivedMessages(Answer, kw_only=True):
    """Received messages, to be settled by receipt."""

    messages: list[MessageValue]


class OutcomeValue(Answer, kw_only=True):
    """The effect of one message; refused if it has a `reason`."""

    id: Annotated[str, Source("message_id")]
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

    queue: Annotated[str, Source("queue.queue")]
    kind: Annotated[str, Source("queue.kind", empty="queue")]
    durable: Annotated[bool, Source("queue.transient", not_)]
    max_size: Annotated[int, Source("queue.max_size")]
    max_bytes: Annotated[int, Source("queue.max_bytes")]
    overflow: Annotated[str, Source("queue.overflow", empty="reject")]
    message_ttl_ms: Annotated[int, Source("queue.message_ttl_ms")]
    on_expiry: Annotated[str, Source("queue.on_expiry", empty="drop")]
    max_priority: Annotated[int, Source("queue.max_priority")]
    max_attempts: Annotated[int, Source("queue.retry.max_attempts")]
    visibility_timeout_ms: Annotated[int, Source("queue.visibility_timeout_ms")]
    dead_letter_queue: Annotated[str, Source("queue.dead_letter_queue")] | UnsetType = UNSET
    exclusive: Annotated[bool, Source("queue.exclusive")]
    auto_delete: Annotated[bool, Source("queue.auto_delete")]
    single_active: Annotated[bool, Source("queue.single_active")]
    encrypt: Annotated[bool, Source("queue.encrypt")]
    depth: int
    ready: int
    in_flight: int
    bytes: int
    oldest_at: Instant | UnsetType = UNSET
    consumers: int
    dead_letters: int
    priorities: Annotated[dict[str, int], Source(read=_depths)]
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
    type: Annotated[str, Source(empty="")]
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
    headers: Annotated[dict[str, Json], Source("arguments", header_values)]
    match: Annotated[str, Source(read=_match)]


class BindingList(Answer, kw_only=True):
    """Bindings of exchanges."""

    bindings: list[BindingValue]


class RedrivenValue(Answer, kw_only=True):
    """The effect of a redrive; repeat it from `nextSequence` while `remaining` is true."""

    moved: int
    kept: int
    remaining: bool
    next_sequence: int
    error: Annotated[str, Source("last_error")] | UnsetType = UNSET


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


_message = reader(MessageValue, message_pb2.Message, given=("sequence",))
queue_value = reader(QueueDetails, topology_pb2.QueueState)


def message_value(message: message_pb2.Message, sequence: int) -> MessageValue:
    value = _message(message, sequence=sequence)
    if message.HasField("reference"):
        given = Payload(encoding=message.content_type, reference=message.reference)
        value.body = raw_value(given)
    elif _is_json(message):
        value.body = raw_json(message.body)
    else:
        value.body_base64 = base64.b64encode(message.body).decode()
    return value


def _is_json(message: message_pb2.Message) -> bool:
    if message.content_type.partition(";")[0] != _JSON:
        return False
    try:
        orjson.loads(message.body)
    except orjson.JSONDecodeError:
        return False
    return True
