"""Payloads and failures that decisions share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2

NULL = payload_pb2.Payload(data=b"null")


def mark(payload: payload_pb2.Payload, pointers: Iterable[str]) -> None:
    """Mark members of a payload as sensitive, beside those that are already."""
    new = [each for each in pointers if each not in payload.sensitive]
    if new:  # an empty extension would set an absent payload
        payload.sensitive.extend(new)


def failure_of(class_: str, message: str) -> failure_pb2.Failure:
    failure = failure_pb2.Failure(message=message)
    setattr(failure, "class", class_)
    return failure


def encode_output(value: Any) -> bytes:
    """Encode a rendered output for storage."""
    return json.dumps(value, separators=(",", ":")).encode()
