"""Bounds of messages, queues and exchanges."""

from flowmesh.definitions import triggers
from flowmesh.event.broker import limits as broker
from flowmesh.suite.limits.limit import Limit

_BROKER = "event, at the publication of a message"
_DECLARED = "event, at a declaration"
_CONSUMER = "event, at a request of a consumer"

MESSAGES = (
    Limit("body of a message", broker.BODY_BYTES_MAX, "bytes", "PAYLOAD_TOO_LARGE", _BROKER),
    Limit("batch of messages", broker.BATCH_MESSAGES_MAX, "messages", "PAYLOAD_TOO_LARGE", _BROKER),
    Limit(
        "bodies of a batch of messages",
        broker.BATCH_BYTES_MAX,
        "bytes",
        "PAYLOAD_TOO_LARGE",
        _BROKER,
    ),
    Limit("headers of a message", broker.HEADERS_MAX, "entries", "MESSAGE_INVALID", _BROKER),
    Limit(
        "headers of a message together",
        broker.HEADERS_BYTES_MAX,
        "bytes",
        "MESSAGE_INVALID",
        _BROKER,
    ),
    Limit("routing key", broker.KEY_BYTES_MAX, "bytes", "MESSAGE_INVALID", _BROKER),
    Limit(
        "content type, correlation id or reply address of a message",
        broker.TEXT_CHARACTERS_MAX,
        "characters",
        "MESSAGE_INVALID",
        _BROKER,
    ),
    Limit("priority of a message", broker.PRIORITY_MAX, "", "MESSAGE_INVALID", _BROKER),
    Limit("time to live", broker.TTL_MS_MAX, "ms", "MESSAGE_INVALID", _BROKER),
    Limit("delay of a message", broker.TTL_MS_MAX, "ms", "MESSAGE_INVALID", _BROKER),
    Limit(
        "body of a message by reference",
        broker.REFERENCED_BYTES_MAX,
        "bytes",
        "MESSAGE_INVALID",
        _BROKER,
    ),
    Limit("delayed messages", broker.DELAYED_MAX, "messages", "QUEUE_FULL", _BROKER),
    Limit("queues watched by a stream", broker.WATCHED_MAX, "queues", "REQUEST_INVALID", _CONSUMER),
    Limit("streams that watch queues", broker.WATCHERS_MAX, "streams", "OVERLOADED", _CONSUMER),
    Limit(
        "time in which a queue trigger collects a batch",
        triggers.BATCH_WITHIN_MS_MAX,
        "ms",
        "TRIGGER_INVALID",
        "definition, at a check",
    ),
    Limit(
        "messages of a batch of a queue trigger",
        triggers.MESSAGES_BATCH_MAX,
        "messages",
        "TRIGGER_INVALID",
        "definition, at a check",
    ),
    Limit(
        "queues of messages of a namespace",
        broker.QUEUES_MAX,
        "queues",
        "TOPOLOGY_TOO_LARGE",
        _DECLARED,
    ),
    Limit(
        "exchanges of a namespace",
        broker.EXCHANGES_MAX,
        "exchanges",
        "TOPOLOGY_TOO_LARGE",
        _DECLARED,
    ),
    Limit(
        "bindings of a namespace", broker.BINDINGS_MAX, "bindings", "TOPOLOGY_TOO_LARGE", _DECLARED
    ),
    Limit("`max_size` of a queue", broker.SIZE_MAX, "messages", "TOPOLOGY_INVALID", _DECLARED),
    Limit("`max_bytes` of a queue", broker.BYTES_MAX, "bytes", "TOPOLOGY_INVALID", _DECLARED),
    Limit("schema of a queue", broker.SCHEMA_BYTES_MAX, "bytes", "TOPOLOGY_INVALID", _DECLARED),
    Limit(
        "attempts of a message",
        broker.ATTEMPTS_MAX,
        "deliveries",
        "TOPOLOGY_INVALID",
        _DECLARED,
    ),
    Limit("growth of retry delays", broker.FACTOR_MAX, "", "TOPOLOGY_INVALID", _DECLARED),
    Limit(
        "delay of a redelivery",
        broker.DELAY_MS_MAX,
        "ms",
        "TOPOLOGY_INVALID",
        _DECLARED,
        "a larger delay of a negative acknowledgment is reduced to it",
    ),
    Limit("visibility timeout", broker.VISIBILITY_MAX_MS, "ms", "TOPOLOGY_INVALID", _DECLARED),
    Limit("credit of a consumer", broker.CREDIT_MAX, "deliveries", "HELLO_INVALID", _CONSUMER),
    Limit(
        "messages received or settled by a call",
        broker.RECEIVE_MAX,
        "messages",
        "REQUEST_INVALID",
        _CONSUMER,
    ),
    Limit(
        "wait for messages",
        broker.RECEIVE_WAIT_MS_MAX,
        "ms",
        "REQUEST_INVALID",
        _CONSUMER,
        "20,000 over REST",
    ),
    Limit(
        "messages browsed or discarded by a call",
        broker.BROWSE_MAX,
        "messages",
        "REQUEST_INVALID",
        _CONSUMER,
    ),
    Limit(
        "messages redriven by a call",
        broker.REDRIVE_MAX,
        "messages",
        "REQUEST_INVALID",
        _CONSUMER,
        "the command and the SDK repeat the call until all are moved",
    ),
)
