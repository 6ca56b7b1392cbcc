"""Payloads and failures that decisions share."""

from __future__ import annotations

import json
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2

NULL = payload_pb2.Payload(data=b"null")


def failure_of(class_: str, message: str) -> failure_pb2.Failure:
    failure = failure_pb2.Failure(message=message)
    setattr(failure, "class", class_)
    return failure


def encode_output(value: Any) -> bytes:
    """Encode a rendered output for storage."""
    return json.dumps(value, separators=(",", ":")).encode()
