"""Payloads, failures and times as JSON values."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
from msgspec import Raw

from flowmesh.api.common.v1 import failure_pb2, payload_pb2, search_pb2

JSON_ENCODING = "application/json"
_NULL = Raw(b"null")
_AS_IT_IS = msgspec.json.Decoder(Raw)
# Decodes the value of a payload for a view; an object becomes a dict.
Read = Callable[[payload_pb2.Payload], Any]


def json_value(payload: payload_pb2.Payload) -> Any:
    """Return the value of a payload.

    JSON is parsed, text is a string, other bytes are `{"$bytes": base64, "encoding"}`. A value
    stored by reference is `{"$payload": {"digest", "sizeBytes", "encoding"}}`: a reader fetches
    it from PayloadService.
    """
    encoding = payload.encoding or JSON_ENCODING
    if payload.HasField("reference"):
        reference = payload.reference
        return {
            "$payload": {
                "digest": reference.digest,
                "sizeBytes": reference.size_bytes,
                "encoding": encoding,
            }
        }
    if encoding == JSON_ENCODING:
        return json_or_text(payload.data)
    if encoding.startswith("text/"):
        return payload.data.decode("utf-8", "replace")
    return {"$bytes": base64.b64encode(payload.data).decode("ascii"), "encoding": encoding}


def exact_value(payload: payload_pb2.Payload) -> Any:
    """Return the same as `json_value`, with exact integers of any size, for `dump_json`."""
    value = raw_value(payload)
    if not isinstance(value, Raw):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # A number with thousands of digits, or a thousand levels.
        return json_value(payload)


def raw_value(payload: payload_pb2.Payload) -> Any:
    """Return the value of a payload; JSON is embedded without decoding."""
    data, encoding = payload.data, payload.encoding
    if (encoding and encoding != JSON_ENCODING) or (not data and payload.HasField("reference")):
        return json_value(payload)
    return raw_json(data)


def size_value(payload: payload_pb2.Payload) -> dict[str, int]:
    """Return the size of a payload instead of its value."""
    stored = payload.HasField("reference")
    return {"bytes": payload.reference.size_bytes if stored else len(payload.data)}


def json_or_text(data: bytes) -> Any:
    """Return parsed JSON, or the text if it is not JSON; None for no bytes."""
    # Values are validated on entry; a corrupt row must still not hide its execution.
    if not data:
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")


def raw_json(data: bytes) -> Any:
    """Return JSON text to embed; null for no bytes, a string if it is not JSON."""
    if not data:
        return _NULL
    try:
        if not data.isascii():
            data.decode("utf-8")
        return _AS_IT_IS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data.decode("utf-8", "replace")


def failure_view(failure: failure_pb2.Failure, *, node_key: str = "taskId") -> dict[str, Any]:
    """Return `class` and `message`, the failed node under `node_key`, its state, `details`."""
    view: dict[str, Any] = {"class": getattr(failure, "class"), "message": failure.message}
    if failure.node:
        view[node_key] = failure.node
    if failure.state:
        view["state"] = failure.state
    if failure.details:
        view["details"] = json_or_text(failure.details)
    return view


def search_view(value: search_pb2.SearchValue) -> Any:
    """Return a search value: a text, a number, a flag, or a time as RFC 3339."""
    kind = value.WhichOneof("value") or "text"
    return instant(value.time_us) if kind == "time_us" else getattr(value, kind)


def seconds(at_us: int) -> int:
    """Return epoch seconds, the time format of step JSON."""
    return at_us // 1_000_000


def instant(at_us: int) -> str:
    """Return RFC 3339 in UTC with microseconds."""
    whole, micros = divmod(at_us, 1_000_000)
    moment = datetime.fromtimestamp(whole, UTC).replace(microsecond=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
