"""Checks of published messages, and dead letters made of them."""

import re
from collections.abc import Mapping
from typing import Final

from flowmesh.api.broker.v1 import message_pb2 as pb
from flowmesh.broker import limits
from flowmesh.errors import Invalid, TooLarge, Violation
from flowmesh.rpc import valid_id

RESERVED: Final = ("fm-", "nats-")
_INVALID: Final = "MESSAGE_INVALID"
_DIGEST: Final = re.compile("[0-9a-f]{64}")


def check_message(message: pb.Message) -> None:
    """Raise Invalid or TooLarge for a message that cannot be published."""
    if message.message_id:
        valid_id(message.message_id, "message_id")
    if len(message.body) > limits.BODY_BYTES_MAX:
        raise TooLarge(
            "PAYLOAD_TOO_LARGE",
            f"body: has {len(message.body):,} bytes; at most {limits.BODY_BYTES_MAX:,} are allowed:"
            " store a larger one with PayloadService and give its reference",
        )
    _check_reference(message)
    if len(message.routing_key.encode()) > limits.KEY_BYTES_MAX:
        raise invalid("routing_key", f"has more than {limits.KEY_BYTES_MAX} bytes")
    for name in ("routing_key", "content_type", "correlation_id", "reply_to"):
        value = getattr(message, name)
        if "\0" in value:
            raise invalid(name, "must not contain a NUL character")
        if len(value) > limits.TEXT_CHARACTERS_MAX:
            raise invalid(name, f"has more than {limits.TEXT_CHARACTERS_MAX} characters")
    if message.priority > limits.PRIORITY_MAX:
        raise invalid("priority", f"must be from 0 to {limits.PRIORITY_MAX}")
    for name in ("ttl_ms", "delay_ms"):
        if not 0 <= getattr(message, name) <= limits.TTL_MS_MAX:
            raise invalid(name, f"must be from 0 to {limits.TTL_MS_MAX}")
    check_headers(message.headers, "headers", reserved=True)


def _check_reference(message: pb.Message) -> None:
    if not message.HasField("reference"):
        return
    if message.body:
        raise invalid("reference", "give either a body or a reference")
    if not _DIGEST.fullmatch(message.reference.digest):
        raise invalid("reference.digest", "must be a SHA-256 in lower-case hexadecimal")
    if not 0 <= message.reference.size_bytes <= limits.REFERENCED_BYTES_MAX:
        raise invalid("reference.size_bytes", f"must be at most {limits.REFERENCED_BYTES_MAX:,}")


def check_headers(headers: Mapping[str, pb.HeaderValue], field: str, *, reserved: bool) -> None:
    """Raise Invalid for headers that are too many, too large, or reserved."""
    if len(headers) > limits.HEADERS_MAX:
        raise invalid(field, f"has {len(headers)} entries; at most {limits.HEADERS_MAX}")
    size = 0
    for name, value in headers.items():
        size += len(name) + value.ByteSize()
        shown = name if len(name) <= 40 else f"{name[:40]}…"
        if not name or len(name) > limits.TEXT_CHARACTERS_MAX or not name.isprintable():
            raise invalid(field, f"the name {shown!r} must have 1 to 255 printable characters")
        if reserved and name.lower().startswith(RESERVED):
            raise invalid(field, f"{shown!r} begins with a reserved prefix: fm- or nats-")
        if reserved and value.WhichOneof("value") is None:
            raise invalid(field, f"{shown!r} has no value")
        if "\0" in value.text:
            raise invalid(field, f"{shown!r} contains a NUL character")
    if size > limits.HEADERS_BYTES_MAX:
        raise invalid(field, f"has {size:,} bytes; at most {limits.HEADERS_BYTES_MAX:,}")


def dead_letter(
    message: pb.Message, queue: str, reason: pb.DeathReason.ValueType, error: str, now_us: int
) -> pb.Message:
    """Return the message as a dead letter of the queue; its body is unchanged."""
    dead = pb.Message()
    dead.CopyFrom(message)
    death = dead.death
    death.reason, death.queue, death.last_at_us = reason, queue, now_us
    death.first_at_us = death.first_at_us or now_us
    death.count += 1
    death.last_error = error[: limits.ERROR_CHARACTERS_MAX]
    if queue not in death.queues:
        death.queues.append(queue)
    dead.ttl_ms = 0
    return dead


def invalid(field: str, what: str) -> Invalid:
    return Invalid(_INVALID, f"{field}: {what}.", violations=(Violation(field, what, _INVALID),))
