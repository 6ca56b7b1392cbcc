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
# How a view takes the value of a payload; an object must come out as a dict.
Read = Callable[[payload_pb2.Payload], Any]


def json_value(payload: payload_pb2.Payload) -> Any:
    """The value a payload holds.

    JSON is parsed, text is a string, other bytes are `{"$bytes": base64, "encoding"}`. A value
    stored by reference is `{"$payload": {"digest", "sizeBytes", "encoding"}}`: whoever needs it
    reads it from PayloadService.
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
    """As `json_value`, with integers of any size as they are; `dump_json` writes them so."""
    value = raw_value(payload)
    if not isinstance(value, Raw):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        # A number of thousands of digits, or a thousand levels.
        return json_value(payload)


def raw_value(payload: payload_pb2.Payload) -> Any:
    """The value of a payload; JSON is passed on as it is, never parsed and written again."""
    data, encoding = payload.data, payload.encoding
    if (encoding and encoding != JSON_ENCODING) or (not data and payload.HasField("reference")):
        return json_value(payload)
    return raw_json(data)


def json_or_text(data: bytes) -> Any:
    """Parsed JSON, or the text where it is none; `None` for no bytes."""
    # A value was checked where it entered; one broken row must still not hide its execution.
    if not data:
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")


def raw_json(data: bytes) -> Any:
    """JSON text to embed; null for none, the text itself where it is no JSON after all."""
    if not data:
        return _NULL
    try:
        if not data.isascii():
            data.decode("utf-8")
        return _AS_IT_IS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data.decode("utf-8", "replace")


def failure_view(failure: failure_pb2.Failure, *, node_key: str = "taskId") -> dict[str, Any]:
    """`{"class", "message"}`, the node that failed under `node_key`, its state, `details`."""
    view: dict[str, Any] = {"class": getattr(failure, "class"), "message": failure.message}
    if failure.node:
        view[node_key] = failure.node
    if failure.state:
        view["state"] = failure.state
    if failure.details:
        view["details"] = json_or_text(failure.details)
    return view


def search_view(value: search_pb2.SearchValue) -> Any:
    """What an execution is found by: text, a number, a flag, or a time as RFC 3339."""
    kind = value.WhichOneof("value") or "text"
    return instant(value.time_us) if kind == "time_us" else getattr(value, kind)


def seconds(at_us: int) -> int:
    """Epoch seconds, as the step-JSON clients expect times."""
    return at_us // 1_000_000


def instant(at_us: int) -> str:
    """RFC 3339 in UTC with microseconds."""
    whole, micros = divmod(at_us, 1_000_000)
    moment = datetime.fromtimestamp(whole, UTC).replace(microsecond=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
