"""Checks and defaults of declared exchanges, queues and bindings."""

from typing import Any, NoReturn

import orjson

from flowmesh.api.broker.v1 import topology_pb2 as pb
from flowmesh.broker import limits
from flowmesh.broker.messages import check_headers
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.schema_checks import check_schema
from flowmesh.errors import Invalid, Violation
from flowmesh.rpc import check_enum_values, valid_id

_INVALID = "TOPOLOGY_INVALID"


def declared_exchange(given: pb.Exchange) -> pb.Exchange:
    """Return the checked exchange. Raises Invalid."""
    check_enum_values([given.type], pb.ExchangeType, "type")
    valid_id(given.exchange, "exchange")
    if given.alternate:
        valid_id(given.alternate, "alternate")
    if not given.type:
        refuse("type", "an exchange is direct, fanout, topic or headers")
    return given


def declared_queue(given: pb.Queue) -> pb.Queue:
    """Return the checked queue with its defaults. Raises Invalid."""
    check_enum_values([given.kind], pb.QueueKind, "kind")
    check_enum_values([given.overflow], pb.Overflow, "overflow")
    check_enum_values([given.on_expiry], pb.OnExpiry, "on_expiry")
    valid_id(given.queue, "queue")
    if given.dead_letter_queue:
        valid_id(given.dead_letter_queue, "dead_letter_queue")
    queue = pb.Queue()
    queue.CopyFrom(given)
    queue.max_size = given.max_size or limits.SIZE_DEFAULT
    bytes_default = limits.TRANSIENT_BYTES_DEFAULT if given.transient else limits.BYTES_DEFAULT
    queue.max_bytes = given.max_bytes or bytes_default
    queue.visibility_timeout_ms = given.visibility_timeout_ms or limits.VISIBILITY_DEFAULT_MS
    _check_range(queue, "max_size", 1, limits.SIZE_MAX)
    _check_range(queue, "max_bytes", 1, limits.BYTES_MAX)
    _check_range(queue, "message_ttl_ms", 0, limits.TTL_MS_MAX)
    _check_range(queue, "max_priority", 0, limits.PRIORITY_MAX)
    _check_range(queue, "visibility_timeout_ms", limits.VISIBILITY_MIN_MS, limits.VISIBILITY_MAX_MS)
    _set_retry(queue.retry, given.retry)
    queue.auto_delete = given.auto_delete or given.exclusive
    _check_kind(queue)
    if queue.schema:
        _check_schema(queue.schema)
    return queue


def _set_retry(retry: pb.MessageRetry, given: pb.MessageRetry) -> None:
    retry.max_attempts = given.max_attempts or limits.ATTEMPTS_DEFAULT
    if not given.HasField("initial_delay_ms"):
        retry.initial_delay_ms = limits.DELAY_DEFAULT_MS
    retry.factor = given.factor or limits.FACTOR_DEFAULT
    retry.max_delay_ms = given.max_delay_ms or limits.DELAY_CAP_DEFAULT_MS
    _check_range(retry, "max_attempts", 1, limits.ATTEMPTS_MAX, "retry.")
    _check_range(retry, "initial_delay_ms", 0, limits.DELAY_MS_MAX, "retry.")
    _check_range(retry, "factor", 1, limits.FACTOR_MAX, "retry.")
    _check_range(retry, "max_delay_ms", 0, limits.DELAY_MS_MAX, "retry.")


def _check_kind(queue: pb.Queue) -> None:
    if queue.overflow == pb.OVERFLOW_DEAD_LETTER and not queue.dead_letter_queue:
        refuse("overflow", "dead_letter needs a dead_letter_queue")
    if queue.on_expiry == pb.ON_EXPIRY_DEAD_LETTER and not queue.dead_letter_queue:
        refuse("on_expiry", "dead_letter needs a dead_letter_queue")
    if queue.kind != pb.QUEUE_KIND_STREAM:
        return
    for field in ("exclusive", "auto_delete"):
        if getattr(queue, field):
            refuse(field, "a stream outlives its consumers; only a queue can be deleted with them")
    if queue.max_priority:
        refuse("max_priority", "a stream keeps the order of its messages and has no priorities")
    if queue.on_expiry or queue.overflow == pb.OVERFLOW_DEAD_LETTER:
        refuse("kind", "expired and dropped messages of a stream do not become dead letters")
    queue.overflow = pb.OVERFLOW_DROP_OLDEST


def _check_schema(source: bytes) -> None:
    if len(source) > limits.SCHEMA_BYTES_MAX:
        refuse("schema", f"has {len(source)} bytes; at most {limits.SCHEMA_BYTES_MAX} are allowed")
    try:
        value = orjson.loads(source)
    except orjson.JSONDecodeError as error:
        refuse("schema", f"is not JSON: {error}")
    problems = Problems()
    if not check_schema(value, (), problems):
        refuse("schema", problems.found[0].message)


def declared_binding(given: pb.Binding) -> pb.Binding:
    """Return the checked binding. Raises Invalid."""
    check_enum_values([given.match], pb.HeadersMatch, "match")
    if not given.source:
        refuse("source", "the default exchange leads to every queue by its name")
    valid_id(given.source, "source")
    kind = given.WhichOneof("destination")
    if kind is None:
        refuse("destination", "a binding leads to a queue or to an exchange")
    valid_id(given.exchange if kind == "exchange" else given.queue, kind)
    if len(given.key.encode()) > limits.KEY_BYTES_MAX:
        refuse("key", f"has more than {limits.KEY_BYTES_MAX} bytes")
    if "\0" in given.key:
        refuse("key", "must not contain a NUL character")
    check_headers(given.arguments, "arguments", reserved=False)
    return given


def difference(stored: Any, given: Any) -> str:
    """Return the first field in which two declarations differ, with both values; or ""."""
    for field in stored.DESCRIPTOR.fields:
        old, new = getattr(stored, field.name), getattr(given, field.name)
        if old != new:
            return f"{field.name} is {_shown(field, old)}, not {_shown(field, new)}"
    return ""


def _shown(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else f"{text[:80]}…"


def _check_range(message: Any, name: str, least: float, most: float, prefix: str = "") -> None:
    value = getattr(message, name)
    if not least <= value <= most:
        refuse(f"{prefix}{name}", f"must be from {least:,} to {most:,}, not {value:,}")


def refuse(field: str, what: str) -> NoReturn:
    """Raise the refusal of a field."""
    raise Invalid(_INVALID, f"{field}: {what}.", violations=(Violation(field, what, _INVALID),))
