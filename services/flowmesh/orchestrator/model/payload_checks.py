"""Checks of payloads in requests: size, encoding, references, integers."""

import msgspec

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.errors import Invalid, TooLarge
from flowmesh.jsontext import check_json
from flowmesh.jsontext.integers import inexact, integer_invalid
from flowmesh.orchestrator.model.ids import is_digest

ENCODING_CHARACTERS_MAX = 256


def check_encoding(encoding: str) -> None:
    if not encoding.isprintable() or len(encoding) > ENCODING_CHARACTERS_MAX:
        text = f"a media type of at most {ENCODING_CHARACTERS_MAX} printable characters"
        raise Invalid("REQUEST_INVALID", f"encoding must be {text}")


def check_inline(payload: payload_pb2.Payload, field: str) -> None:
    """Raise as `check_size`, or JSON_INVALID, INVALID_UTF8 or NESTING_TOO_DEEP for bad JSON."""
    check_size(payload, field)
    if is_json(payload.encoding):
        check_json(payload.data, field)


def check_size(payload: payload_pb2.Payload, field: str) -> None:
    """Raise PAYLOAD_TOO_LARGE, ID_INVALID, REQUEST_INVALID or JSON_INVALID for a bad payload.

    The reasons stand for a large inline value, a malformed digest, a malformed encoding and an
    integer beyond 64 bits.
    """
    check_encoding(payload.encoding)
    if payload.HasField("reference") and not is_digest(payload.reference.digest):
        raise Invalid("ID_INVALID", f"{field}: the digest is not the hex SHA-256 of a payload")
    if len(payload.data) > INLINE_BYTES_MAX:
        raise too_large(field, len(payload.data), INLINE_BYTES_MAX)
    check_integers(payload.encoding, payload.data, field)


def is_json(encoding: str) -> bool:
    return not encoding or "json" in encoding


def check_integers(encoding: str, data: bytes, field: str) -> None:
    """Raise JSON_INVALID for an integer beyond 64 bits in a JSON value."""
    if not is_json(encoding):
        return
    try:
        path = inexact(data, field)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # not JSON: its reader raises the error
    if path:
        raise integer_invalid(path)


def too_large(field: str, size: int, limit: int) -> TooLarge:
    hint = "; store it with PayloadService.PutPayload" if limit == INLINE_BYTES_MAX else ""
    return TooLarge(
        "PAYLOAD_TOO_LARGE", f"{field} has {size} bytes, the limit is {limit} bytes{hint}"
    )
