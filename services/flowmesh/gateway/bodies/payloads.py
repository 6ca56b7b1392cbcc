"""Payloads in requests and responses: small ones inline, large ones by reference."""

from collections.abc import AsyncIterator
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.ids import invalid_field
from flowmesh.gateway.http.limits import (
    ANSWER_PAYLOAD_BYTES_MAX,
    PAYLOAD_CALL_S,
    PAYLOAD_CHUNK_BYTES,
)
from flowmesh.gateway.http.requests import JSON
from flowmesh.jsontext import dump_json

REFERENCE_KEY = "$payload"


async def payload_of(
    backends: Backends, namespace: str, field: str, value: Any
) -> payload_pb2.Payload:
    """Return a value as a payload; a large one is stored first."""
    if isinstance(value, dict) and REFERENCE_KEY in value:
        return _reference(field, value)
    return await payload_of_bytes(backends, namespace, JSON, dump_json(value))


async def payload_of_bytes(
    backends: Backends, namespace: str, encoding: str, data: bytes
) -> payload_pb2.Payload:
    """Return bytes as a payload; many are stored first."""
    if len(data) <= INLINE_BYTES_MAX:
        return payload_pb2.Payload(data=data)
    pieces = (
        data[start : start + PAYLOAD_CHUNK_BYTES]
        for start in range(0, len(data), PAYLOAD_CHUNK_BYTES)
    )
    return await put_payload(backends, namespace, encoding, _each(pieces))


async def put_payload(
    backends: Backends, namespace: str, encoding: str, pieces: AsyncIterator[bytes]
) -> payload_pb2.Payload:
    """Store the pieces as one payload. Return its reference."""
    call = backends.payloads.PutPayload(timeout=PAYLOAD_CALL_S)
    try:
        await call.write(pb.PutPayloadRequest(namespace=namespace, encoding=encoding))
        async for piece in pieces:
            for start in range(0, len(piece), PAYLOAD_CHUNK_BYTES):
                chunk = piece[start : start + PAYLOAD_CHUNK_BYTES]
                await call.write(pb.PutPayloadRequest(chunk=chunk))
        await call.done_writing()
        response = await call
    finally:
        # A partial body must not be stored as a complete one.
        call.cancel()
    return response.payload


async def resolve_references(
    backends: Backends,
    execution: execution_pb2.Execution,
    bytes_max: int = ANSWER_PAYLOAD_BYTES_MAX,
) -> execution_pb2.Execution:
    """Return the execution with references replaced by stored values, smallest first.

    A value above the limit, or one that is no longer stored, remains a reference.
    """
    if not any(payload.HasField("reference") for payload in _payloads(execution)):
        return execution
    # Copy the message: in one process the sender still owns the received one.
    whole = execution_pb2.Execution()
    whole.CopyFrom(execution)
    by_digest: dict[str, list[payload_pb2.Payload]] = {}
    left = bytes_max
    stored = [payload for payload in _payloads(whole) if payload.HasField("reference")]
    for payload in sorted(stored, key=lambda each: each.reference.size_bytes):
        left -= payload.reference.size_bytes
        if left < 0:
            break
        by_digest.setdefault(payload.reference.digest, []).append(payload)
    for digest, payloads in by_digest.items():
        await _fill(backends, execution.namespace, digest, payloads)
    return whole


def _payloads(execution: execution_pb2.Execution) -> list[payload_pb2.Payload]:
    outputs = [node.output for node in execution.nodes]
    signals = [signal.payload for signal in execution.signals]
    return [execution.input, execution.output, *outputs, *signals]


async def get_payload(backends: Backends, namespace: str, digest: str) -> tuple[str, bytes]:
    """Return the encoding and the bytes of a stored payload."""
    call = backends.payloads.GetPayload(
        pb.GetPayloadRequest(namespace=namespace, digest=digest), timeout=PAYLOAD_CALL_S
    )
    encoding = ""
    chunks: list[bytes] = []
    async for response in call:
        encoding = encoding or response.encoding
        chunks.append(response.chunk)
    return encoding or JSON, b"".join(chunks)


async def _fill(
    backends: Backends, namespace: str, digest: str, payloads: list[payload_pb2.Payload]
) -> None:
    try:
        encoding, data = await get_payload(backends, namespace, digest)
    except NotFound:
        return
    for payload in payloads:
        payload.ClearField("reference")
        payload.encoding = encoding
        payload.data = data


def _reference(field: str, value: dict[str, Any]) -> payload_pb2.Payload:
    given = value[REFERENCE_KEY]
    size = given.get("sizeBytes") if isinstance(given, dict) else None
    if (
        len(value) != 1
        or not isinstance(size, int)
        or not isinstance(given.get("digest"), str)
        or not isinstance(given.get("encoding", JSON), str)
        or not 0 <= size < 2**63
    ):
        raise invalid_field(
            f"{field}.{REFERENCE_KEY}", 'must be {"digest", "sizeBytes"} without other members'
        )
    reference = payload_pb2.PayloadReference(digest=given["digest"], size_bytes=size)
    return payload_pb2.Payload(encoding=given.get("encoding", JSON), reference=reference)


async def _each(pieces: Any) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
