"""Masks of sensitive members: the one place where values of payloads leave the suite hidden.

A payload carries the pointers to its sensitive members (`Payload.sensitive`), so that each way out
masks it without a schema.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.contract.json_value import Json

MASK = "***"
# A pointer's part for every item of a list, and every member of an object.
EVERY = "*"
M = TypeVar("M", bound=Message)
_PAYLOAD = payload_pb2.Payload.DESCRIPTOR
_HIDDEN = orjson.dumps(MASK)


def masked_value(value: Json, pointers: Iterable[str]) -> Json:
    """Return the value with the members at the pointers masked; absent ones stay absent."""
    for pointer in pointers:
        value = _masked(value, _parts(pointer))
    return value


def values_at(value: Json, pointers: Iterable[str]) -> Iterator[Json]:
    """Yield the members of a value at the pointers."""
    for pointer in pointers:
        yield from _at(value, _parts(pointer))


def _at(value: Json, parts: list[str]) -> Iterator[Json]:
    if not parts:
        yield value
        return
    first, rest = parts[0], parts[1:]
    members = value if isinstance(value, dict) else {}
    if isinstance(value, list):
        members = {str(index): each for index, each in enumerate(value)}
    for name in members if first == EVERY else (first,) if first in members else ():
        yield from _at(members[name], rest)


def _parts(pointer: str) -> list[str]:
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]


def _masked(value: Json, parts: list[str]) -> Json:
    if not parts:
        return value if value is None else MASK
    first, rest = parts[0], parts[1:]
    if isinstance(value, dict):
        names = value if first == EVERY else (first,) if first in value else ()
        return {**value, **{name: _masked(value[name], rest) for name in names}}
    if isinstance(value, list):
        return [
            _masked(each, rest) if first in (EVERY, str(index)) else each
            for index, each in enumerate(value)
        ]
    return value


def masked_payload(payload: payload_pb2.Payload) -> payload_pb2.Payload:
    """Return a payload to show: as it is without sensitive members, a masked copy with some.

    A stored value, and one that is not JSON, is masked as a whole.
    """
    if not payload.sensitive:
        return payload
    hidden = payload_pb2.Payload(data=_HIDDEN, sensitive=payload.sensitive)
    if payload.data and payload.encoding in ("", "application/json"):
        try:
            value = masked_value(orjson.loads(payload.data), payload.sensitive)
        except (orjson.JSONDecodeError, RecursionError):
            return hidden
        hidden.data = orjson.dumps(value)
    return hidden


def holds_sensitive(message: Message) -> bool:
    """Return whether a message has a payload with sensitive members."""
    if isinstance(message, payload_pb2.Payload):
        return bool(message.sensitive)
    # Of every answer of a closed installation: without generators, and without unset fields.
    for name, kind in _ways(message.DESCRIPTOR):
        if kind is not _single:
            if any(map(holds_sensitive, kind(getattr(message, name)))):
                return True
        elif message.HasField(name) and holds_sensitive(getattr(message, name)):
            return True
    return False


def masked_message(message: M) -> M:
    """Return the message, or a copy of it with all sensitive members masked."""
    if not holds_sensitive(message):
        return message
    copy = type(message)()
    copy.CopyFrom(message)
    for payload in payloads_in(copy):
        if payload.sensitive:
            payload.CopyFrom(masked_payload(payload))
    return copy


def payloads_in(message: Message) -> Iterator[payload_pb2.Payload]:
    """Yield the payloads that are set in a message, at any depth."""
    for name, kind in _ways(message.DESCRIPTOR):
        if kind is not _single or message.HasField(name):
            for each in kind(getattr(message, name)):
                yield from _within(each)


def has_payloads(descriptor: Descriptor) -> bool:
    """Return whether messages of a type may hold payloads."""
    return bool(_ways(descriptor))


def _within(value: Any) -> Iterator[payload_pb2.Payload]:
    if isinstance(value, payload_pb2.Payload):
        yield value
    else:
        yield from payloads_in(value)


def _single(value: Any) -> tuple[Any]:
    return (value,)


def _values(value: Any) -> Iterable[Any]:
    members: Iterable[Any] = value.values()
    return members


_Kind = Callable[[Any], Iterable[Any]]


@cache
def _ways(descriptor: Descriptor) -> tuple[tuple[str, _Kind], ...]:
    """Return the fields of a message that lead to payloads, each with the way to its values."""
    return tuple(
        (field.name, _kind(field)) for field in descriptor.fields if _leads(field, frozenset())
    )


def _kind(field: FieldDescriptor) -> _Kind:
    if not field.is_repeated:
        return _single
    entry = field.message_type
    return _values if entry is not None and entry.GetOptions().map_entry else iter


def _leads(field: FieldDescriptor, above: frozenset[str]) -> bool:
    inner = field.message_type
    if inner is None or inner.full_name in above:
        return False
    seen = above | {inner.full_name}
    return inner is _PAYLOAD or any(_leads(each, seen) for each in inner.fields)
