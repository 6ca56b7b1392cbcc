"""Conversion of values to payloads and back: inline JSON, or a reference above 256 KiB.

The only module of the SDK that encodes values.
"""

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import msgspec
import orjson

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, TooLarge
from flowmesh.jsontext import not_finite, not_unicode
from flowmesh.jsontext.integers import ALLOWED, out_of_bounds

JSON_ENCODING = "application/json"
UNSET: Any = object()
"""The default of a value argument that is not given, as None is a value."""


def encode(value: Json) -> bytes:
    """Encode a value as JSON; dataclasses, enums, dates and pydantic models are supported."""
    try:
        data = orjson.dumps(value, default=_plain)
        check_finite(data, value)
    except (orjson.JSONEncodeError, RecursionError, ValueError) as error:
        cause = _encoding_problem(value) or error
        raise Invalid("JSON_INVALID", f"the value cannot be written as JSON: {cause}") from error
    return data


def check_finite(data: bytes, value: Json) -> None:
    """Raise ValueError if `value`, whose JSON text is `data`, holds NaN or an infinity.

    The fast encoder writes null for these, so the slow check runs only if the text has a null.
    """
    if b"null" in data:
        _ALL_FINITE.encode(value)


def _encoding_problem(value: Json) -> str:
    """Describe the part of a value that is not JSON, with its path; empty if unknown."""
    if place := not_unicode(value, "value"):
        return f"{place} is not Unicode, it has half of a surrogate pair"
    if place := not_finite(value, "value"):
        return f"{place} is not a finite number"
    if place := out_of_bounds(value, "value"):
        return f"{place} is an integer that cannot be kept: {ALLOWED}"
    return ""


def _plain(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _parts(value: object) -> object:
    """Return the content of a value of a type that orjson encodes and the standard encoder not."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Enum):
        return value.value
    try:
        return _plain(value)
    except TypeError:
        return ""  # a date, a UUID or the like


_ALL_FINITE = json.JSONEncoder(allow_nan=False, check_circular=False, default=_parts)


def decode_bytes(data: bytes) -> Json:
    """Decode a JSON value; integers keep their precision at any size."""
    return msgspec.json.decode(data) if data else None


def decode_inline(payload: payload_pb2.Payload) -> Json:
    """Decode an inline payload; text and bytes are returned unchanged."""
    data = payload.data
    if not data:
        return None
    if is_json(payload):
        return decode_bytes(data)
    return _foreign(payload.encoding, data)


def is_json(payload: payload_pb2.Payload) -> bool:
    """Return whether a payload holds JSON itself."""
    return bool(payload.data) and payload.encoding in ("", JSON_ENCODING)


def _foreign(encoding: str, data: bytes) -> Json:
    if encoding.startswith("text/") or encoding.endswith("xml"):
        return data.decode("utf-8", "replace")
    if "json" in encoding:
        return decode_bytes(data)
    return data


def payload_inline(data: bytes, field: str) -> payload_pb2.Payload:
    if len(data) > INLINE_BYTES_MAX:
        raise TooLarge(
            "PAYLOAD_TOO_LARGE",
            f"{field} has {len(data)} bytes; inline values are limited to"
            f" {INLINE_BYTES_MAX}, larger ones are stored first",
        )
    return payload_pb2.Payload(data=data)
